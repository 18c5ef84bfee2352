import { RecoupError } from '../errors.js';

export interface Line {
  /** From 1. */
  readonly no: number;
  /** With its line end. */
  readonly bytes: Buffer;
}

/** Longer than any line of any form; a file without line ends must not end up in memory. */
const lineBytesMax = 1_024;

const lineFeed = 0x0a;

/**
 * Tells lines apart, as many at a time as a chunk holds. Memory does not grow with the file. In GBK,
 * too, the byte of a line feed is nothing but a line feed.
 *
 * @throws RecoupError `statement_too_large` for a line without an end, `statement_truncated` where the
 *   last line has none.
 */
export async function* linesOf(bytes: AsyncIterable<Buffer>): AsyncGenerator<readonly Line[]> {
  let no = 0;
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of bytes) {
    const all = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const lines: Line[] = [];
    let from = 0;
    for (;;) {
      const end = all.indexOf(lineFeed, from);
      const length = (end === -1 ? all.length : end) - from;
      if (length > lineBytesMax) throw new RecoupError('statement_too_large', { line: no + 1 });
      if (end === -1) break;
      no += 1;
      lines.push({ no, bytes: all.subarray(from, end + 1) });
      from = end + 1;
    }
    // A copy: the chunk's memory may be used again by whoever gave it.
    rest = Buffer.from(all.subarray(from));
    if (lines.length > 0) yield lines;
  }
  if (rest.length > 0) throw new RecoupError('statement_truncated', { line: no + 1 });
}
