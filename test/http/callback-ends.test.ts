import { createHmac, randomBytes } from 'node:crypto';
import { expect } from 'chai';
import { orderNo as orderNoOf, newTaskId, type TaskId } from '../../src/ids.js';
import { until } from '../sandbox/sandbox-process.js';
import { Api, seldomAsked, unionAccount, type Json } from './api.js';

interface Message {
  readonly headers: Record<string, string>;
  readonly body: string;
}

/** Swiftpay shares its secret with us, so the test can say whatever a channel could. */
describe('Whatever a channel calls back, the end is the right one', () => {
  let api: Api;

  before(async () => {
    api = await Api.start({ environment: { adjust: seldomAsked } });
  });
  after(async () => api.close());
  afterEach(async () => api.environment.sandbox.clearFaults());

  /** Captured at swiftpay, which said only that it is at work on it. */
  async function pending(): Promise<{ id: TaskId; orderNo: string }> {
    await api.environment.sandbox.setFaults([
      {
        channel: 'swiftpay',
        operation: 'charge',
        fault: 'contradiction',
        params: { outcome: 'processing' },
      },
    ]);
    const repayment = await api.environment.repayment();
    const { body } = await api.deduct({ repayment_id: repayment.id });
    const id = String(body['id']) as TaskId;
    const orderNo = await until('the order', async () => {
      const [row] = await api.rows('SELECT order_no, status FROM attempt WHERE task_id = ?', [id]);
      return row?.['status'] === 'pending' && String(row['order_no']);
    });
    return { id, orderNo };
  }

  function message(orderNo: string, changes: Record<string, unknown> = {}): Message {
    const body = JSON.stringify({
      code: 'OK',
      message: '',
      merchant_id: 'M-RECOUP-01',
      order_no: orderNo,
      amount: 120_000,
      currency: 'CNY',
      channel_ref: 'SW0001',
      ...changes,
    });
    const [timestamp, nonce] = [String(Date.now()), randomBytes(12).toString('hex')];
    const key = api.environment.env['RECOUP_SANDBOX_SWIFTPAY_HMAC_KEY']!;
    const hmac = createHmac('sha256', key).update(`${timestamp}.${nonce}.${body}`);
    const names = { 'x-timestamp': timestamp, 'x-nonce': nonce };
    const type = { 'content-type': 'application/json' };
    return { headers: { ...type, ...names, 'x-signature': hmac.digest('hex') }, body };
  }

  const say = async ({ headers, body }: Message) =>
    await api.call('POST', '/v1/callbacks/swiftpay', { headers, body });
  /** As a channel does: what was put off (the record was in use) is said again, until it is heard. */
  const sayUntilHeard = async (one: Message) => {
    const endsAtMs = performance.now() + 40_000;
    for (;;) {
      // Of a thousand at once a busy machine may keep some waiting for a connection for too long.
      const answer = await say(one).catch((error: TypeError) => {
        if ((error.cause as { code?: string }).code !== 'UND_ERR_CONNECT_TIMEOUT') throw error;
        return null;
      });
      if (answer !== null && answer.status !== 503) return answer;
      if (performance.now() > endsAtMs) throw new Error('put off for 40 s');
      await new Promise((resolve) => setTimeout(resolve, 100 + 900 * Math.random()));
    }
  };
  const read = async (id: TaskId): Promise<Json> =>
    (await api.call('GET', `/v1/deductions/${id}`, { as: 'operator' })).body;
  const casesOf = (deduction: Json): readonly unknown[] =>
    (deduction['cases'] as Json[]).map(({ reason }) => reason);
  const kindsOf = (deduction: Json): readonly unknown[] =>
    (deduction['log'] as Json[]).map(({ kind }) => kind);
  const outboxOf = async (id: TaskId): Promise<number> =>
    (await api.rows('SELECT 1 FROM outbox WHERE message_key LIKE ?', [`${id}%`])).length;
  const receiptsOf = async (orderNo: string): Promise<Json[]> =>
    await api.rows('SELECT verdict FROM callback_receipt WHERE order_no = ?', [orderNo]);
  const decline = { code: 'INSUFFICIENT_FUNDS' };

  it('a thousand copies at once: all acknowledged, settled once, one receipt', async () => {
    const { id, orderNo } = await pending();
    const one = message(orderNo);
    const answers = await Promise.all(
      Array.from({ length: 1_000 }, async () => sayUntilHeard(one)),
    );
    const told = new Set(answers.map(({ status, text }) => `${status} ${text}`));
    expect([...told]).to.deep.equal(['200 {"code":"OK"}']);
    const deduction = await read(id);
    expect(deduction).to.include({ status: 'succeeded' });
    expect(kindsOf(deduction).filter((kind) => kind === 'settled')).to.have.length(1);
    expect(kindsOf(deduction).filter((kind) => kind === 'replied')).to.have.length(2);
    expect(await outboxOf(id)).to.equal(1);
    expect(await receiptsOf(orderNo)).to.have.length(1);
  });

  it('a hundred messages of the same at once, each signed anew: settled once', async () => {
    const { id, orderNo } = await pending();
    const answers = await Promise.all(
      Array.from({ length: 100 }, async () => say(message(orderNo))),
    );
    for (const { status } of answers) expect(status).to.be.oneOf([200, 503]);
    expect(answers.some(({ status }) => status === 200)).to.equal(true);
    expect(kindsOf(await read(id)).filter((kind) => kind === 'settled')).to.have.length(1);
    expect(await outboxOf(id)).to.equal(1);
  });

  it('success after failure: recorded, and a case, once', async () => {
    const { id, orderNo } = await pending();
    expect((await say(message(orderNo, decline))).status).to.equal(200);
    expect(await read(id)).to.include({ status: 'failed' });
    for (let n = 0; n < 2; n += 1) expect((await say(message(orderNo))).status).to.equal(200);
    const deduction = await read(id);
    expect(deduction).to.include({ status: 'failed' });
    expect(casesOf(deduction)).to.deep.equal(['late_success']);
    const [attempt] = deduction['attempts'] as Json[];
    expect(attempt).to.include({ status: 'succeeded', channel_ref: 'SW0001' });
  });

  it('failure after success: the money stays booked, and a case, once', async () => {
    const { id, orderNo } = await pending();
    expect((await say(message(orderNo))).status).to.equal(200);
    for (let n = 0; n < 2; n += 1) {
      expect((await say(message(orderNo, decline))).status).to.equal(200);
    }
    const deduction = await read(id);
    expect(deduction).to.include({ status: 'succeeded' });
    expect(casesOf(deduction)).to.deep.equal(['contradiction']);
    expect(await outboxOf(id)).to.equal(1);
  });

  it('"at work on it", late and out of order, moves nothing', async () => {
    const { id, orderNo } = await pending();
    await say(message(orderNo));
    const before = await api.counts();
    expect((await say(message(orderNo, { code: 'PROCESSING' }))).status).to.equal(200);
    expect(await api.counts()).to.deep.equal(before);
    expect(await read(id)).to.include({ status: 'succeeded' });
  });

  for (const [what, changes] of [
    ['amount', { amount: 119_999 }],
    ['amount', { amount: '120000.0' }],
    ['currency', { currency: 'USD' }],
    ['merchant', { merchant_id: 'M-SOMEONE-ELSE' }],
  ] as const) {
    it(`another ${what} (${Object.values(changes).join()}): a case, and nothing moves`, async () => {
      const { id, orderNo } = await pending();
      expect((await say(message(orderNo, changes))).status).to.equal(200);
      const deduction = await read(id);
      expect(deduction).to.include({ status: 'processing' });
      expect(casesOf(deduction)).to.deep.equal(['mismatch']);
      expect(await receiptsOf(orderNo)).to.deep.equal([{ verdict: 'mismatch' }]);
      expect((await say(message(orderNo))).status).to.equal(200);
      expect(await read(id)).to.include({ status: 'succeeded' });
    });
  }

  for (const left of ['merchant_id', 'amount', 'currency', 'channel_ref']) {
    it(`without ${left}: nothing is believed, and nothing moves`, async () => {
      const { id, orderNo } = await pending();
      expect((await say(message(orderNo, { [left]: undefined }))).status).to.equal(200);
      expect(await read(id)).to.include({ status: 'processing' });
    });
  }

  it('no order of ours: 404, and no table of ours knows of it', async () => {
    const before = await api.counts();
    for (const orderNo of [orderNoOf(newTaskId(), 1), 'R1', '6222020200112233445']) {
      expect((await say(message(orderNo))).body).to.include({ code: 'order_unknown', status: 404 });
      expect(await receiptsOf(orderNo)).to.deep.equal([]);
    }
    expect(await api.counts()).to.deep.equal(before);
  });

  it('old or of the future: 401, whatever it says', async () => {
    const { id, orderNo } = await pending();
    const kept = message(orderNo);
    const { clock } = api.services;
    const channel = api.services.directory.get('swiftpay' as never)!;
    const raw = { headers: kept.headers, body: Buffer.from(kept.body) };
    expect(channel.parseCallback(raw).kind).to.equal('genuine');
    const original = clock.nowMs.bind(clock);
    clock.nowMs = () => original() + 301_000;
    try {
      expect((await say(kept)).body).to.include({ code: 'callback_stale', status: 401 });
    } finally {
      clock.nowMs = original;
    }
    expect(await read(id)).to.include({ status: 'processing' });
  });

  it('evidence that could not be written is not swallowed by a receipt: the repeat counts', async () => {
    const { id, orderNo } = await pending();
    const one = message(orderNo);
    const { executor } = api.services;
    const run = executor.run.bind(executor);
    executor.run = async () => {
      throw new Error('killed between the two');
    };
    try {
      expect((await say(one)).status).to.equal(500);
    } finally {
      executor.run = run;
    }
    expect(await receiptsOf(orderNo)).to.deep.equal([]);
    expect((await say(one)).status).to.equal(200);
    expect(await read(id)).to.include({ status: 'succeeded' });
  });

  it('a receipt that could not be written costs a run, and changes nothing', async () => {
    const { id, orderNo } = await pending();
    const one = message(orderNo);
    const { callbacks } = api.services;
    const record = callbacks.record.bind(callbacks);
    callbacks.record = async () => {
      throw new Error('killed between the two');
    };
    try {
      expect((await say(one)).status).to.equal(200);
    } finally {
      callbacks.record = record;
    }
    const before = await api.counts();
    expect((await say(one)).status).to.equal(200);
    expect(await receiptsOf(orderNo)).to.have.length(1);
    expect(await api.counts()).to.deep.equal(before);
    expect(await read(id)).to.include({ status: 'succeeded' });
  });

  it('a copy of what was recorded does not go through the engine again', async () => {
    const { orderNo } = await pending();
    const one = message(orderNo);
    await say(one);
    const { executor } = api.services;
    const run = executor.run.bind(executor);
    executor.run = async () => {
      throw new Error('it did');
    };
    try {
      expect((await say(one)).status).to.equal(200);
    } finally {
      executor.run = run;
    }
  });

  it('before the answer to the charge: settled once, charged once', async () => {
    await api.environment.sandbox.setCallbackUrl(`${api.base}/v1/callbacks/unionlink`);
    await api.environment.sandbox.setFaults([
      { channel: 'unionlink', operation: 'charge', fault: 'timeout_after' },
      { channel: 'unionlink', operation: 'callback', fault: 'callback_early' },
    ]);
    const repayment = await api.environment.repayment({ account: unionAccount });
    const answer = await api.deduct(
      { repayment_id: repayment.id },
      { headers: { prefer: 'wait=15' } },
    );
    expect(answer.body).to.include({ status: 'succeeded' });
    const deduction = await read(String(answer.body['id']) as TaskId);
    expect(kindsOf(deduction).filter((kind) => kind === 'charge_intended')).to.have.length(1);
    expect(kindsOf(deduction).filter((kind) => kind === 'settled')).to.have.length(1);
    const order = await api.environment.sandbox.order(String(answer.body['order_no']));
    expect(order?.captures).to.have.length(1);
  });

  it('counts them all by channel and verdict', async () => {
    const { orderNo } = await pending();
    const counts = async (): Promise<Record<string, number>> => {
      await api.services.callbacks.flush();
      const url = '/v1/channels/swiftpay/callbacks?days=2';
      const { body } = await api.call('GET', url, { as: 'operator' });
      const days = body['days'] as { verdicts: Record<string, { messages: number }> }[];
      const sum: Record<string, number> = {};
      for (const [verdict, { messages }] of days.flatMap((day) => Object.entries(day.verdicts))) {
        sum[verdict] = (sum[verdict] ?? 0) + messages;
      }
      return sum;
    };
    const before = await counts();
    const one = message(orderNo);
    await say({ ...one, headers: { ...one.headers, 'x-signature': '00' } });
    await say({ ...one, headers: { ...one.headers, 'x-timestamp': '1' } });
    await say({ ...one, body: 'x'.repeat(70_000) });
    await say(message(orderNo, { code: 7, order_no: '' }));
    await say(message('R1'));
    await say(message(orderNo, { amount: 1 }));
    await say(one);
    await say(one);
    const after = await counts();
    const grown = Object.entries(after).flatMap(([verdict, messages]) => {
      const by = messages - (before[verdict] ?? 0);
      return by === 0 ? [] : [[verdict, by] as const];
    });
    expect(Object.fromEntries(grown)).to.deep.equal({
      forged: 1,
      stale: 1,
      too_large: 1,
      malformed: 1,
      order_unknown: 1,
      mismatch: 1,
      accepted: 1,
      duplicate: 1,
    });
    const nowhere = await api.call('GET', '/v1/channels/nowhere/callbacks', { as: 'operator' });
    expect(nowhere.body).to.include({ code: 'channel_unknown' });
  });
});
