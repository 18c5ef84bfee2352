import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { stub } from 'sinon';
import { BreakingProxy } from '../../src/chaos/breaking-proxy.js';
import { until } from '../sandbox/sandbox-process.js';

/** A query as MariaDB's clients send it; the length does not matter here. */
const query = (sql: string): Buffer => Buffer.from(`\0\0\0\0\u0003${sql}`);
const ok = (more: boolean): Buffer => Buffer.from([7, 0, 0, 1, 0, 0, 0, more ? 10 : 2, 0, 0, 0]);
const okPacket = ok(false);
const refused = Buffer.from([9, 0, 0, 2, 0xff, 0x26, 0x04, 35, 50, 51, 48, 48, 48]);
const transaction = 'BEGIN;INSERT INTO execution_log (task_id) VALUES (1);COMMIT';

describe('The breaking proxy', () => {
  let server: Server;
  let proxy: BreakingProxy;
  let port = 0;
  let heard: string[] = [];
  /** What the server says to the next request, a piece a turn. */
  let answers: Buffer[] = [];
  const clients: Socket[] = [];

  beforeEach(async () => {
    heard = [];
    answers = [];
    server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.on('data', (sent: Buffer) => {
        heard.push(sent.toString('latin1', 5));
        const pieces = answers.length === 0 ? [okPacket] : answers.splice(0);
        void (async () => {
          for (const piece of pieces) {
            socket.write(piece);
            await delay(5);
          }
        })();
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
    await ask(client, 'BEGIN;UPDATE batch_item SET state = 1;COMMIT');
    expect(proxy.logCommits).to.have.length(0);
    await ask(client, transaction);
    expect(proxy.logCommits).to.have.length(1);
    answers = [refused];
    await ask(client, transaction);
    expect(proxy.logCommits, 'one that was refused is none').to.have.length(1);
  });

  it('swallows the last answer of a transaction that the server has done', async () => {
    const client = await open();
    const struck = proxy.cutCommit('reply', 30_000);
    await ask(client, 'BEGIN;UPDATE batch_item SET state = 1;COMMIT');
    // In pieces that end where no packet does.
    const all = Buffer.concat([ok(true), ok(true), ok(false)]);
    answers = [all.subarray(0, 5), all.subarray(5, 24), all.subarray(24)];
    const got: Buffer[] = [];
    client.on('data', (piece: Buffer) => got.push(piece));
    const cut = once(client, 'close');
    client.write(query(transaction));
    await cut;
    expect(await struck).to.be.a('number');
    expect(heard.at(-1)).to.equal(transaction);
    expect(Buffer.concat(got).length, 'the last answer is kept').to.be.lessThan(all.length);
    expect(proxy.logCommits).to.have.length(0);
  });

  it('cuts before a transaction arrives', async () => {
    const client = await open();
    const struck = proxy.cutCommit('request', 30_000);
    await ask(client, 'SELECT 1');
    expect(await ask(client, transaction)).to.equal(null);
    expect(await struck).to.be.a('number');
    await delay(20);
    expect(heard.at(-1)).to.equal('SELECT 1');
  });

  it('waits no longer for a commit than it is told', async () => {
    expect(await proxy.cutCommit('reply', 10)).to.equal(null);
    expect(proxy.takeArmed()).to.equal(null);
  });

  it('cuts all, half closes with and without telling, and keeps the order when slow', async () => {
    const [cut, told, deaf, slow] = [await open(), await open(), await open(), await open()];
    for (const client of [cut, told, deaf, slow]) await ask(client, 'SELECT 1');
    // Of what it was told, as the proxy takes it, the first is to be late and all after it in time.
    const delays = [30];
    let taken = 0;
    stub(proxy, 'delayMs').get(() => {
      taken += 1;
      return delays.shift() ?? 0;
    });
    slow.write(query('SELECT 2'));
    await until('the proxy to have it', async () => taken > 0);
    slow.write(query('SELECT 3'));
    await until('both', async () => heard.at(-1) === 'SELECT 3');
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
