import { expect } from 'chai';
import { connect } from 'node:net';
import { isTaskId, repaymentId, taskId } from '../../src/ids.js';
import { amountMinor } from '../../src/money.js';
import { until } from '../sandbox/sandbox-process.js';
import { Api, unionAccount, type Json } from './api.js';

describe('POST and GET /v1/deductions', () => {
  let api: Api;

  before(async () => {
    api = await Api.start();
  });
  after(async () => api.close());
  afterEach(async () => api.environment.sandbox.clearFaults());

  const captures = async (orderNo: unknown): Promise<number> =>
    (await api.environment.sandbox.order(String(orderNo)))?.captures.length ?? 0;

  it('returns the final result within the wait, with one capture', async () => {
    const repayment = await api.environment.repayment();
    const answer = await api.deduct(
      { repayment_id: repayment.id },
      { headers: { prefer: 'wait=10' } },
    );
    expect(answer.status).to.equal(200);
    expect(answer.headers.get('preference-applied')).to.equal('wait=10');
    expect(answer.headers.get('location')).to.equal(`/v1/deductions/${String(answer.body['id'])}`);
    expect(answer.body).to.include({
      status: 'succeeded',
      repayment_id: repayment.id,
      amount_minor: 120_000,
      channel_id: 'swiftpay',
      source: 'app',
      failure: null,
    });
    expect(await captures(answer.body['order_no'])).to.equal(1);
  });

  it('returns a decline as a result, not as an error', async () => {
    await api.environment.sandbox.setFaults([
      {
        channel: 'swiftpay',
        operation: 'charge',
        fault: 'decline',
        params: { outcome: 'insufficient_funds' },
      },
    ]);
    const repayment = await api.environment.repayment();
    const answer = await api.deduct(
      { repayment_id: repayment.id },
      { headers: { prefer: 'wait=10' } },
    );
    expect(answer.status).to.equal(200);
    expect(answer.body).to.include({ status: 'failed' });
    expect(answer.body['failure']).to.include({ code: 'insufficient_funds' });
  });

  it('answers `processing` and a link at once when nobody waits', async () => {
    await api.holdBack();
    const repayment = await api.environment.repayment({ account: unionAccount });
    const answer = await api.deduct({ repayment_id: repayment.id });
    expect(answer.status).to.equal(202);
    expect(answer.body).to.include({ status: 'processing', channel_id: null, ended_at: null });
    const read = await api.call('GET', answer.headers.get('location') ?? '', { as: 'app' });
    expect(read.status).to.equal(200);
    expect(read.body).to.include({ id: answer.body['id'] });
  });

  it('answers `processing` when the wait is over before the result is there', async () => {
    await api.holdBack();
    const repayment = await api.environment.repayment({ account: unionAccount });
    const startedMs = performance.now();
    const answer = await api.deduct(
      { repayment_id: repayment.id },
      { headers: { prefer: 'respond-async, wait=1' } },
    );
    // That it is over at all is for mocha's time-out to say.
    expect(performance.now() - startedMs).to.be.at.least(950);
    expect(answer.status).to.equal(202);
    expect(answer.headers.get('preference-applied')).to.equal('wait=1');
    expect(answer.body).to.include({ status: 'processing' });
  });

  it('sees within the wait what another process found out', async () => {
    await api.holdBack();
    const other = await api.environment.compose();
    const repayment = await api.environment.repayment({ account: unionAccount });
    const answering = api.deduct(
      { repayment_id: repayment.id },
      { headers: { prefer: 'wait=20' } },
    );
    const id = await until('the deduction', async () => {
      const [row] = await api.rows('SELECT id FROM deduction WHERE repayment_id = ?', [
        repayment.id,
      ]);
      return row === undefined ? null : taskId(String(row['id']));
    });
    await until('the end', async () => (await other.resume(id)) === 'ended', 8_000);
    const answer = await answering;
    expect(answer.status).to.equal(200);
    expect(answer.body).to.include({ id, status: 'succeeded', channel_id: 'unionlink' });
  });

  it('asks the database once a round for all who wait', async () => {
    await api.holdBack();
    const repayments = await Promise.all(
      Array.from({ length: 8 }, () => api.environment.repayment({ account: unionAccount })),
    );
    const { deductions } = api.services;
    const original = deductions.findMany.bind(deductions);
    const asked: number[] = [];
    deductions.findMany = async (ids) => {
      asked.push(ids.length);
      return await original(ids);
    };
    try {
      const answers = await Promise.all(
        repayments.map(({ id }) =>
          api.deduct({ repayment_id: id }, { headers: { prefer: 'wait=2' } }),
        ),
      );
      expect(answers.map(({ status }) => status)).to.deep.equal(repayments.map(() => 202));
    } finally {
      deductions.findMany = original;
    }
    expect(Math.max(...asked)).to.equal(8);
    // Twenty rounds of each would be 160.
    expect(asked.length).to.be.below(80);
  });

  it('goes on with the deduction when the caller hangs up', async () => {
    await api.holdBack();
    const repayment = await api.environment.repayment({ account: unionAccount });
    const hangUp = new AbortController();
    const answering = api.deduct(
      { repayment_id: repayment.id },
      { headers: { prefer: 'wait=30' }, signal: hangUp.signal },
    );
    const id = await until('the deduction', async () => {
      const [row] = await api.rows('SELECT id FROM deduction WHERE repayment_id = ?', [
        repayment.id,
      ]);
      return row === undefined ? null : taskId(String(row['id']));
    });
    hangUp.abort();
    expect(await answering.catch((error: Error) => error.name)).to.equal('AbortError');
    await until('the end', async () => (await api.services.resume(id)) === 'ended', 8_000);
    const read = await api.call('GET', `/v1/deductions/${id}`, { as: 'app' });
    expect(read.body).to.include({ status: 'succeeded' });
  });

  it('collects a part where the amount says so', async () => {
    const repayment = await api.environment.repayment();
    const answer = await api.deduct(
      { repayment_id: repayment.id, amount_minor: 20_050 },
      { headers: { prefer: 'wait=10' } },
    );
    expect(answer.body).to.include({ status: 'succeeded', amount_minor: 20_050 });
    const read = await api.call('GET', `/v1/repayments/${repayment.id}`, { as: 'app' });
    expect(read.body).to.include({
      due_minor: 120_000,
      paid_minor: 20_050,
      outstanding_minor: 99_950,
      collecting_minor: 0,
    });
  });

  it('names the live deduction to the second who asks', async () => {
    await api.holdBack();
    const repayment = await api.environment.repayment({ account: unionAccount });
    const first = await api.deduct({ repayment_id: repayment.id });
    await until('the first run is over', async () => {
      const [row] = await api.rows('SELECT status FROM attempt WHERE task_id = ?', [
        String(first.body['id']),
      ]);
      return row?.['status'] === 'pending';
    });
    const second = await api.deduct({ repayment_id: repayment.id });
    expect(second.status).to.equal(409);
    expect(second.body).to.include({
      code: 'live_deduction_exists',
      deduction_id: first.body['id'],
      deduction_status: 'processing',
    });
    expect(second.headers.get('location')).to.equal(first.headers.get('location'));
  });

  it('reads a deduction with its attempts and its log, and no account token', async () => {
    const token = 'tok_ok_read_7001';
    const repayment = await api.environment.repayment({
      account: { token, bankCode: 'ICBC', last4: '4321' },
    });
    const { body } = await api.deduct(
      { repayment_id: repayment.id },
      { headers: { prefer: 'wait=10' } },
    );
    const read = await api.call('GET', `/v1/deductions/${String(body['id'])}`, { as: 'operator' });
    expect(read.text).not.to.include(token);
    expect(read.body).to.deep.include(body);
    const [attempt] = read.body['attempts'] as Json[];
    expect(attempt).to.include({ attempt_no: 1, channel_id: 'swiftpay', status: 'succeeded' });
    const log = read.body['log'] as Json[];
    expect(log.map(({ seq, kind }) => `${String(seq)} ${String(kind)}`)).to.deep.equal([
      '1 accepted',
      '2 routed',
      '3 charge_intended',
      '4 replied',
      '5 settled',
    ]);
    expect(log[0]?.['deduction']).to.deep.include({
      amount_minor: 120_000,
      account: { bank_code: 'ICBC', last4: '4321' },
    });
    expect(log[4]).to.include({ amount_minor: 120_000, order_no: body['order_no'] });
    expect(read.text).to.match(/"sent_at":"\d{4}-/);
    expect(read.body['cases']).to.deep.equal([]);
  });

  it('walks the list by cursor: newest first, each once, as others are added', async () => {
    const mine = repaymentId('rp_walk');
    const dueMinor = amountMinor(80_000);
    await api.environment.repayment({ id: mine, dueMinor });
    const add = async (): Promise<unknown> => {
      const part = { repayment_id: mine, amount_minor: 10_000 };
      return (await api.deduct(part, { headers: { prefer: 'wait=10' } })).body['id'];
    };
    const ids: unknown[] = [];
    for (let n = 0; n < 7; n += 1) ids.unshift(await add());
    const seen: unknown[] = [];
    let next: string | null = `/v1/deductions?repayment_id=${mine}&limit=3`;
    while (next !== null) {
      const page: { body: Json } = await api.call('GET', next, { as: 'app' });
      const rows = page.body['deductions'] as Json[];
      expect(rows.length).to.be.within(1, 3);
      if (seen.length === 0) await add();
      seen.push(...rows.map(({ id }) => id));
      next = page.body['next'] as string | null;
    }
    expect(seen).to.deep.equal(ids);
    const failed = await api.call('GET', `/v1/deductions?repayment_id=${mine}&status=failed`, {
      as: 'app',
    });
    expect(failed.body['deductions']).to.deep.equal([]);
  });

  it('finds deductions by borrower, by order number and by the time they were accepted', async () => {
    const deduct = async (borrowerId: string): Promise<Json> => {
      const { id } = await api.environment.repayment({ borrowerId });
      return (await api.deduct({ repayment_id: id }, { headers: { prefer: 'wait=10' } })).body;
    };
    const one = await deduct('bw_found_1');
    const later = await deduct('bw_found_1');
    const other = await deduct('bw_found_2');
    const found = async (query: string): Promise<unknown[]> => {
      const { body } = await api.call('GET', `/v1/deductions?${query}`, { as: 'app' });
      return (body['deductions'] as Json[]).map(({ id }) => id);
    };
    expect(await found('borrower_id=bw_found_1')).to.deep.equal([later['id'], one['id']]);
    expect(await found('borrower_id=bw_found_1&status=failed')).to.deep.equal([]);
    expect(await found(`order_no=${String(other['order_no'])}`)).to.deep.equal([other['id']]);
    expect(await found('order_no=R0NONE')).to.deep.equal([]);
    const [from, before] = [String(one['created_at']), String(later['created_at'])];
    const between = `borrower_id=bw_found_1&created_from=${from}&created_before=${before}`;
    expect(await found(between)).to.deep.equal([one['id']]);
    expect(await found(`created_from=${from}&created_before=${before}`)).to.deep.equal([one['id']]);
    const inChina = encodeURIComponent(
      `${new Date(Date.parse(before) + 8 * 3_600_000).toISOString().slice(0, -1)}+08:00`,
    );
    expect(await found(`created_from=${inChina}`)).to.deep.equal([other['id'], later['id']]);
    expect(await found('created_from=2999-01-01T00:00:00Z')).to.deep.equal([]);
    const vague = await api.call('GET', '/v1/deductions?created_from=2026-11-22', { as: 'app' });
    expect(vague.status).to.equal(422);
  });

  it('asks the channel again when an operator wants it, and not once it has ended', async () => {
    await api.holdBack();
    const repayment = await api.environment.repayment({ account: unionAccount });
    const { body } = await api.deduct({ repayment_id: repayment.id });
    const id = String(body['id']);
    expect(isTaskId(id)).to.equal(true);
    const ask = () => api.call('POST', `/v1/deductions/${id}/ask`, { as: 'operator' });
    const asked = await until('the answer', async () => {
      const answer = await ask();
      return answer.status === 202 && answer.body['status'] === 'succeeded' && answer;
    });
    expect(asked.headers.get('location')).to.equal(`/v1/deductions/${id}`);
    const read = await api.call('GET', `/v1/deductions/${id}`, { as: 'operator' });
    expect((read.body['log'] as Json[]).map(({ kind }) => kind)).to.include('ask_requested');
    const again = await ask();
    expect(again.status).to.equal(409);
    expect(again.body).to.include({ code: 'deduction_ended', deduction_status: 'succeeded' });
    const audited = await api.rows('SELECT actor, action FROM audit WHERE subject = ?', [id]);
    expect(audited[0]).to.include({
      actor: 'operator key (key_operator)',
      action: 'ask_requested',
    });
  });

  it('answers nothing to half a request, and starts nothing', async () => {
    const before = await api.counts();
    const { port } = new URL(api.base);
    const socket = connect(Number(port), '127.0.0.1');
    await new Promise((resolve) => socket.once('connect', resolve));
    socket.write(
      'POST /v1/deductions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer secret-app\r\n' +
        'idempotency-key: half\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{"re',
    );
    socket.resume().end();
    await new Promise((resolve) => socket.once('close', resolve));
    expect(await api.counts()).to.deep.equal(before);
  });
});
