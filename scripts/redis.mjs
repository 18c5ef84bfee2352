// A private Redis on 127.0.0.1 only: append-only file, nothing evicted.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { startServer } from './server.mjs';

/** @returns {Promise<{url: string, port: number, pid: number}>} */
export async function startRedis(file, runDir, { folder = runDir, choosePort } = {}) {
  const dataDir = join(folder, 'redis');
  mkdirSync(dataDir, { recursive: true });
  const { port, pid } = await startServer(
    {
      name: 'redis-server',
      file,
      runDir,
      cwd: dataDir,
      logFile: join(folder, 'redis.log'),
      readyPattern: /ready to accept connections/i,
      prepare: () => {},
      argsFor: (freePort) =>
        Object.entries({
          bind: '127.0.0.1',
          port: String(freePort),
          dir: dataDir,
          daemonize: 'no',
          appendonly: 'yes',
          appendfsync: 'everysec',
          save: '',
          // BullMQ loses jobs when Redis may evict keys.
          'maxmemory-policy': 'noeviction',
        }).flatMap(([name, value]) => [`--${name}`, value]),
    },
    choosePort,
  );
  return { url: `redis://127.0.0.1:${port}/0`, port, pid, cmdlineIncludes: `:${port}` };
}
