import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { BreakingProxy } from '../../src/chaos/breaking-proxy.js';

/** A query as MariaDB's clients send it; the length does not matter here. */
const query = (sql: string): Buffer => Buffer.from(`\0\0\0\0\u0003${sql}`);
const okPacket = Buffer.from([7, 0, 0, 1, 0, 0, 0]);

describe('The breaking proxy', () => {
  let server: Server;
  let proxy: BreakingProxy;
  let port = 0;
  let heard: string[] = [];
  const clients: Socket[] = [];

  beforeEach(async () => {
    heard = [];
    server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.on('data', (sent: Buffer) => {
        heard.push(sent.toString('latin1', 5));
        socket.write(okPacket);
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    proxy = new BreakingProxy((server.address() as AddressInfo).port);
    port = await proxy.listen();
  });
  afterEach(() => {
    for (const client of clients.splice(0)) client.destroy();
    proxy.close();
    server.close();
  });

  async function open(): Promise<Socket> {
    const client = connect(port, '127.0.0.1');
    client.on('error', () => undefined);
    clients.push(client);
    await once(client, 'connect');
    return client;
  }

  /** Null when the connection was cut instead. */
  async function ask(client: Socket, sql: string): Promise<Buffer | null> {
    const answer = once(client, 'data').then(([data]) => data as Buffer);
    const cut = once(client, 'close').then(() => null);
    client.write(query(sql));
    return await Promise.race([answer, cut]);
  }

  it('passes on what is said, and notes commits of log entries alone', async () => {
    const client = await open();
    expect(await ask(client, 'UPDATE batch_item SET state = 1')).to.eql(okPacket);
    await ask(client, 'COMMIT;');
    expect(proxy.logCommits).to.have.length(0);
    await ask(client, 'INSERT INTO execution_log (task_id) VALUES (1)');
    await ask(client, 'COMMIT;');
    expect(proxy.logCommits).to.have.length(1);
  });

  it('swallows the reply to a commit that the server has done', async () => {
    const client = await open();
    const struck = proxy.cutCommit('reply', 1_000);
    await ask(client, 'COMMIT;');
    await ask(client, 'INSERT INTO execution_log (task_id) VALUES (1)');
    expect(await ask(client, 'COMMIT;')).to.equal(null);
    expect(await struck).to.be.a('number');
    expect(heard.at(-1)).to.equal('COMMIT;');
    expect(proxy.logCommits).to.have.length(0);
  });

  it('cuts before a commit arrives', async () => {
    const client = await open();
    const struck = proxy.cutCommit('request', 1_000);
    await ask(client, 'INSERT INTO execution_log (task_id) VALUES (1)');
    expect(await ask(client, 'COMMIT;')).to.equal(null);
    expect(await struck).to.be.a('number');
    await delay(20);
    expect(heard.at(-1)).to.match(/^INSERT/);
  });

  it('waits no longer for a commit than it is told', async () => {
    expect(await proxy.cutCommit('reply', 10)).to.equal(null);
    expect(proxy.takeArmed()).to.equal(null);
  });

  it('cuts all, half closes with and without telling, and keeps the order when slow', async () => {
    const [cut, told, deaf, slow] = [await open(), await open(), await open(), await open()];
    for (const client of [cut, told, deaf, slow]) await ask(client, 'SELECT 1');
    proxy.delayMs = 30;
    const answered = once(slow, 'data');
    slow.write(query('SELECT 2'));
    await delay(5);
    proxy.delayMs = 0;
    slow.write(query('SELECT 3'));
    await answered;
    await delay(20);
    expect(heard.slice(-2)).to.eql(['SELECT 2', 'SELECT 3']);

    let ended = 0;
    deaf.on('close', () => (ended += 1));
    proxy.halfCloseAll(true);
    await delay(30);
    expect(ended).to.equal(0);

    const gone = once(await open(), 'close');
    proxy.cutAll();
    await gone;
  });
});
