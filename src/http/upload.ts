import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Transform, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { RecoupError } from '../errors.js';

/**
 * Puts a body into a file of its own while it arrives, hands the file over and removes it whatever
 * happens. Memory does not grow with the body.
 *
 * @throws RecoupError `body_too_large`; `malformed_request` when the body was cut off.
 */
export async function withUpload<T>(
  body: Readable,
  limits: { readonly declaredBytes: number | null; readonly bytesMax: number },
  use: (path: string) => Promise<T>,
): Promise<T> {
  const tooLarge = (): RecoupError =>
    new RecoupError('body_too_large', { limit_bytes: limits.bytesMax });
  if ((limits.declaredBytes ?? 0) > limits.bytesMax) throw tooLarge();
  const folder = await mkdtemp(join(tmpdir(), 'recoup-upload-'));
  try {
    const path = join(folder, 'body');
    let bytes = 0;
    const counted = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        bytes += chunk.length;
        if (bytes > limits.bytesMax) done(tooLarge());
        else done(null, chunk);
      },
    });
    await pipeline(body, counted, createWriteStream(path, { flags: 'wx', mode: 0o600 })).catch(
      (error: unknown) => {
        throw cutOff(error);
      },
    );
    return await use(path);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const cutCodes = new Set(['ECONNRESET', 'ERR_STREAM_PREMATURE_CLOSE', 'ERR_STREAM_DESTROYED']);

function cutOff(error: unknown): unknown {
  const { code } = error as { code?: string };
  if (code === undefined || !cutCodes.has(code)) return error;
  return new RecoupError('malformed_request', {}, { cause: error });
}
