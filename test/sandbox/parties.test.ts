import { expect } from 'chai';
import type { Channel } from '../../src/channels/channel.js';
import type { Order } from '../../src/engine/order.js';
import type { ChargeAnswer } from '../../src/engine/reply.js';
import { amountMinor } from '../../src/money.js';
import type { FaultRule } from '../../src/sandbox/faults.js';
import { partyProfiles, Practice, practiceOrder } from '../channels/practice.js';
import { SandboxProcess, until } from './sandbox-process.js';

type Placing = NonNullable<Order['operation']>;

let customers = 0;
const account = () => {
  customers += 1;
  return { token: `tok_ok_${customers}`, bankCode: 'CARD', last4: '1234' };
};

const refOf = (answer: ChargeAnswer): string => {
  if (answer.kind !== 'succeeded') throw new Error(`it is ${answer.kind}`);
  return answer.channelRef;
};

/** One party in a process of its own, and its port. */
class Party {
  private constructor(
    readonly sandbox: SandboxProcess,
    readonly practice: Practice,
    readonly channel: Channel,
  ) {}

  static async start(role: 'cards' | 'accounts'): Promise<Party> {
    const sandbox = await SandboxProcess.start({ role, latencyScale: 0.05 });
    const profiles = partyProfiles().filter(({ id }) => id === role);
    const practice = new Practice(sandbox.ready.env, undefined, undefined, profiles);
    return new Party(sandbox, practice, practice.channel(role));
  }

  async stop(): Promise<void> {
    await this.practice.shutDown();
    await this.sandbox.stop();
  }

  async place(order: Order): Promise<ChargeAnswer> {
    const place = this.channel[order.operation ?? 'charge'];
    if (place === undefined) throw new Error(`no ${order.operation}`);
    return await place(order);
  }

  async fail(order: Order, fault: FaultRule['fault'], params: FaultRule['params'] = {}) {
    const operation = order.operation ?? 'charge';
    const { orderNo } = order;
    const rule = { channel: '*', operation, fault, orderNo, nth: 1, params } as const;
    await this.sandbox.setFaults([rule]);
  }

  async settled(order: Order): Promise<ChargeAnswer> {
    return await until(`${order.operation} is decided`, async () => {
      const answer = await this.channel.query(order);
      const open = ['not_found', 'unknown', 'pending', 'not_executed'].includes(answer.kind);
      return open ? null : (answer as ChargeAnswer);
    });
  }
}

describe('The card system', () => {
  let cards: Party;
  before(async () => (cards = await Party.start('cards')));
  after(async () => cards.stop());
  afterEach(async () => cards.sandbox.clearFaults());

  const topUp = { creditMinor: amountMinor(11_000), rule: 'ten_for_hundred' };
  const onCard = (operation: Placing, changes: Partial<Order> = {}): Order =>
    practiceOrder('cards', { operation, amountMinor: amountMinor(10_000), topUp, ...changes });

  /** A pre-recharge that is recorded, and what is to be said about it. */
  async function recorded() {
    const card = account();
    const order = onCard('pre_recharge', { account: card });
    const channelRef = refOf(await cards.place(order));
    const about = { account: card, regarding: { orderNo: order.orderNo, channelRef } };
    return { card, order, about };
  }
  const balance = async ({ token }: { token: string }) =>
    await cards.sandbox.balance('cards', token);

  it('credits what was recorded, bonus included, and once', async () => {
    const { card, about } = await recorded();
    expect(await balance(card)).to.equal(0);
    const credit = onCard('credit', about);
    const answers = await Promise.all(Array.from({ length: 10 }, () => cards.place(credit)));
    for (const { kind } of answers) expect(kind).to.be.oneOf(['succeeded', 'pending']);
    expect(await cards.place(credit)).to.include({ kind: 'succeeded' });
    expect(await cards.place(onCard('credit', about))).to.include({ code: 'already_credited' });
    expect(await balance(card)).to.equal(11_000);
    expect((await cards.sandbox.order(credit.orderNo))?.executions).to.have.length(1);
  });

  it('credits nothing that differs from what was recorded', async () => {
    const { card, about } = await recorded();
    const more = { creditMinor: amountMinor(11_001), rule: topUp.rule };
    for (const changes of [
      { topUp: more },
      { amountMinor: amountMinor(10_001) },
      { account: account() },
      { regarding: { ...about.regarding, channelRef: 'CA0' } },
    ]) {
      const answer = await cards.place(onCard('credit', { ...about, ...changes }));
      expect(answer).to.include({ kind: 'declined', code: 'original_unknown' });
    }
    expect(await balance(card)).to.equal(0);
  });

  it('never credits what was voided, and voids it again as often as one likes', async () => {
    const { card, about } = await recorded();
    expect(await cards.place(onCard('void', about))).to.include({ kind: 'succeeded' });
    expect(await cards.place(onCard('void', about))).to.include({ kind: 'succeeded' });
    expect(await cards.place(onCard('credit', about))).to.include({ code: 'voided' });
    expect(await balance(card)).to.equal(0);
  });

  it('voids nothing that was credited', async () => {
    const { about } = await recorded();
    await cards.place(onCard('credit', about));
    expect(await cards.place(onCard('void', about))).to.include({ code: 'already_credited' });
  });

  it('refuses a credit that comes late, after the void', async () => {
    const { card, about } = await recorded();
    const credit = onCard('credit', about);
    await cards.fail(credit, 'late_effect', { delay_ms: 60_000, answer: 'server_error' });
    expect(await cards.place(credit)).to.include({ kind: 'unknown' });
    expect(await cards.channel.query(credit)).to.include({ kind: 'not_found' });
    expect(await cards.place(onCard('void', about))).to.include({ kind: 'succeeded' });
    await cards.sandbox.letGo();
    expect(await cards.settled(credit)).to.include({ kind: 'declined', code: 'voided' });
    expect(await balance(card)).to.equal(0);
  });

  it('credits late, after our time-out, where nobody voided it', async () => {
    const { card, about } = await recorded();
    const credit = onCard('credit', about);
    await cards.fail(credit, 'late_effect', { delay_ms: 60_000, answer: 'reset' });
    expect(await cards.place(credit)).to.include({ kind: 'unknown' });
    await cards.sandbox.letGo();
    expect(await cards.settled(credit)).to.include({ kind: 'succeeded' });
    expect(await balance(card)).to.equal(11_000);
  });

  it('closes a credit that it never saw, which then is never credited, under no number', async () => {
    const { card, about } = await recorded();
    const credit = onCard('credit', about);
    expect(await cards.channel.close!(credit)).to.deep.equal({ kind: 'closed' });
    expect(await cards.channel.query(credit)).to.include({ kind: 'not_executed', proof: 'closed' });
    expect(await cards.place(credit)).to.include({ kind: 'not_executed', proof: 'closed' });
    expect(await cards.place(onCard('credit', about))).to.include({ code: 'voided' });
    expect(await cards.place(onCard('void', about))).to.include({ kind: 'succeeded' });
    expect(await balance(card)).to.equal(0);
  });

  it('does not close a credit that was done', async () => {
    const { about } = await recorded();
    const credit = onCard('credit', about);
    await cards.place(credit);
    expect(await cards.channel.close!(credit)).to.include({ kind: 'refused' });
    expect(await cards.channel.query(credit)).to.include({ kind: 'succeeded' });
  });

  it('closes a void without voiding anything', async () => {
    const { about } = await recorded();
    const ended = onCard('void', about);
    expect(await cards.channel.close!(ended)).to.deep.equal({ kind: 'closed' });
    expect(await cards.place(ended)).to.include({ kind: 'not_executed', proof: 'closed' });
    expect(await cards.place(onCard('credit', about))).to.include({ kind: 'succeeded' });
  });

  for (const answer of ['server_error', 'hang'] as const) {
    it(`waits for a lock, says nothing (${answer}), and credits when it is free`, async () => {
      const { card, about } = await recorded();
      const credit = onCard('credit', about);
      await cards.fail(credit, 'lock_wait', { delay_ms: 60_000, answer });
      expect(await cards.place(credit)).to.include({ kind: 'unknown' });
      expect(await cards.channel.query(credit)).to.include({ kind: 'unknown' });
      expect(await balance(card)).to.equal(0);
      await cards.sandbox.letGo();
      expect(await cards.settled(credit)).to.include({ kind: 'succeeded' });
      expect(await balance(card)).to.equal(11_000);
    });
  }

  it('closes a credit that waits for a lock: the lock then finds it void', async () => {
    const { card, about } = await recorded();
    const credit = onCard('credit', about);
    await cards.fail(credit, 'lock_wait', { delay_ms: 60_000 });
    await cards.place(credit);
    expect(await cards.channel.close!(credit)).to.deep.equal({ kind: 'closed' });
    await cards.sandbox.letGo();
    expect(await cards.channel.query(credit)).to.include({ proof: 'closed' });
    expect(await balance(card)).to.equal(0);
  });

  it('is read against what was frozen: another credit is a mismatch', async () => {
    const { about } = await recorded();
    const credit = onCard('credit', about);
    await cards.fail(credit, 'mismatch', { field: 'credit_amount' });
    expect(await cards.place(credit)).to.deep.equal({
      kind: 'mismatch',
      field: 'amount',
      ours: '11000',
      theirs: '11001',
    });
  });

  it('does what it had accepted after a kill, and remembers what was void', async () => {
    const { card, about } = await recorded();
    const gone = await recorded();
    await cards.place(onCard('void', gone.about));
    const credit = onCard('credit', about);
    await cards.fail(credit, 'lock_wait', { delay_ms: 60_000 });
    await cards.place(credit);
    const { bookDir } = cards.sandbox;
    await cards.sandbox.kill();
    const again = await SandboxProcess.start({ role: 'cards', bookDir, latencyScale: 0.05 });
    try {
      expect(await cards.settled(credit)).to.include({ kind: 'succeeded' });
      expect(await again.balance('cards', card.token)).to.equal(11_000);
      expect(await cards.place(onCard('credit', gone.about))).to.include({ code: 'voided' });
    } finally {
      await again.stop();
      await cards.stop();
      cards = await Party.start('cards');
    }
  });

  it('charges nobody', async () => {
    const { charge, ...port } = cards.channel;
    expect(await charge(practiceOrder('cards'))).to.deep.equal({
      kind: 'not_executed',
      proof: 'not_sent',
    });
    for (const other of ['refund', 'payout', 'debit']) expect(port).not.to.have.property(other);
  });
});

describe('The account service', () => {
  let accounts: Party;
  before(async () => (accounts = await Party.start('accounts')));
  after(async () => accounts.stop());
  afterEach(async () => accounts.sandbox.clearFaults());

  const order = (operation: Placing, minor: number, changes: Partial<Order> = {}): Order =>
    practiceOrder('accounts', { operation, amountMinor: amountMinor(minor), ...changes });
  const holder = async (minor: number) => {
    const one = account();
    await accounts.sandbox.setBalance('accounts', one.token, minor);
    return one;
  };
  const balance = async ({ token }: { token: string }) =>
    await accounts.sandbox.balance('accounts', token);

  it('debits what is there, and not a fen more', async () => {
    const account = await holder(5_000);
    const debits = Array.from({ length: 8 }, () => order('debit', 1_000, { account }));
    const answers = await Promise.all(debits.map((one) => accounts.place(one)));
    expect(answers.filter(({ kind }) => kind === 'succeeded')).to.have.length(5);
    for (const answer of answers.filter(({ kind }) => kind !== 'succeeded')) {
      expect(answer).to.include({ kind: 'declined', code: 'insufficient_balance', scope: 'final' });
    }
    expect(await balance(account)).to.equal(0);
  });

  it('restores a debit once, and no more than it took', async () => {
    const account = await holder(5_000);
    const debit = order('debit', 2_000, { account });
    const channelRef = refOf(await accounts.place(debit));
    const regarding = { orderNo: debit.orderNo, channelRef };
    const more = await accounts.place(order('restore', 2_001, { account, regarding }));
    expect(more).to.include({ code: 'original_unknown' });
    const restore = order('restore', 2_000, { account, regarding });
    expect(await accounts.place(restore)).to.include({ kind: 'succeeded' });
    expect(await accounts.place(restore)).to.include({ kind: 'succeeded' });
    const again = await accounts.place(order('restore', 2_000, { account, regarding }));
    expect(again).to.include({ kind: 'declined', code: 'already_restored' });
    expect(await balance(account)).to.equal(5_000);
    expect((await accounts.sandbox.order(debit.orderNo))?.restoredMinor).to.equal(2_000);
  });

  it('restores nothing that was not debited', async () => {
    const account = await holder(0);
    const debit = order('debit', 2_000, { account });
    await accounts.place(debit);
    const regarding = { orderNo: debit.orderNo, channelRef: 'AC0' };
    const answer = await accounts.place(order('restore', 2_000, { account, regarding }));
    expect(answer).to.include({ code: 'original_unknown' });
    expect(await balance(account)).to.equal(0);
  });

  it('starts nothing after its expiry', async () => {
    const account = await holder(5_000);
    const now = Date.now();
    const late = { account, createdAtMs: now - 9_000, expiresAtMs: now - 1 };
    expect(await accounts.place(order('debit', 1_000, late))).to.include({ code: 'order_expired' });
    expect(await balance(account)).to.equal(5_000);
  });

  it('debits once when the network delivers a request twice', async () => {
    const account = await holder(5_000);
    const debit = order('debit', 1_000, { account });
    await accounts.fail(debit, 'duplicate_request', { delay_ms: 60_000 });
    expect(await accounts.place(debit)).to.include({ kind: 'succeeded' });
    await accounts.sandbox.letGo();
    expect(await balance(account)).to.equal(4_000);
  });
});
