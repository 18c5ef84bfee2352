import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { Redis } from 'ioredis';
import { createConnection } from 'mysql2/promise';
import { KillableServer, startStores, type Stores } from '../../src/chaos/stores.js';

describe('The stores of a chaos run', () => {
  let folder: string;
  let stores: Stores;

  before(async () => {
    folder = mkdtempSync(join(process.env['RECOUP_RUN_DIR'] ?? tmpdir(), 'chaos-'));
    stores = await startStores(folder);
  });

  after(() => {
    for (const { pid } of [stores.database, stores.redis]) process.kill(pid, 'SIGKILL');
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  });

  it('have a Redis that comes back at its own port after a kill, with what it had', async () => {
    const { redis } = stores;
    const { pid } = redis;
    await withRedis(redis.url, async (client) => await client.set('kept', 'yes'));
    await redis.killAndRestart(50, () => undefined);
    expect(redis.pid).to.not.equal(pid);
    await withRedis(redis.url, async (client) => expect(await client.get('kept')).to.equal('yes'));
  });

  it('have a database that comes back at its own port after a kill, with what it had', async () => {
    const { database, migrationUrl } = stores;
    const query = async (sql: string): Promise<unknown> => {
      const connection = await createConnection(migrationUrl);
      const [rows] = await connection.query(sql).finally(() => connection.destroy());
      return rows;
    };
    await query('CREATE TABLE kept (n INT)');
    const { pid } = database;
    await database.killAndRestart(50, () => undefined);
    expect(database.pid).to.not.equal(pid);
    expect(await query('SELECT n FROM kept')).to.deep.equal([]);
  });

  it('end the run when one of them is somewhere else afterwards', async () => {
    const { pid = 0 } = spawn('sleep', ['60'], { stdio: 'ignore' });
    const moved = async () => ({ port: 2, pid });
    const server = new KillableServer('redis-server', 'redis://…', { port: 1, pid }, moved);
    const said = await server
      .killAndRestart(0, () => undefined)
      .catch((error: Error) => error.message);
    expect(said).to.equal('redis-server is at port 2 now');
  });
});

async function withRedis(url: string, work: (client: Redis) => Promise<unknown>): Promise<void> {
  const client = new Redis(url, { maxRetriesPerRequest: 1 });
  client.on('error', () => undefined);
  try {
    await work(client);
  } finally {
    client.disconnect();
  }
}
