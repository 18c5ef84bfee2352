import { expect } from 'chai';
import { once } from 'node:events';
import { connect, type AddressInfo } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { spy } from 'sinon';
import type { Order } from '../../src/engine/order.js';
import { createHttpServer } from '../../src/http/server.js';
import { until } from '../sandbox/sandbox-process.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import { Api, unionAccount, type Json, type LogLine } from './api.js';

describe('the HTTP server', () => {
  let api: Api;

  before(async () => {
    api = await Api.start();
  });
  after(async () => api.close());
  afterEach(async () => api.environment.sandbox.clearFaults());

  /** A second server, on services of its own or on the first one's. */
  async function listen(server: FastifyInstance): Promise<string> {
    await server.listen({ port: 0, host: '127.0.0.1' });
    return `http://127.0.0.1:${(server.server.address() as AddressInfo).port}`;
  }

  const ask = async (base: string, path: string, init: RequestInit = {}) => {
    const response = await fetch(base + path, {
      ...init,
      headers: { authorization: 'Bearer secret-app', ...(init.headers as object) },
    });
    return { status: response.status, headers: response.headers, text: await response.text() };
  };

  const deduct = async (base: string, repaymentId: string, headers: object = {}) =>
    await ask(base, '/v1/deductions', {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'idempotency-key': `to-${repaymentId}`,
        ...headers,
      },
      body: JSON.stringify({ repayment_id: repaymentId }),
    });

  it('is healthy and ready', async () => {
    expect((await api.call('GET', '/healthz')).body).to.deep.equal({ status: 'ok' });
    const ready = await api.call('GET', '/readyz');
    expect(ready.status).to.equal(200);
    expect(ready.body).to.deep.equal({
      status: 'ready',
      database: 'ok',
      redis: 'ok',
      channels: 3,
    });
    const head = await api.call('HEAD', '/healthz');
    expect([head.status, head.text]).to.deep.equal([200, '']);
  });

  it('is not ready on a schema that lacks a migration', async () => {
    const [last] = await api.rows('SELECT * FROM schema_migration ORDER BY id DESC LIMIT 1');
    const name = String(last?.['name']);
    await api.environment.owner.raw('UPDATE schema_migration SET name = ? WHERE name = ?', [
      'other',
      name,
    ]);
    try {
      const ready = await api.call('GET', '/readyz');
      expect(ready.status).to.equal(503);
      expect(ready.body).to.include({ status: 'not_ready', database: 'schema_outdated' });
    } finally {
      await api.environment.owner.raw('UPDATE schema_migration SET name = ? WHERE name = ?', [
        name,
        'other',
      ]);
    }
  });

  it('says that the database is away without saying more, and is back with it', async () => {
    const { databaseUrl } = api.environment.config;
    const { proxy, url } = await inFrontOf(databaseUrl, '3306');
    const services = await api.environment.compose({ config: { databaseUrl: url }, log: api.log });
    const server = createHttpServer(services);
    const base = await listen(server);
    try {
      expect((await ask(base, '/readyz')).status).to.equal(200);
      proxy.down = true;
      const { id } = await api.environment.repayment();
      const told = api.lines.length;
      const answers = await Promise.all([
        ask(base, '/healthz'),
        ask(base, '/readyz'),
        ask(base, '/v1/deductions'),
        deduct(base, id),
      ]);
      expect(answers.map(({ status }) => status)).to.deep.equal([200, 503, 503, 503]);
      expect(JSON.parse(answers[1].text)).to.include({ database: 'unreachable' });
      for (const { text, headers } of answers.slice(2)) {
        expect(JSON.parse(text)).to.include({ code: 'journal_unavailable' });
        expect(headers.get('retry-after')).to.match(/^\d+$/);
        expect(text).not.to.match(/mysql|knex|ECONN|SELECT|127\.0\.0\.1|\.js:/i);
      }
      const lines = api.lines.slice(told).filter(({ message }) => message.startsWith('request '));
      // Expected where a store is away: no error of ours, and no stack.
      const put = lines.filter(({ fields }) => fields['code'] === 'journal_unavailable');
      expect(put.map(({ level }) => level)).to.deep.equal(['warn', 'warn']);
      expect(lines.filter(({ level }) => level === 'error')).to.deep.equal([]);
      proxy.down = false;
      await until('ready again', async () => (await ask(base, '/readyz')).status === 200, 15_000);
      expect((await deduct(base, id, { prefer: 'wait=10' })).status).to.equal(200);
    } finally {
      await server.close();
      await proxy.close();
    }
  });

  it('is ready, and collects, without Redis', async () => {
    const { proxy, url } = await inFrontOf(api.environment.config.redisUrl, '6379');
    const services = await api.environment.compose({ config: { redisUrl: url } });
    const server = createHttpServer(services);
    const base = await listen(server);
    try {
      proxy.down = true;
      const ready = await ask(base, '/readyz');
      expect(ready.status).to.equal(200);
      expect(JSON.parse(ready.text)).to.include({ status: 'ready', redis: 'degraded' });
      const { id } = await api.environment.repayment();
      const answer = await deduct(base, id, { prefer: 'wait=20' });
      expect(JSON.parse(answer.text)).to.include({ status: 'succeeded' });
    } finally {
      proxy.down = false;
      await until('redis is back', () =>
        services.redis.ping().then(
          () => true,
          () => false,
        ),
      );
      await server.close();
      await proxy.close();
    }
  });

  it('takes on only so many runs, and says when to come again', async () => {
    let letGo = (): void => undefined;
    const held = new Promise<void>((resolve) => (letGo = resolve));
    const services = await api.environment.compose({
      wrappers: {
        channels: (inner) => ({
          get: (id) => {
            const channel = inner.get(id);
            const charge = async (order: Order) => {
              await held;
              return await channel!.charge(order);
            };
            return channel && { ...channel, charge };
          },
        }),
      },
    });
    const server = createHttpServer(services, { runsMax: 1 });
    const base = await listen(server);
    const [one, two] = [await api.environment.repayment(), await api.environment.repayment()];
    const first = await deduct(base, one.id);
    expect(first.status).to.equal(202);
    const before = await api.counts();
    const refused = await deduct(base, two.id);
    expect(refused.status).to.equal(503);
    expect(JSON.parse(refused.text)).to.include({ code: 'overloaded' });
    expect(refused.headers.get('retry-after')).to.equal('1');
    expect(await api.counts()).to.deep.equal(before);
    const reads = spy(services.deductions, 'findByRequest');
    expect((await deduct(base, two.id)).status).to.equal(503);
    expect(reads.callCount, 'reads for what is not taken on').to.equal(0);
    reads.restore();
    letGo();
    const taken = await until('a place', async () => {
      const answer = await deduct(base, two.id);
      return answer.status !== 503 && answer;
    });
    expect(taken.status).to.equal(202);
    await server.close();
  });

  it('holds only so many callers for a channel, and answers the others at once', async () => {
    const server = createHttpServer(api.services, { waitingMax: 1 });
    const base = await listen(server);
    await api.holdBack();
    const answers = await Promise.all(
      Array.from({ length: 4 }, async () => {
        const { id } = await api.environment.repayment({ account: unionAccount });
        return await deduct(base, id, { prefer: 'wait=2' });
      }),
    );
    expect(answers.map(({ status }) => status)).to.deep.equal([202, 202, 202, 202]);
    const held = answers.filter(({ headers }) => headers.has('preference-applied'));
    expect(held).to.have.length(1);
    await server.close();
  });

  it('closes by answering those who wait and ending what it runs', async () => {
    const services = await api.environment.compose();
    const server = createHttpServer(services);
    const base = await listen(server);
    await api.environment.sandbox.setFaults([
      { channel: 'swiftpay', operation: 'charge', fault: 'timeout_after' },
      {
        channel: 'unionlink',
        operation: 'charge',
        fault: 'contradiction',
        params: { outcome: 'processing' },
      },
    ]);
    const [held, hung] = [
      await api.environment.repayment({ account: unionAccount }),
      await api.environment.repayment(),
    ];
    const waiting = deduct(base, held.id, { prefer: 'wait=60' });
    const running = await deduct(base, hung.id);
    const runningId = (JSON.parse(running.text) as Json)['id'] as string;
    await until('both under way', async () => {
      const [row] = await api.rows(
        'SELECT COUNT(*) AS n FROM attempt WHERE task_id IN (SELECT id FROM deduction WHERE repayment_id IN (?, ?))',
        [held.id, hung.id],
      );
      return Number(row?.['n']) === 2;
    });
    await server.close();
    const answer = await waiting;
    expect([answer.status, (JSON.parse(answer.text) as Json)['status']]).to.deep.equal([
      202,
      'processing',
    ]);
    // The charge that hung has been answered for: its run is over, and its outcome is in the log.
    const kinds = await api.rows('SELECT kind FROM execution_log WHERE task_id = ? ORDER BY seq', [
      runningId,
    ]);
    expect(kinds.map(({ kind }) => kind)).to.include('replied');
    const refused = await ask(base, '/healthz').catch((error: Error) => error);
    expect(refused).to.be.instanceOf(Error);
  });

  it('gives away nothing of what it did not expect', async () => {
    const { deductions } = api.services;
    const original = deductions.list.bind(deductions);
    deductions.list = async () => {
      throw new TypeError('the account tok_very_secret_1 of 6222021234567890123');
    };
    try {
      const answer = await api.call('GET', '/v1/deductions', { as: 'app' });
      expect(answer.status).to.equal(500);
      expect(Object.keys(answer.body).sort()).to.deep.equal([
        'action',
        'code',
        'detail',
        'request_id',
        'status',
        'title',
        'type',
      ]);
      expect(answer.body).to.include({ code: 'internal' });
      const line = api.lines.find(
        ({ fields }) => fields['request_id'] === answer.body['request_id'] && 'at' in fields,
      );
      expect(line).to.deep.include({ level: 'error', message: 'request failed' });
      expect(line?.fields).to.include({ error: 'TypeError', code: undefined });
      expect(JSON.stringify(line)).not.to.match(/secret|6222/);
      expect(JSON.stringify(line?.fields['at'])).to.match(/server\.test/);
    } finally {
      deductions.list = original;
    }
  });

  for (const [name, text, status, code] of [
    [
      'headers beyond the limit',
      `GET / HTTP/1.1\r\nx: ${'x'.repeat(40_000)}\r\n\r\n`,
      431,
      'headers_too_large',
    ],
    ['what is no HTTP', 'HELLO\r\n\r\n', 400, 'malformed_request'],
    [
      'two lengths',
      'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n',
      400,
      'malformed_request',
    ],
  ] as const) {
    it(`answers ${name} with a problem, too: ${code}`, async () => {
      const socket = connect(Number(new URL(api.base).port), '127.0.0.1');
      let answer = '';
      socket.setEncoding('utf8').on('data', (chunk: string) => (answer += chunk));
      socket.on('error', () => undefined);
      socket.write(text);
      await once(socket, 'close');
      const [head = '', body = ''] = answer.split('\r\n\r\n');
      expect(head).to.match(new RegExp(`^HTTP/1.1 ${status} `));
      expect(head).to.include('application/problem+json');
      expect(JSON.parse(body)).to.include({ code, status });
    });
  }

  /** It is logged once the answer is out: the caller may be sooner. */
  const lineOf = async (answered: Headers): Promise<LogLine> =>
    await until('the line', async () =>
      api.lines.find(
        ({ message, fields }) =>
          message === 'request' && fields['request_id'] === answered.get('x-request-id'),
      ),
    );

  it('logs requests by route, key and outcome, and nothing of what was in them', async () => {
    const path = '/v1/repayments/rp_6222021234567890123?x=1';
    const { headers } = await api.call('GET', path, { as: 'agent' });
    const line = await lineOf(headers);
    expect(line.fields).to.include({
      method: 'GET',
      route: '/v1/repayments/:id',
      status: 404,
      key_id: 'key_agent',
    });
    expect(Object.keys(line.fields).sort()).to.deep.equal([
      'key_id',
      'method',
      'ms',
      'request_id',
      'route',
      'status',
    ]);
  });

  it('believes no address that a caller claims to be at', async () => {
    const { status, headers } = await api.call('GET', '/healthz', {
      headers: { 'x-forwarded-for': '10.0.0.1', 'x-request-id': 'mine' },
    });
    expect(status).to.equal(200);
    expect(headers.get('x-request-id')).not.to.equal('mine');
    const { level, fields } = await lineOf(headers);
    expect(level).to.equal('debug');
    expect(JSON.stringify(fields)).not.to.match(/mine|10\.0\.0\.1/);
  });
});

async function inFrontOf(address: string, usualPort: string) {
  const url = new URL(address);
  const proxy = new TcpProxy(url.hostname, Number(url.port || usualPort));
  url.hostname = '127.0.0.1';
  url.port = String(await proxy.listen());
  return { proxy, url: url.href };
}
