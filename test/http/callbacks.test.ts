import { expect } from 'chai';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Evidence } from '../../src/engine/flow.js';
import type { TaskId } from '../../src/ids.js';
import type { FaultParams } from '../../src/sandbox/faults.js';
import { until } from '../sandbox/sandbox-process.js';
import { Api, seldomAsked, unionAccount, type Json } from './api.js';

interface Kept {
  readonly headers: Record<string, string>;
  readonly body: string;
}

/** Where the channel calls first: keeps what it says, so that the test can say it when it likes. */
class Catcher {
  readonly #kept: Kept[] = [];
  readonly #server: Server = createServer((request, response) => {
    let body = '';
    request.setEncoding('latin1').on('data', (chunk: string) => (body += chunk));
    request.on('end', () => {
      const type = request.headers['content-type'] ?? '';
      this.#kept.push({ headers: { 'content-type': type }, body });
      response.writeHead(200).end('success');
    });
  });

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  async about(orderNo: string): Promise<Kept> {
    return await until(`a callback about ${orderNo}`, async () =>
      this.#kept.find(({ body }) => body.includes(`orderNo=${orderNo}`)),
    );
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

describe('POST /callbacks/:channelId', () => {
  const catcher = new Catcher();
  let api: Api;
  let caught: string;

  before(async () => {
    api = await Api.start({ environment: { adjust: seldomAsked } });
    caught = await catcher.listen();
  });
  beforeEach(async () => api.environment.sandbox.setCallbackUrl(caught));
  after(async () => {
    await api.close();
    catcher.close();
  });
  afterEach(async () => api.environment.sandbox.clearFaults());

  /** A deduction that was captured, is `processing` here, and what the channel has to say of it. */
  async function pending(
    params?: FaultParams,
  ): Promise<{ id: TaskId; orderNo: string; kept: Kept }> {
    const hold = { channel: 'unionlink', operation: 'charge', fault: 'contradiction' } as const;
    const alter = { channel: 'unionlink', operation: 'callback', fault: 'mismatch' } as const;
    await api.environment.sandbox.setFaults([
      { ...hold, params: { outcome: 'processing' } },
      ...(params === undefined ? [] : [{ ...alter, params }]),
    ]);
    const repayment = await api.environment.repayment({ account: unionAccount });
    const { body } = await api.deduct({ repayment_id: repayment.id });
    const id = String(body['id']) as TaskId;
    const orderNo = await until('the order', async () => {
      const [row] = await api.rows('SELECT order_no, status FROM attempt WHERE task_id = ?', [id]);
      return row?.['status'] === 'pending' && String(row['order_no']);
    });
    return { id, orderNo, kept: await catcher.about(orderNo) };
  }

  const say = async ({ headers, body }: Kept, channel = 'unionlink') =>
    await api.call('POST', `/callbacks/${channel}`, { headers, body });

  const read = async (id: TaskId): Promise<Json> =>
    (await api.call('GET', `/v1/deductions/${id}`, { as: 'operator' })).body;

  it('settles the deduction by a genuine callback, and answers with the word the channel waits for', async () => {
    const { id, kept } = await pending();
    const answer = await say(kept);
    expect(answer.status).to.equal(200);
    expect(answer.text).to.equal('success');
    expect(answer.headers.get('content-type')).to.match(/^text\/plain/);
    const deduction = await read(id);
    expect(deduction).to.include({ status: 'succeeded', channel_id: 'unionlink' });
    const replied = (deduction['log'] as Json[]).filter(({ kind }) => kind === 'replied');
    expect(replied.map(({ via }) => via)).to.deep.equal(['charge', 'callback']);
  });

  it('acknowledges the same callback again, and writes nothing more', async () => {
    const { id, kept } = await pending();
    const answers = [await say(kept)];
    const before = await api.counts();
    answers.push(await say(kept), await say(kept));
    expect(answers.map(({ status, text }) => `${status} ${text}`)).to.deep.equal([
      '200 success',
      '200 success',
      '200 success',
    ]);
    expect(await api.counts()).to.deep.equal(before);
    expect(await read(id)).to.include({ status: 'succeeded' });
  });

  it('settles once when the same callback comes twice at the same time', async () => {
    const { id, kept } = await pending();
    const answers = await Promise.all([say(kept), say(kept), say(kept)]);
    for (const { status } of answers) expect(status).to.be.oneOf([200, 503]);
    expect(answers.some(({ status }) => status === 200)).to.equal(true);
    const log = (await read(id))['log'] as Json[];
    expect(log.filter(({ kind }) => kind === 'settled')).to.have.length(1);
  });

  it('does not believe a forged one: 401, logged, nothing moved', async () => {
    const { id, kept } = await pending();
    const before = await api.counts();
    const forged = { ...kept, body: kept.body.replace(/txnAmt=\d+/, 'txnAmt=1') };
    expect(forged.body).not.to.equal(kept.body);
    const answer = await say(forged);
    expect(answer.status).to.equal(401);
    expect(answer.body).to.include({ code: 'callback_rejected' });
    const unsigned = { ...kept, body: kept.body.replace(/&?sign=[^&]*/, '') };
    expect((await say(unsigned)).status).to.equal(401);
    expect(await api.counts()).to.deep.equal(before);
    expect(await read(id)).to.include({ status: 'processing' });
    const line = api.lines.find(({ message }) => message === 'forged callback');
    expect(line?.fields).to.include({ channel_id: 'unionlink' });
  });

  it('refuses what cannot be read, is too long, or comes for no channel', async () => {
    const { kept } = await pending();
    const garbage = await say({ ...kept, body: '\u0000%%%=&&=' });
    expect([400, 401]).to.include(garbage.status);
    const long = await say({ ...kept, body: 'a='.padEnd(70_000, 'x') });
    expect(long.body).to.include({ code: 'body_too_large', status: 413 });
    const elsewhere = await say(kept, 'nowhere');
    expect(elsewhere.body).to.include({ code: 'channel_unknown', status: 404 });
    const empty = await say({ headers: {}, body: '' });
    expect(empty.status).to.equal(401);
    const signedForAnother = await say(kept, 'swiftpay');
    expect(signedForAnother.body).to.include({ code: 'callback_rejected' });
  });

  it('makes a case of a signed callback with another amount, and does not move', async () => {
    const { id, kept } = await pending({ field: 'amount' });
    const answer = await say(kept);
    expect(answer.status).to.equal(200);
    const deduction = await read(id);
    expect(deduction).to.include({ status: 'processing' });
    const [opened] = deduction['cases'] as Json[];
    expect(opened).to.include({ reason: 'mismatch', amount_minor: 120_000, closed_at: null });
    const listed = await api.call('GET', '/v1/cases?open=true', { as: 'operator' });
    expect((listed.body['cases'] as Json[]).map((one) => one['task_id'])).to.include(id);
    const closed = await api.call('GET', '/v1/cases?open=false', { as: 'operator' });
    expect((closed.body['cases'] as Json[]).map((one) => one['task_id'])).not.to.include(id);
  });

  it('knows no order that was not placed at this channel', async () => {
    const { orderNo, kept } = await pending();
    const { deductions } = api.services;
    const original = deductions.attempts.bind(deductions);
    // The same order, had it been placed elsewhere: however well it is signed here.
    deductions.attempts = async (id) =>
      (await original(id)).map((one) => ({ ...one, channelId: 'oldbank' }));
    const before = await api.counts();
    try {
      expect((await say(kept)).body).to.include({ code: 'order_unknown', status: 404 });
    } finally {
      deductions.attempts = original;
    }
    expect(await api.counts()).to.deep.equal(before);
    const line = api.lines.find(({ message }) => message.startsWith('callback for no order'));
    expect(line?.fields).to.include({ channel_id: 'unionlink' });
    expect(orderNo).to.match(/^R/);
    const taskOfOrder = deductions.taskOfOrder.bind(deductions);
    deductions.taskOfOrder = async () => null;
    try {
      expect((await say(kept)).body).to.include({ code: 'order_unknown' });
    } finally {
      deductions.taskOfOrder = taskOfOrder;
    }
  });

  describe('answers with the word only when what was said is in the log', () => {
    let original: typeof api.services.executor.run;
    const outcomes: string[] = [];

    beforeEach(() => {
      const { executor } = api.services;
      original = executor.run.bind(executor);
      executor.run = async (id: TaskId, evidence?: Evidence) => {
        const outcome = outcomes.shift();
        if (outcome === undefined) return await original(id, evidence);
        return { outcome: outcome as 'busy', state: null };
      };
    });
    afterEach(() => {
      api.services.executor.run = original;
      outcomes.length = 0;
    });

    it('judges anew what was overtaken, once', async () => {
      const { id, kept } = await pending();
      outcomes.push('overtaken');
      expect((await say(kept)).status).to.equal(200);
      expect(await read(id)).to.include({ status: 'succeeded' });
    });

    for (const refused of [['overtaken', 'overtaken'], ['busy'], ['lease_lost']]) {
      it(`asks for it again after ${refused.join(', ')}`, async () => {
        const { id, kept } = await pending();
        outcomes.push(...refused);
        const answer = await say(kept);
        expect(answer.body).to.include({ code: 'busy', status: 503 });
        expect(answer.headers.get('retry-after')).to.match(/^\d+$/);
        expect(await read(id)).to.include({ status: 'processing' });
        expect((await say(kept)).text).to.equal('success');
        expect(await read(id)).to.include({ status: 'succeeded' });
      });
    }
  });

  it('is what the channel itself repeats until it is heard', async () => {
    await api.environment.sandbox.setCallbackUrl(`${api.base}/callbacks/unionlink`);
    await api.holdBack();
    const repayment = await api.environment.repayment({ account: unionAccount });
    const answer = await api.deduct(
      { repayment_id: repayment.id },
      { headers: { prefer: 'wait=15' } },
    );
    expect(answer.body).to.include({ status: 'succeeded' });
    await until('the acknowledgement', async () => {
      const order = await api.environment.sandbox.order(String(answer.body['order_no']));
      return order?.callbackAcknowledged;
    });
  });
});
