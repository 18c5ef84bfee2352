import { expect } from 'chai';
import type { CallRecord } from '../../src/channels/call-record.js';
import { silentLog } from '../../src/log.js';
import { CallStore } from '../../src/store/calls.js';
import { until } from '../sandbox/sandbox-process.js';
import { Api, unionAccount, type Json } from './api.js';

describe('The call journal', () => {
  let api: Api;

  before(async () => {
    api = await Api.start();
  });
  after(async () => api.close());
  afterEach(async () => api.environment.sandbox.clearFaults());

  async function callsOf(id: string): Promise<Json[]> {
    await api.services.calls.flush();
    const answer = await api.call('GET', `/v1/deductions/${id}/calls`, { as: 'operator' });
    expect(answer.status).to.equal(200);
    return answer.body['calls'] as Json[];
  }

  it('tells of every call, answer and callback of an order, in order, and shows no account', async () => {
    await api.environment.sandbox.setCallbackUrl(`${api.base}/v1/callbacks/unionlink`);
    await api.environment.sandbox.setFaults([
      {
        channel: 'unionlink',
        operation: 'charge',
        fault: 'http_5xx_after',
        params: { status: 502 },
      },
      {
        channel: 'unionlink',
        operation: 'callback',
        fault: 'callback_late',
        params: { delay_ms: 50 },
      },
    ]);
    const repayment = await api.environment.repayment({ account: unionAccount });
    const answer = await api.deduct(
      { repayment_id: repayment.id },
      { headers: { prefer: 'wait=15' } },
    );
    const id = String(answer.body['id']);
    const calls = await until('the callback', async () => {
      const found = await callsOf(id);
      return found.some(({ operation }) => operation === 'callback') && found;
    });
    const [charge] = calls;
    const orderNo = answer.body['order_no'];
    expect(charge).to.deep.include({
      channel_id: 'unionlink',
      order_no: orderNo,
      operation: 'charge',
      http_status: 502,
      verdict: 'unknown',
      detail: 'server_error',
    });
    expect(charge?.['sent']).to.include({ amount_minor: '120000', account: '[masked]' });
    const callback = calls.find(({ operation }) => operation === 'callback');
    expect(callback).to.include({ verdict: 'accepted', order_no: orderNo, sent: null });
    expect(callback?.['received']).to.include({ code: '0000', merchant: 'M-RECOUP-01' });
    for (const call of calls) expect(call['order_no']).to.equal(orderNo);
    const text = JSON.stringify(await api.rows('SELECT * FROM channel_call'));
    expect(text).not.to.include('tok_').and.not.to.include(unionAccount.last4);
  });

  it('is for operators, of deductions that exist', async () => {
    const path = '/v1/deductions/00000000-0000-7000-8000-000000000000/calls';
    expect((await api.call('GET', path, { as: 'operator' })).status).to.equal(404);
    expect((await api.call('GET', path, { as: 'app' })).status).to.equal(403);
  });

  const call = (orderNo: string, startedAtMs = Date.now()): CallRecord => ({
    startedAtMs,
    channelId: 'swiftpay' as never,
    orderNo,
    operation: 'charge',
    durationMs: 7,
    httpStatus: null,
    verdict: 'unknown',
    detail: 'timeout',
    sent: () => null,
    received: () => null,
  });
  const kept = async (prefix: string): Promise<number> =>
    (await api.rows('SELECT 1 FROM channel_call WHERE order_no LIKE ?', [`${prefix}%`])).length;

  it('takes no time and no place without end: what comes too fast is dropped, and counted', async () => {
    const calls = new CallStore(api.services.database, silentLog, {
      heldMax: 300,
      flushMs: 10_000,
    });
    for (let n = 0; n < 310; n += 1) calls.record(call(`FAST${n}`));
    expect(calls.dropped).to.equal(10);
    await calls.flush();
    expect(await kept('FAST')).to.equal(300);
    calls.record(call('FASTER'));
    await calls.flush();
    expect(await kept('FAST')).to.equal(301);
  });

  it('does not hold a call when its table is gone: it counts what it gave up, and goes on', async () => {
    await api.environment.owner.raw('RENAME TABLE channel_call TO channel_call_away');
    const calls = new CallStore(api.services.database, silentLog, { heldMax: 10, flushMs: 5 });
    try {
      calls.record(call('GONE1'));
      await calls.flush();
      expect(calls.dropped).to.equal(1);
      const repayment = await api.environment.repayment();
      const { body } = await api.deduct(
        { repayment_id: repayment.id },
        { headers: { prefer: 'wait=10' } },
      );
      expect(body).to.include({ status: 'succeeded' });
    } finally {
      await api.environment.owner.raw('RENAME TABLE channel_call_away TO channel_call');
    }
    calls.record(call('GONE2'));
    await calls.flush();
    expect(await kept('GONE')).to.equal(1);
  });

  it('is purged by age, as receipts are, and what is young stays', async () => {
    const { calls, callbacks } = api.services;
    const old = Date.now() - 86_400_000;
    for (let n = 0; n < 3; n += 1) calls.record(call(`OLD${n}`, old));
    calls.record(call('YOUNG'));
    await calls.flush();
    expect(await calls.purge(old + 1, 2)).to.equal(2);
    expect(await calls.purge(old + 1, 2)).to.equal(1);
    expect(await calls.purge(old + 1, 2)).to.equal(0);
    expect(await kept('YOUNG')).to.equal(1);
    const receipt = {
      channelId: 'swiftpay',
      nonce: null,
      taskId: 't',
      orderNo: 'R1',
      verdict: 'x',
    };
    for (const [digest, receivedAtMs] of [
      ['a', old],
      ['b', Date.now()],
    ] as const) {
      await callbacks.record({ ...receipt, digest: digest.repeat(64), receivedAtMs } as never);
    }
    expect(await callbacks.purge(old + 1, 10)).to.equal(1);
    expect(await callbacks.isRecorded('swiftpay' as never, 'b'.repeat(64))).to.equal(true);
  });
});
