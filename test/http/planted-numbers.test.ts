import { createHmac } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { Redis } from 'ioredis';
import { until } from '../sandbox/sandbox-process.js';
import { Api, type Call } from './api.js';

const card = '6222020200112233442';
const identity = '11010519491231002X';
const phone = '13800138000';
const numbers = [card, identity, phone];
/** As they are, and as somebody may write them. */
const planted = [
  ...numbers,
  ...numbers.map((number) => number.replaceAll(/(.{4})/g, '$1 ').trim()),
  ...numbers.map((number) => number.replaceAll(/(.{4})/g, '$1-')),
];

/** A field each, and once in groups: the sweep looks for every form. */
const said = [...numbers, planted[3]!];

/** As it was put in: what DUMP gives is compressed, and a number in it need not be seen. */
async function valueOf(redis: Redis, key: string): Promise<unknown> {
  const type = await redis.type(key);
  switch (type) {
    case 'string':
      return await redis.get(key);
    case 'hash':
      return await redis.hgetall(key);
    case 'list':
      return await redis.lrange(key, 0, -1);
    case 'set':
      return await redis.smembers(key);
    case 'zset':
      return await redis.zrange(key, 0, '-1');
    case 'stream':
      return await redis.xrange(key, '-', '+');
    default:
      // A lock that ran out meanwhile.
      expect(type).to.equal('none');
      return null;
  }
}

/** Says what it is told to, well signed where a signature is asked for. */
class HostileChannel {
  answer: (request: Record<string, unknown>) => { status?: number; signed?: boolean; body: string };
  key = '';
  readonly #server: Server = createServer((request, response) => {
    let text = '';
    request.on('data', (chunk: Buffer) => (text += chunk.toString()));
    request.on('end', () => {
      const asked = JSON.parse(text) as Record<string, unknown>;
      const { status = 200, signed = true, body } = this.answer(asked);
      const stamp = String(Date.now());
      const hmac = createHmac('sha256', this.key).update(`${stamp}.${body}`).digest('hex');
      response.writeHead(status, {
        'x-timestamp': stamp,
        'x-signature': signed ? hmac : card,
        'x-planted': `${card} ${identity} ${phone}`,
      });
      response.end(body);
    });
  });

  constructor() {
    this.answer = () => ({ body: '{}' });
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

describe('Planted card, identity and telephone numbers', () => {
  const channel = new HostileChannel();
  const texts: string[] = [];
  let api: Api;

  before(async () => {
    const url = await channel.listen();
    api = await Api.start({
      config: { metricsPort: 0 },
      environment: {
        adjust: (profile) => {
          if (profile['id'] === 'swiftpay') profile['base_url'] = url;
        },
      },
    });
    channel.key = api.environment.env['RECOUP_SANDBOX_SWIFTPAY_HMAC_KEY']!;
    await api.services.notices.desk.add(
      {
        id: 'crm',
        url: 'https://crm.example.com/',
        types: '*',
        secretEnvs: ['RECOUP_NOTICE_SECRET_CRM'],
      },
      'test',
    );
  });
  after(async () => {
    await api.close();
    channel.close();
  });

  const say = async (method: string, path: string, call: Call = {}) => {
    const answer = await api.call(method, path, call);
    texts.push(answer.text, JSON.stringify([...answer.headers]));
    return answer;
  };

  async function deduct(headers = {}): Promise<string> {
    const { id } = await api.environment.repayment();
    const answer = await api.deduct({ repayment_id: id }, { headers });
    texts.push(answer.text);
    return String(answer.body['id']);
  }

  const truth = (asked: Record<string, unknown>) => ({
    code: 'OK',
    message: 'done',
    merchant_id: 'M-RECOUP-01',
    order_no: asked['order_no'],
    amount: 120_000,
    currency: 'CNY',
    channel_ref: 'SW0001',
  });
  const fields = [
    'code',
    'message',
    'merchant_id',
    'order_no',
    'amount',
    'currency',
    'channel_ref',
  ];

  it('in any field of an answer, signed or not, read or not', async () => {
    for (const number of said) {
      const lies = fields.map((field) => (asked: Record<string, unknown>) => ({
        body: JSON.stringify({ ...truth(asked), [field]: number, [number]: number }),
      }));
      const declines = ['INSUFFICIENT_FUNDS', 'RISK_REFUSED', 'THROTTLED', number].map(
        (code) => (asked: Record<string, unknown>) => ({
          body: JSON.stringify({ ...truth(asked), code, message: `ask ${number}` }),
        }),
      );
      const noise = [
        () => ({ body: `{"code":"OK","message":"${number}"}`, signed: false }),
        () => ({ body: number }),
        () => ({ body: `<h1>${number}</h1>`, status: 502 }),
        () => ({ body: `{"${number}":`, status: 429 }),
        () => ({ body: JSON.stringify({ code: number, order_no: number, amount: number }) }),
      ];
      for (const answer of [...lies, ...declines, ...noise]) {
        channel.answer = answer;
        const id = await deduct();
        await until('it was charged', async () => {
          const rows = await api.rows(
            `SELECT 1 FROM execution_log WHERE task_id = ? AND kind = 'replied'`,
            [id],
          );
          return rows.length > 0;
        });
      }
    }
  });

  it('in any field of a callback, signed or not', async () => {
    channel.answer = (asked) => ({
      body: JSON.stringify({ ...truth(asked), code: 'PROCESSING' }),
    });
    let count = 0;
    for (const number of said) {
      for (const field of [...fields, 'unknown_field']) {
        const id = await deduct();
        const orderNo = await until('the order', async () => {
          const [row] = await api.rows('SELECT order_no FROM attempt WHERE task_id = ?', [id]);
          return row && String(row['order_no']);
        });
        for (const code of ['OK', 'INSUFFICIENT_FUNDS']) {
          const content = { ...truth({ order_no: orderNo }), code, [field]: number };
          const body = JSON.stringify(content);
          const [stamp, nonce] = [String(Date.now()), `nonce-${(count += 1)}-of-the-test`];
          const hmac = createHmac('sha256', channel.key).update(`${stamp}.${nonce}.${body}`);
          const names = { 'x-timestamp': stamp, 'x-nonce': nonce };
          const headers = { ...names, 'x-signature': hmac.digest('hex') };
          await say('POST', '/v1/callbacks/swiftpay', { headers, body });
          const forged = { ...headers, 'x-signature': number, 'x-nonce': number };
          await say('POST', '/v1/callbacks/swiftpay', { headers: forged, body });
        }
      }
    }
  });

  it('in what callers write: reasons, keys, names, ids', async () => {
    const { id } = await api.environment.repayment();
    for (const number of planted) {
      const asked = { repayment_id: id, reason: `call her on ${number} first` };
      const reason = await api.deduct(asked, { as: 'agent' });
      expect(reason.status, number).to.equal(422);
      const plain = number.replaceAll(' ', '');
      channel.answer = (order) => ({ body: JSON.stringify(truth(order)) });
      await deduct({ 'idempotency-key': plain });
      const own = (fieldsOf: object) => ({
        repayments: [
          {
            id: 'rp_planted',
            borrower_id: 'bw_planted',
            currency: 'CNY',
            due_minor: 90_000,
            due_date: '2026-11-22',
            bank_code: 'ICBC',
            account_token: 'tok_ok_planted',
            account_last4: '0123',
            ...fieldsOf,
          },
        ],
      });
      for (const body of [own({ id: plain }), own({ borrower_id: plain })]) {
        expect((await say('POST', '/v1/repayments', { as: 'operator', body })).status).to.equal(
          422,
        );
      }
      const named = `/v1/batches?name=${encodeURIComponent(`of ${number}`)}`;
      const csv = { 'content-type': 'text/csv' };
      await say('POST', named, { as: 'batch', headers: csv, body: `${number},${number}\n` });
      texts.push(reason.text);
    }
  });

  it('are in no table', async () => {
    await Promise.all([api.services.calls.flush(), api.services.callbacks.flush()]);
    const tables = await api.rows('SHOW FULL TABLES WHERE Table_type = "BASE TABLE"');
    const told = await api.rows('SELECT COUNT(*) AS n FROM notice');
    expect(Number(told[0]?.['n'])).to.be.above(10);
    const journalled = await api.rows('SELECT COUNT(*) AS n FROM channel_call');
    expect(Number(journalled[0]?.['n'])).to.be.above(100);
    for (const table of tables.map((row) => String(Object.values(row)[0]))) {
      const rows = JSON.stringify(await api.rows(`SELECT * FROM ${table}`));
      for (const number of planted)
        expect(rows.includes(number), `${number} in ${table}`).to.equal(false);
    }
  });

  it('are in no answer of ours, and in no line of the log', async () => {
    for (const { id } of await api.rows('SELECT id FROM deduction')) {
      await say('GET', `/v1/deductions/${String(id)}`, { as: 'operator' });
      await say('GET', `/v1/deductions/${String(id)}/calls`, { as: 'operator' });
    }
    await say('GET', '/v1/cases', { as: 'operator' });
    await say('GET', '/v1/notices?limit=500', { as: 'operator' });
    for (const number of planted) {
      await say('GET', `/${encodeURIComponent(number)}`);
      await say('GET', `/v1/deductions/${encodeURIComponent(number)}`, { as: 'operator' });
    }
    const scrape = await (await fetch(await api.services.metrics!.listen())).text();
    expect(scrape).to.include('recoup_callbacks_total{channel="swiftpay",verdict="forged"}');
    expect(scrape).to.include('recoup_http_requests_total{method="GET",route="none",status="404"}');
    expect(scrape).to.include('recoup_http_refusals_total{code="not_found"}');
    texts.push(scrape);
    const all = [...texts, ...api.lines.map((line) => JSON.stringify(line))];
    expect(all.length).to.be.above(500);
    for (const number of planted) {
      expect(all.filter((text) => text.includes(number)).slice(0, 2)).to.deep.equal([]);
    }
  });

  it('are in no job', async () => {
    const redis = new Redis(api.environment.config.redisUrl);
    try {
      const keys = await redis.keys('*');
      const values = await Promise.all(
        keys.map(async (key) => `${key} ${JSON.stringify(await valueOf(redis, key))}`),
      );
      expect(values.filter((text) => text.includes('taskId')).length, 'jobs').to.be.above(5);
      for (const number of planted) {
        expect(values.filter((text) => text.includes(number))).to.deep.equal([]);
      }
    } finally {
      redis.disconnect();
    }
  });
});
