import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import type { RawCallback } from '../../src/channels/channel.js';
import { natureOf } from '../../src/channels/profile.js';
import type { Order } from '../../src/engine/order.js';
import type { ChargeAnswer } from '../../src/engine/reply.js';
import { amountMinor } from '../../src/money.js';
import type { FaultName, FaultParams } from '../../src/sandbox/faults.js';
import { SandboxProcess, until } from '../sandbox/sandbox-process.js';
import { Practice, practiceOrderOn, practiceProfiles } from './practice.js';

const payoutOn = (channel: string, token = 'tok_ok_1', changes: Partial<Order> = {}): Order =>
  practiceOrderOn(channel, token, { operation: 'payout', ...changes });

describe('Payouts on the wire', () => {
  let sandbox: SandboxProcess;
  let practice: Practice;
  before(async () => {
    sandbox = await SandboxProcess.start({ latencyScale: 0.02 });
    practice = new Practice(sandbox.ready.env);
  });
  after(async () => {
    await practice.shutDown();
    await sandbox.stop();
  });
  afterEach(async () => sandbox.clearFaults());

  const pay = async (order: Order): Promise<ChargeAnswer> =>
    await practice.channel(order.channelId).payout!(order);
  const query = async (order: Order) => await practice.channel(order.channelId).query(order);
  const paid = async ({ orderNo }: Order): Promise<number> =>
    (await sandbox.order(orderNo))?.executions.length ?? 0;
  const settled = async (order: Order) =>
    await until('the payout is decided', async () => {
      const answer = await query(order);
      return answer.kind === 'pending' || answer.kind === 'not_found' ? null : answer;
    });

  for (const id of ['swiftpay', 'unionlink', 'voucherpay']) {
    it(`${id} pays out once, and knows it by the question about payouts alone`, async () => {
      const order = payoutOn(id);
      const first = await pay(order);
      expect(first.kind).to.equal(id === 'unionlink' ? 'pending' : 'succeeded');
      expect(await settled(order)).to.include({ kind: 'succeeded' });
      const again = await pay(order);
      expect(again.kind).to.equal(id === 'swiftpay' ? 'succeeded' : 'unknown');
      expect(await paid(order)).to.equal(1);
      const { operation: _payout, ...asCharge } = order;
      expect(await query(asCharge)).to.include({ kind: 'not_found' });
      expect(await query({ ...order, amountMinor: amountMinor(128_051) })).to.include({
        kind: 'mismatch',
        field: 'amount',
      });
    });

    it(`${id} declines what cannot be paid to that account`, async () => {
      const order = payoutOn(id, 'tok_invalid_1');
      await pay(order);
      expect(await settled(order)).to.include({ kind: 'declined', code: 'account_invalid' });
      expect(await paid(order)).to.equal(0);
    });
  }

  it('has limits of its own', async () => {
    const over = payoutOn('swiftpay', 'tok_ok_1', { amountMinor: amountMinor(2_000_001) });
    expect(await pay(over)).to.include({ kind: 'declined', code: 'limit_exceeded' });
  });

  it('is not promised what charges are: an expiry does not end it', async () => {
    const [swiftpay] = practiceProfiles();
    expect(natureOf(swiftpay!)).to.include({ honoursExpiry: true, idempotent: true });
    expect(natureOf(swiftpay!, 'payout')).to.include({
      honoursExpiry: false,
      idempotent: true,
      closeProof: 'none',
    });
    const now = Date.now();
    const late = payoutOn('swiftpay', 'tok_ok_1', {
      createdAtMs: now - 9_000,
      expiresAtMs: now - 1,
    });
    expect(await pay(late)).to.include({ kind: 'succeeded' });
  });

  it('unionlink refuses a closed payout for ever, seen or unseen', async () => {
    const order = payoutOn('unionlink');
    const { close } = practice.channel('unionlink');
    expect(await close!(order)).to.deep.equal({ kind: 'closed' });
    expect(await pay(order)).to.include({ kind: 'not_executed', proof: 'closed' });
    const known = payoutOn('unionlink');
    await pay(known);
    expect(await close!(known)).to.include({ kind: 'refused' });
    expect(await settled(known)).to.include({ kind: 'succeeded' });
    expect(await paid(order)).to.equal(0);
  });

  const lost: readonly (readonly [FaultName, FaultParams, heard: string, paid: number])[] = [
    ['timeout_before', {}, 'unknown', 0],
    ['timeout_after', {}, 'unknown', 1],
    ['reset_before', {}, 'unknown', 0],
    ['reset_after', {}, 'unknown', 1],
    ['http_5xx_after', { signed: true }, 'unknown', 1],
    ['half_response', {}, 'unknown', 1],
    ['bad_signature', {}, 'unknown', 1],
    ['mismatch', { field: 'amount' }, 'mismatch', 1],
    ['mismatch', { field: 'currency' }, 'mismatch', 1],
    ['mismatch', { field: 'merchant' }, 'mismatch', 1],
    ['mismatch', { field: 'order_no' }, 'mismatch', 1],
    ['unlisted_code', {}, 'unknown', 1],
    ['throttled', {}, 'unknown', 0],
    ['decline', {}, 'declined', 0],
    ['duplicate_request', { delay_ms: 1 }, 'succeeded', 1],
    // The channel's own doing, which only its statement tells.
    ['duplicate_capture', {}, 'succeeded', 2],
  ];
  for (const [fault, params, heard, times] of lost) {
    it(`${fault} ${params.field ?? ''}: heard as ${heard}, paid ${times} times`, async () => {
      const order = payoutOn('swiftpay');
      const { orderNo } = order;
      await sandbox.setFaults([
        { channel: '*', operation: 'payout', fault, orderNo, nth: 1, params },
      ]);
      expect((await pay(order)).kind).to.equal(heard);
      const known = times > 0 ? 'succeeded' : heard === 'declined' ? 'declined' : 'not_found';
      expect((await query(order)).kind).to.equal(known);
      expect(await paid(order)).to.equal(times);
    });
  }

  it('is not found, and then paid all the same: only sending it again tells', async () => {
    const order = payoutOn('swiftpay');
    const late = { delay_ms: 60_000, answer: 'server_error' } as const;
    const { orderNo } = order;
    await sandbox.setFaults([
      { channel: '*', operation: 'payout', fault: 'late_effect', orderNo, nth: 1, params: late },
    ]);
    expect(await pay(order)).to.include({ kind: 'unknown' });
    expect(await query(order)).to.include({ kind: 'not_found' });
    expect(await pay(order)).to.include({ kind: 'succeeded' });
    await sandbox.letGo();
    expect(await paid(order)).to.equal(1);
  });

  it('is not offered by a channel whose profile does not say so, nor sent as anything else', async () => {
    expect(practice.channel('oldbank')).not.to.have.property('payout');
    const order = payoutOn('swiftpay');
    const swiftpay = practice.channel('swiftpay');
    const notSent = { kind: 'not_executed', proof: 'not_sent' };
    expect(await swiftpay.charge(order)).to.deep.equal(notSent);
    expect(await swiftpay.refund!(order)).to.deep.equal(notSent);
    expect(await sandbox.order(order.orderNo)).to.equal(undefined);
  });

  it('is called back about, as charges are', async () => {
    const order = payoutOn('unionlink');
    const { server, heard } = await listening();
    const { port } = server.address() as AddressInfo;
    await sandbox.setCallbackUrl(`http://127.0.0.1:${port}/`);
    try {
      await pay(order);
      const raw = await until('the callback comes', async () =>
        heard.find(({ body }) => body.includes(order.orderNo)),
      );
      const reading = practice.channel('unionlink').parseCallback(raw);
      if (reading.kind !== 'genuine') throw new Error(reading.kind);
      expect(reading.orderNo).to.equal(order.orderNo);
      expect(reading.against(order)).to.include({ kind: 'succeeded' });
      const other = { ...order, currency: 'USD' as never };
      expect(reading.against(other)).to.include({ kind: 'mismatch', field: 'currency' });
    } finally {
      await sandbox.setCallbackUrl(null);
      server.close();
      server.closeAllConnections();
    }
  });
});

async function listening() {
  const heard: RawCallback[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      heard.push({ headers: request.headers, body: Buffer.concat(chunks) });
      response.end('success');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, heard };
}
