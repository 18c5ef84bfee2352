import { createHash } from 'node:crypto';
import { realpathSync, rmSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * One writer a book. A socket that somebody listens at is a lock that dies with its process, however
 * it dies; a file with a process id would have to be guessed about after a kill.
 *
 * @throws Error when another sandbox has the book open.
 */
export async function lockBook(dir: string): Promise<() => Promise<void>> {
  const name = createHash('sha256').update(realpathSync(dir)).digest('hex').slice(0, 24);
  const server =
    process.platform === 'linux'
      ? // A name without a file: the kernel forgets it with the process.
        await listen(`\0recoup-sandbox-${name}`)
      : await listenAtFile(join(tmpdir(), `recoup-sandbox-${name}.sock`));
  if (server === null) throw new Error(`another sandbox has the book in ${dir} open`);
  server.unref();
  return () => new Promise((resolve) => server.close(() => resolve()));
}

/** A file outlives a kill; then nobody answers at it. Not in the folder: its path may be too long. */
async function listenAtFile(path: string): Promise<Server | null> {
  const server = await listen(path);
  if (server !== null || (await answers(path))) return server;
  rmSync(path);
  return await listen(path);
}

/** Null when the path is taken. */
function listen(path: string): Promise<Server | null> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(null);
      else reject(error);
    });
    server.listen(path, () => resolve(server));
  });
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
