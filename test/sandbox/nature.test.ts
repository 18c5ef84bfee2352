import { expect } from 'chai';
import type { Channel } from '../../src/channels/channel.js';
import type { Order } from '../../src/engine/order.js';
import { Practice, practiceOrder, practiceOrderOn } from '../channels/practice.js';
import { SandboxProcess, until } from './sandbox-process.js';

const expired = (channel: string): Order => {
  const now = Date.now();
  return practiceOrder(channel, { createdAtMs: now - 9_000, expiresAtMs: now - 1_000 });
};

describe('The sandbox keeps the promises of each nature', () => {
  let sandbox: SandboxProcess;
  let practice: Practice;
  let swiftpay: Channel;
  let unionlink: Channel;
  let oldbank: Channel;
  let voucherpay: Channel;

  before(async () => {
    sandbox = await SandboxProcess.start({ latencyScale: 0.05 });
    practice = new Practice(sandbox.ready.env);
    [swiftpay, unionlink, oldbank, voucherpay] = [
      'swiftpay',
      'unionlink',
      'oldbank',
      'voucherpay',
    ].map((id) => practice.channel(id)) as [Channel, Channel, Channel, Channel];
  });
  after(async () => {
    await practice.shutDown();
    await sandbox.stop();
  });
  afterEach(async () => sandbox.clearFaults());

  const captures = async ({ orderNo }: Order): Promise<number> =>
    (await sandbox.order(orderNo))?.captures.length ?? 0;

  describe('a payer who does not pay at once', () => {
    it('is waited for, and then has paid, also at a channel that answers at once', async () => {
      const order = practiceOrderOn('swiftpay', 'tok_later_1');
      expect(await swiftpay.charge(order)).to.include({ kind: 'pending' });
      const paid = await until('the payer has paid', async () => {
        const answer = await swiftpay.query(order);
        return answer.kind === 'pending' ? null : answer;
      });
      expect(paid).to.include({ kind: 'succeeded' });
      expect(await captures(order)).to.equal(1);
    });

    it('who never pays is waited for until the order is closed, which it then stays', async () => {
      const order = practiceOrderOn('unionlink', 'tok_unpaid_1');
      expect(await unionlink.charge(order)).to.include({ kind: 'pending' });
      expect(await unionlink.query(order)).to.include({ kind: 'pending' });
      expect(await unionlink.close!(order)).to.deep.equal({ kind: 'closed' });
      const closed = { kind: 'not_executed', proof: 'closed' };
      expect(await unionlink.query(order)).to.include(closed);
      expect(await unionlink.charge(order)).to.include(closed);
      expect(await captures(order)).to.equal(0);
    });

    it('who never pays lets the order expire, where that is honoured', async () => {
      const now = Date.now();
      const times = { createdAtMs: now, expiresAtMs: now + 600 };
      const order = practiceOrderOn('swiftpay', 'tok_unpaid_2', times);
      expect(await swiftpay.charge(order)).to.include({ kind: 'pending' });
      const ended = await until('the order has expired', async () => {
        const answer = await swiftpay.query(order);
        return answer.kind === 'pending' ? null : answer;
      });
      expect(ended).to.include({ kind: 'declined', code: 'order_expired' });
      expect(await captures(order)).to.equal(0);
    });
  });

  describe('idempotent by order number', () => {
    it('captures once, however often and however fast the same bytes come', async () => {
      const order = practiceOrder('swiftpay');
      const answers = await Promise.all(Array.from({ length: 20 }, () => swiftpay.charge(order)));
      for (const { kind } of answers) expect(kind).to.be.oneOf(['succeeded', 'pending']);
      expect(await swiftpay.charge(order)).to.include({ kind: 'succeeded' });
      expect(await captures(order)).to.equal(1);
    });

    it('refuses the same number with other bytes, and says nothing of the first', async () => {
      const order = practiceOrder('swiftpay');
      await swiftpay.charge(order);
      const other = await swiftpay.charge({ ...order, amountMinor: 1_000n as never });
      expect(other).to.include({ kind: 'unknown', why: 'unlisted_code' });
      expect(await captures(order)).to.equal(1);
    });

    it('repeats a decline and never thinks better of it', async () => {
      const order = practiceOrderOn('swiftpay', 'tok_insufficient_1');
      for (let n = 0; n < 3; n += 1) {
        expect(await swiftpay.charge(order)).to.include({ code: 'insufficient_funds' });
      }
    });

    it('executes once when the first sending arrives after the second', async () => {
      const order = practiceOrder('swiftpay');
      const { orderNo } = order;
      await sandbox.setFaults([
        {
          channel: 'swiftpay',
          operation: 'charge',
          fault: 'late_effect',
          orderNo,
          nth: 1,
          params: { delay_ms: 60_000, answer: 'server_error' },
        },
      ]);
      expect(await swiftpay.charge(order)).to.include({ kind: 'unknown' });
      const askedMs = Date.now();
      const heard = await swiftpay.query(order);
      expect(heard).to.include({ kind: 'not_found' });
      expect(heard, 'by the clock of the channel').to.have.property('saidAtMs').gte(askedMs);
      expect(await swiftpay.charge(order)).to.include({ kind: 'succeeded' });
      await sandbox.letGo();
      expect(await captures(order)).to.equal(1);
    });
  });

  describe('not idempotent', () => {
    it('refuses a second charge as a duplicate, of which nothing follows', async () => {
      for (const channel of [unionlink, oldbank, voucherpay]) {
        const order = practiceOrder(channel.profile.id);
        await channel.charge(order);
        expect(await channel.charge(order)).to.include({ kind: 'unknown', why: 'unlisted_code' });
        await until('it is captured', async () => (await captures(order)) === 1);
        expect((await sandbox.order(order.orderNo))?.refusals).to.equal(1);
      }
    });
  });

  describe('honours expiry', () => {
    it('refuses what has expired, for good, and books the refusal', async () => {
      for (const channel of [swiftpay, oldbank]) {
        const order = expired(channel.profile.id);
        expect(await channel.charge(order)).to.include({ kind: 'declined', code: 'order_expired' });
        expect(await sandbox.order(order.orderNo)).to.include({ state: 'expired' });
      }
    });

    it('never starts an order late, even one that was on its way in time', async () => {
      const now = Date.now();
      const order = practiceOrder('oldbank', { createdAtMs: now - 5_000, expiresAtMs: now + 500 });
      const { orderNo } = order;
      await sandbox.setFaults([
        {
          channel: 'oldbank',
          operation: 'charge',
          fault: 'late_effect',
          orderNo,
          params: { delay_ms: 60_000, answer: 'server_error' },
        },
      ]);
      await oldbank.charge(order);
      await until('it has expired', async () => Date.now() > order.expiresAtMs);
      await sandbox.letGo();
      const booked = await sandbox.order(orderNo);
      expect(booked).to.include({ state: 'expired' });
      expect(booked?.captures).to.have.lengthOf(0);
    });

    it('shows what it started within the window, however invisible it was told to be', async () => {
      const order = practiceOrder('swiftpay');
      const { orderNo } = order;
      const hide = { delay_ms: 0, invisible_ms: 86_400_000, answer: 'server_error' } as const;
      await sandbox.setFaults([
        { channel: 'swiftpay', operation: 'charge', fault: 'late_effect', orderNo, params: hide },
      ]);
      await swiftpay.charge(order);
      await until('it is captured', async () => (await captures(order)) === 1);
      expect(await swiftpay.query(order)).to.include({ kind: 'not_found' });
      const startedMs = performance.now();
      await until('it is visible', async () => (await swiftpay.query(order)).kind === 'succeeded');
      // Told to hide it for a day.
      expect(performance.now() - startedMs).to.be.below(
        swiftpay.profile.nature.visibility_ms + 5_000,
      );
    });
  });

  describe('refuses what was closed', () => {
    it('for ever, even a number that it had never seen', async () => {
      const order = practiceOrder('unionlink');
      expect(await unionlink.close?.(order)).to.deep.equal({ kind: 'closed' });
      expect(await unionlink.charge(order)).to.deep.equal({
        kind: 'not_executed',
        proof: 'closed',
      });
      expect(await unionlink.close?.(order)).to.deep.equal({ kind: 'closed' });
      expect(await captures(order)).to.equal(0);
    });

    it('also when the charge was on its way while it was closed', async () => {
      const order = practiceOrder('unionlink');
      const { orderNo } = order;
      await sandbox.setFaults([
        {
          channel: 'unionlink',
          operation: 'charge',
          fault: 'late_effect',
          orderNo,
          params: { delay_ms: 60_000, answer: 'reset' },
        },
      ]);
      expect(await unionlink.charge(order)).to.include({ kind: 'unknown' });
      expect(await unionlink.close?.(order)).to.deep.equal({ kind: 'closed' });
      await sandbox.letGo();
      const booked = await sandbox.order(orderNo);
      expect(booked).to.include({ state: 'closed', refusals: 1 });
      expect(booked?.captures).to.have.lengthOf(0);
    });

    it('and refuses to close what it is executing or has executed', async () => {
      const order = practiceOrder('unionlink');
      await unionlink.charge(order);
      expect(await unionlink.close?.(order)).to.include({ kind: 'refused' });
      await until('it is captured', async () => (await captures(order)) === 1);
      expect(await unionlink.close?.(order)).to.include({ kind: 'refused' });
    });

    it('also what is executing and invisible', async () => {
      const order = practiceOrder('unionlink');
      const { orderNo } = order;
      const hide = { delay_ms: 0, invisible_ms: 60_000, answer: 'server_error' } as const;
      await sandbox.setFaults([
        { channel: 'unionlink', operation: 'charge', fault: 'late_effect', orderNo, params: hide },
      ]);
      await unionlink.charge(order);
      await until('it is there', async () => sandbox.order(orderNo));
      expect(await unionlink.query(order)).to.include({ kind: 'not_found' });
      expect(await unionlink.close?.(order)).to.include({ kind: 'refused' });
    });
  });

  it('breaks each of them when told to, and says so in the book', async () => {
    await sandbox.setFaults([{ channel: '*', operation: 'charge', fault: 'violates_nature' }]);
    const late = expired('swiftpay');
    expect(await swiftpay.charge(late)).to.include({ kind: 'succeeded' });
    const closed = practiceOrder('unionlink');
    await unionlink.close?.(closed);
    await unionlink.charge(closed);
    await until('it is captured', async () => (await captures(closed)) === 1);
    const twice = practiceOrder('swiftpay');
    await swiftpay.charge(twice);
    await swiftpay.charge(twice);
    expect(await captures(twice)).to.equal(2);
    const [capture] = (await sandbox.order(late.orderNo))!.captures;
    expect(capture).to.include({ violation: true });
  });

  it('holds banks and limits of its own', async () => {
    const odd = { token: 'tok_ok_1', bankCode: 'PSBC', last4: '0000' };
    expect(await swiftpay.charge(practiceOrder('swiftpay', { account: odd }))).to.include({
      code: 'bank_unsupported',
    });
    const large = { amountMinor: 1_000_001n as never };
    expect(await oldbank.charge(practiceOrder('oldbank', large))).to.include({
      code: 'limit_exceeded',
    });
    // An account's day: two million at oldbank.
    const kinds = [];
    for (let n = 0; n < 3; n += 1) {
      const order = practiceOrderOn('oldbank', 'tok_ok_day', { amountMinor: 1_000_000n as never });
      kinds.push((await oldbank.charge(order)).kind);
    }
    expect(kinds).to.deep.equal(['succeeded', 'succeeded', 'declined']);
  });

  it('refuses what is not signed by the merchant', async () => {
    const stranger = new Practice({
      ...sandbox.ready.env,
      RECOUP_SANDBOX_SWIFTPAY_HMAC_KEY: 'wrong',
      RECOUP_SANDBOX_OLDBANK_HMAC_KEY: 'wrong',
    });
    const order = practiceOrder('swiftpay');
    // Its answer is signed with a key that this side does not have.
    expect(await stranger.channel('swiftpay').charge(order)).to.include({ why: 'bad_signature' });
    expect(await sandbox.order(order.orderNo)).to.equal(undefined);
    await stranger.shutDown();
  });
});
