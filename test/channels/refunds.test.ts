import { expect } from 'chai';
import type { Order } from '../../src/engine/order.js';
import { newTaskId, orderNo } from '../../src/ids.js';
import { amountMinor } from '../../src/money.js';
import type { FaultName, FaultParams } from '../../src/sandbox/faults.js';
import { SandboxProcess, until } from '../sandbox/sandbox-process.js';
import { Practice, practiceOrder } from './practice.js';

const all = ['swiftpay', 'unionlink', 'oldbank', 'voucherpay'] as const;

describe('Refunds on the wire', () => {
  let sandbox: SandboxProcess;
  let practice: Practice;

  before(async () => {
    sandbox = await SandboxProcess.start({ latencyScale: 0.01 });
    practice = new Practice(sandbox.ready.env);
  });
  after(async () => {
    await practice.shutDown();
    await sandbox.stop();
  });
  afterEach(async () => sandbox.clearFaults());

  /** Charged, captured, and the refund of it that nobody has asked for yet. */
  async function refundOn(id: string, changes: Partial<Order> = {}): Promise<Order> {
    const charge = practiceOrder(id);
    const channel = practice.channel(id);
    await channel.charge(charge);
    const channelRef = await until('it is captured', async () => {
      const answer = await channel.query(charge);
      return answer.kind === 'succeeded' && answer.channelRef;
    });
    return {
      ...practiceOrder(id),
      orderNo: orderNo(newTaskId(), 1),
      operation: 'refund',
      refundOf: { orderNo: charge.orderNo, channelRef },
      ...changes,
    };
  }

  const refund = async (order: Order) => {
    const channel = practice.channel(order.channelId);
    if (channel.refund === undefined) throw new Error('it cannot refund');
    return await channel.refund(order);
  };
  const query = async (order: Order) => practice.channel(order.channelId).query(order);
  const settled = async (order: Order) =>
    await until('the refund is decided', async () => {
      const answer = await query(order);
      return ['succeeded', 'declined'].includes(answer.kind) && answer;
    });
  const paidBack = async ({ refundOf }: Order): Promise<readonly number[]> =>
    (await sandbox.order(refundOf!.orderNo))!.refunds.map((one) => one.amountMinor);
  const fail = async (order: Order, fault: FaultName, params: FaultParams = {}) =>
    sandbox.setFaults([
      { channel: '*', operation: 'refund', fault, orderNo: order.orderNo, params },
    ]);

  for (const id of all) {
    it(`${id} pays back what it captured, once, under the refund's own number`, async () => {
      const order = await refundOn(id);
      expect((await refund(order)).kind).to.be.oneOf(['succeeded', 'pending']);
      expect(await settled(order)).to.have.property('channelRef').that.is.not.empty;
      expect(await paidBack(order)).to.deep.equal([128_050]);
      expect(await sandbox.order(order.orderNo)).to.include({
        operation: 'refund',
        state: 'refunded',
      });
    });

    it(`${id} pays back in parts, and never more than it captured`, async () => {
      const first = await refundOn(id, { amountMinor: amountMinor(100_000) });
      const second = {
        ...first,
        orderNo: orderNo(newTaskId(), 1),
        amountMinor: amountMinor(28_051),
      };
      const third = {
        ...first,
        orderNo: orderNo(newTaskId(), 1),
        amountMinor: amountMinor(28_050),
      };
      await refund(first);
      await settled(first);
      await refund(second);
      expect(await settled(second)).to.include({ kind: 'declined', code: 'refund_refused' });
      await refund(third);
      expect(await settled(third)).to.include({ kind: 'succeeded' });
      expect(await paidBack(first)).to.deep.equal([100_000, 28_050]);
    });

    it(`${id}: of ten refunds at once of the whole, one is paid`, async () => {
      const first = await refundOn(id);
      const ten = Array.from({ length: 10 }, () => ({
        ...first,
        orderNo: orderNo(newTaskId(), 1),
      }));
      await Promise.all(ten.map(refund));
      const kinds = await Promise.all(ten.map(async (order) => (await settled(order)).kind));
      expect(kinds.filter((kind) => kind === 'succeeded')).to.have.length(1);
      expect(await paidBack(first)).to.deep.equal([128_050]);
    });

    it(`${id} pays nothing back of what it does not know or under a foreign reference`, async () => {
      const order = await refundOn(id);
      const { refundOf } = order;
      const wrong = [
        { ...refundOf!, channelRef: 'XX0000000000000000' },
        { ...refundOf!, orderNo: orderNo(newTaskId(), 7) },
      ];
      for (const original of wrong) {
        const other = { ...order, orderNo: orderNo(newTaskId(), 1), refundOf: original };
        await refund(other);
        expect(await settled(other)).to.include({ kind: 'declined', code: 'refund_refused' });
      }
      expect(await paidBack(order)).to.deep.equal([]);
    });

    it(`${id} knows a refund by the question about refunds alone`, async () => {
      const order = await refundOn(id);
      await refund(order);
      await settled(order);
      const { operation: _operation, ...asCharge } = order;
      expect(await query(asCharge)).to.include({ kind: 'not_found' });
      const charge = { ...order, orderNo: order.refundOf!.orderNo };
      expect(await query(charge)).to.include({ kind: 'not_found' });
    });

    it(`${id} sent twice: ${id === 'swiftpay' ? 'paid once' : 'refused, and paid once'}`, async () => {
      const order = await refundOn(id);
      await refund(order);
      const again = await refund(order);
      expect(again.kind).to.equal(id === 'swiftpay' ? 'succeeded' : 'unknown');
      await settled(order);
      expect(await paidBack(order)).to.deep.equal([128_050]);
    });
  }

  const lost: readonly (readonly [FaultName, FaultParams, heard: string, paid: number])[] = [
    ['timeout_before', {}, 'unknown', 0],
    ['timeout_after', {}, 'unknown', 1],
    ['reset_before', {}, 'unknown', 0],
    ['reset_after', {}, 'unknown', 1],
    ['http_5xx_before', {}, 'unknown', 0],
    ['http_5xx_after', { signed: true }, 'unknown', 1],
    ['garbage', {}, 'unknown', 1],
    ['half_response', {}, 'unknown', 1],
    ['bad_signature', {}, 'unknown', 1],
    ['mismatch', { field: 'amount' }, 'mismatch', 1],
    ['throttled', {}, 'unknown', 0],
    ['decline', {}, 'declined', 0],
    ['duplicate_capture', {}, 'succeeded', 1],
  ];
  for (const [fault, params, heard, paid] of lost) {
    it(`${fault}: heard as ${heard}, and ${paid === 0 ? 'nothing' : 'once'} paid back`, async () => {
      const order = await refundOn('swiftpay');
      await fail(order, fault, params);
      expect((await refund(order)).kind).to.equal(heard);
      expect(await paidBack(order)).to.have.length(paid);
      const asked = await query(order);
      const known = paid === 1 ? 'succeeded' : heard === 'declined' ? 'declined' : 'not_found';
      expect(asked.kind).to.equal(known);
    });
  }

  it('is not found, and then done all the same', async () => {
    const order = await refundOn('oldbank');
    await fail(order, 'late_effect', { delay_ms: 60_000, answer: 'server_error' });
    expect(await refund(order)).to.include({ kind: 'unknown' });
    expect(await query(order)).to.include({ kind: 'not_found' });
    await sandbox.letGo();
    expect(await settled(order)).to.include({ kind: 'succeeded' });
    expect(await paidBack(order)).to.deep.equal([128_050]);
  });

  it('is refused for ever once its number is closed, seen or unseen', async () => {
    const order = await refundOn('unionlink');
    const channel = practice.channel('unionlink');
    expect(await channel.close!(order)).to.deep.equal({ kind: 'closed' });
    expect(await refund(order)).to.include({ kind: 'not_executed', proof: 'closed' });
    expect(await paidBack(order)).to.deep.equal([]);
  });

  it('is refused after its expiry', async () => {
    const now = Date.now();
    const order = await refundOn('swiftpay', { createdAtMs: now - 9_000, expiresAtMs: now - 1 });
    expect(await refund(order)).to.include({ kind: 'declined', code: 'order_expired' });
    expect(await paidBack(order)).to.deep.equal([]);
  });

  it('is not offered by a channel whose profile does not say so', async () => {
    const unable = new Practice(sandbox.ready.env, (one) => ({ ...one, can_refund: false }));
    try {
      for (const id of all) expect(unable.channel(id)).not.to.have.property('refund');
    } finally {
      await unable.shutDown();
    }
  });

  it('is never sent without the order it pays back', async () => {
    const { refundOf: _refundOf, ...order } = await refundOn('swiftpay');
    expect(await refund(order)).to.deep.equal({ kind: 'not_executed', proof: 'not_sent' });
  });

  it('survives a kill of the channel: decided once', async () => {
    const own = await SandboxProcess.start({ latencyScale: 0.01 });
    const { bookDir } = own;
    const practising = new Practice(own.ready.env);
    const channel = practising.channel('swiftpay');
    const charge = practiceOrder('swiftpay');
    const charged = await channel.charge(charge);
    if (charged.kind !== 'succeeded') throw new Error(charged.kind);
    const { channelRef } = charged;
    const order: Order = {
      ...practiceOrder('swiftpay'),
      operation: 'refund',
      refundOf: { orderNo: charge.orderNo, channelRef },
    };
    await channel.refund!(order);
    await own.kill();
    const again = await SandboxProcess.start({ bookDir, latencyScale: 0.01 });
    try {
      expect(await channel.refund!(order)).to.include({ kind: 'succeeded' });
      expect((await again.order(charge.orderNo))?.refunds).to.have.length(1);
    } finally {
      await practising.shutDown();
      await again.stop();
      await own.stop();
    }
  });
});
