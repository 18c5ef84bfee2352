import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { expect } from 'chai';
import { openChannel, type OpenChannel } from '../../src/channels/open-channel.js';
import type { ChannelProfile } from '../../src/channels/profile.js';
import { practiceOrder, practiceProfiles } from './practice.js';
import { closedPort, WireServer } from './wire-server.js';

const notSent = { kind: 'not_executed', proof: 'not_sent' };
const chargeMs = 600;

describe('The proof that an order was not sent', () => {
  const opened: OpenChannel[] = [];
  const servers: WireServer[] = [];
  /** Everything undici has begun to write, by its own account: a second witness. */
  let written = '';
  const listen = (message: unknown): void => {
    const { request } = message as { request: { body?: Buffer } };
    written += String(request.body);
  };

  before(() => subscribe('undici:client:sendHeaders', listen));
  after(() => unsubscribe('undici:client:sendHeaders', listen));

  afterEach(async () => {
    await Promise.all(opened.splice(0).map(({ shutDown }) => shutDown()));
    await Promise.all(servers.splice(0).map((server) => server.stop()));
  });

  function open(baseUrl: string, changes: Partial<ChannelProfile> = {}): OpenChannel['channel'] {
    const [swiftpay] = practiceProfiles();
    const profile: ChannelProfile = {
      ...swiftpay!,
      base_url: baseUrl,
      timeouts: { charge_ms: chargeMs, query_ms: chargeMs, close_ms: chargeMs },
      ...changes,
    };
    const channel = openChannel(profile, { RECOUP_SANDBOX_SWIFTPAY_HMAC_KEY: 'key' });
    opened.push(channel);
    return channel.channel;
  }

  async function serve(behave: (socket: Socket, nth: number) => void): Promise<WireServer> {
    const server = await WireServer.start(behave);
    servers.push(server);
    return server;
  }

  it('is given by a refused connection, for each of many at once, without waiting', async () => {
    const timeouts = { charge_ms: 6_000, query_ms: 6_000, close_ms: 6_000 };
    const url = `http://127.0.0.1:${await closedPort()}`;
    const channel = open(url, { concurrency_max: 8, timeouts });
    const startedMs = performance.now();
    const answers = await Promise.all(
      Array.from({ length: 200 }, () => channel.charge(practiceOrder('swiftpay'))),
    );
    for (const answer of answers) expect(answer).to.deep.equal(notSent);
    expect(performance.now() - startedMs).to.be.below(3_000);
  });

  it('is given by a name that does not resolve', async () => {
    const channel = open('http://no-such-channel.invalid');
    expect(await channel.charge(practiceOrder('swiftpay'))).to.deep.equal(notSent);
  });

  it('is given by a TLS handshake that fails', async () => {
    const server = await serve((socket) => socket.once('data', () => socket.end('no TLS here')));
    const channel = open(`https://127.0.0.1:${server.port}`);
    expect(await channel.charge(practiceOrder('swiftpay'))).to.deep.equal(notSent);
  });

  it('is given by a TLS handshake that never ends, in half of the time-out', async () => {
    const server = await serve(() => undefined);
    const channel = open(`https://127.0.0.1:${server.port}`);
    const startedMs = performance.now();
    expect(await channel.charge(practiceOrder('swiftpay'))).to.deep.equal(notSent);
    expect(performance.now() - startedMs).to.be.within(chargeMs / 2 - 20, chargeMs * 5);
  });

  it('is given when every connection is busy, and the order does not leave later', async () => {
    const server = await serve(() => undefined);
    const channel = open(`http://127.0.0.1:${server.port}`, { concurrency_max: 2 });
    const first = practiceOrder('swiftpay');
    const second = practiceOrder('swiftpay');
    const sent = channel.charge(first);
    expect(await channel.charge(second)).to.deep.equal(notSent);
    expect(await sent).to.include({ kind: 'unknown', why: 'timeout' });
    // The connection is free again: whoever was still in some queue would go now.
    const third = practiceOrder('swiftpay');
    await channel.charge(third);
    expect(server.heard).to.include(first.orderNo).and.to.include(third.orderNo);
    expect(server.heard).not.to.include(second.orderNo);
  });

  it('is given when this process stalls before the first byte, and the order does not leave later', async () => {
    const server = await serve(() => undefined);
    const channel = open(`http://127.0.0.1:${server.port}`);
    const order = practiceOrder('swiftpay');
    const answer = channel.charge(order);
    await new Promise((resolve) => process.nextTick(resolve));
    // The kernel connects meanwhile; the loop learns first that time is up, then that it may send.
    const until = performance.now() + chargeMs / 2 + 50;
    while (performance.now() < until);
    expect(await answer).to.deep.equal(notSent);
    const next = practiceOrder('swiftpay');
    await channel.charge(next);
    expect(server.heard).to.include(next.orderNo).and.not.to.include(order.orderNo);
  });

  it('is not given by a reset after the first byte may have left', async () => {
    const server = await serve((socket) => socket.resetAndDestroy());
    const channel = open(`http://127.0.0.1:${server.port}`);
    const orders = Array.from({ length: 60 }, () => practiceOrder('swiftpay'));
    const answers = await Promise.all(orders.map((order) => channel.charge(order)));
    // The reset may come before or after; the server cannot tell, but the answer must.
    for (const [i, { orderNo }] of orders.entries()) {
      expect(answers[i]?.kind).to.equal(written.includes(orderNo) ? 'unknown' : 'not_executed');
    }
  });

  it('is not given by a kept connection that turns out to be dead', async () => {
    const answer = 'HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n';
    const server = await serve((socket) => {
      let requests = 0;
      socket.on('data', () => {
        requests += 1;
        if (requests === 1) socket.write(answer);
        else socket.resetAndDestroy();
      });
    });
    const channel = open(`http://127.0.0.1:${server.port}`, { concurrency_max: 1 });
    await channel.charge(practiceOrder('swiftpay'));
    const second = practiceOrder('swiftpay');
    expect(await channel.charge(second)).to.include({ kind: 'unknown', why: 'connection_lost' });
    expect(server.heard).to.include(second.orderNo);
    // Once, and on that connection: nobody tried again behind our back.
    expect(server.heard.split(second.orderNo)).to.have.lengthOf(2);
    expect(server.connections).to.equal(1);
  });

  it('is not given when the channel goes away between two orders on one connection', async () => {
    const sockets: Socket[] = [];
    const server = await serve((socket) => {
      sockets.push(socket);
      socket.on('data', () => socket.write('HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n'));
    });
    const channel = open(`http://127.0.0.1:${server.port}`, { concurrency_max: 1 });
    await channel.charge(practiceOrder('swiftpay'));
    sockets[0]?.destroy();
    await once(sockets[0]!, 'close');
    const second = practiceOrder('swiftpay');
    const said = await channel.charge(second);
    // Either the loss was noticed in time and a new connection carried it, or nothing is known.
    expect(said.kind).to.equal('unknown');
  });

  it('never stands against what the other side heard, however it behaves', async () => {
    const behaviours: ((socket: Socket) => void)[] = [
      (socket) => socket.resetAndDestroy(),
      (socket) => socket.destroy(),
      (socket) => socket.once('data', () => socket.resetAndDestroy()),
      (socket) => socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\ncontent-le')),
      (socket) =>
        socket.on('data', () => socket.write('HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n')),
      (socket) => void socket.pause(),
      (socket) => void setTimeout(() => socket.resetAndDestroy(), 5),
      (socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nearly'),
    ];
    const server = await serve((socket, nth) => behaviours[nth % behaviours.length]?.(socket));
    const channel = open(`http://127.0.0.1:${server.port}`, { concurrency_max: 12 });
    const orders = Array.from({ length: 250 }, () => practiceOrder('swiftpay'));
    const answers = await Promise.all(orders.map((order) => channel.charge(order)));
    const kinds = new Set(answers.map(({ kind }) => kind));
    expect([...kinds].every((kind) => kind === 'unknown' || kind === 'not_executed')).to.equal(
      true,
    );
    for (const [i, order] of orders.entries()) {
      if (answers[i]?.kind === 'not_executed') {
        expect(server.heard).not.to.include(order.orderNo);
        expect(written).not.to.include(order.orderNo);
      }
      // Nor was anything sent twice.
      expect(server.heard.split(`"order_no":"${order.orderNo}"`).length).to.be.at.most(2);
    }
  });

  it('is for charges alone: a question that was not sent leaves everything open', async () => {
    const channel = open(`http://127.0.0.1:${await closedPort()}`);
    expect(await channel.query(practiceOrder('swiftpay'))).to.include({ kind: 'unknown' });
  });

  it('is given for an order that cannot be written down', async () => {
    const server = await serve(() => undefined);
    const channel = open(`http://127.0.0.1:${server.port}`);
    const order = practiceOrder('swiftpay', { amountMinor: (2n ** 60n) as never });
    expect(await channel.charge(order)).to.deep.equal(notSent);
    expect(server.connections).to.equal(0);
  });
});
