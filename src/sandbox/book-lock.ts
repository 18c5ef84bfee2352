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
  // Not in the folder itself: a socket's path may have about a hundred characters at the most.
  const path = join(tmpdir(), `recoup-sandbox-${name}.sock`);
  const server =
    (await listen(path)) ?? ((await answers(path)) ? null : (rmSync(path), await listen(path)));
  if (server === null) throw new Error(`another sandbox has the book in ${dir} open`);
  server.unref();
  return () => new Promise((resolve) => server.close(() => resolve()));
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
