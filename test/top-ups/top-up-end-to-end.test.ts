import { expect } from 'chai';
import type { Evidence } from '../../src/engine/flow.js';
import { channelId, type TaskId } from '../../src/ids.js';
import { CardHouse, nthOrder, someTopUp } from './card-house.js';

const paidOnce = { captured: 100_000, refunded: 0, onCard: 100_000 };
const givenBack = { captured: 100_000, refunded: 100_000, onCard: 0 };

/** A card system whose answers to credits are cut off, and that then does this. */
const unheard = { channel: 'cards', operation: 'credit' } as const;

describe('a top-up, end to end', () => {
  let house: CardHouse;
  /** Started first and looked at last: that nobody pays takes its time. */
  let neverPaid: TaskId;

  before(async () => {
    house = await CardHouse.open({ settlementAgeMs: 700 });
  });
  after(async () => house.close());
  before(async () => {
    const { payer } = someTopUp({}, 'unpaid');
    neverPaid = await house.start(someTopUp({ payer: { ...payer, bankCode: 'PSBC' } }));
  });
  afterEach(async () => house.noFaults());

  it('is recorded, paid, credited once, and told to the ledger', async () => {
    const request = someTopUp();
    const id = await house.start(request);
    expect(await house.record(id)).to.include({
      status: 'succeeded',
      stage: 'credited',
      channelId: 'swiftpay',
      creditMinor: 100_000n,
      creditUnknownSince: null,
      refundedAt: null,
    });
    expect(await house.placed(id)).to.deep.equal(['pre_recharge', 'charge', 'credit']);
    expect(await house.truth(id, request)).to.deep.equal(paidOnce);
    expect(await house.topics(id)).to.deep.equal(['paid', 'credited']);
  });

  it('the same request is the same top-up; another under its key is refused', async () => {
    const request = someTopUp();
    const { topUpDesk } = house.services.flows;
    const both = await Promise.all([topUpDesk.start(request), topUpDesk.start(request)]);
    await Promise.all(both.map(async ({ finished }) => await finished));
    expect(both[0].id).to.equal(both[1].id);
    const other = { ...request, requestDigest: '1'.repeat(64) };
    const refused = await topUpDesk.start(other).catch((error: { code?: string }) => error.code);
    expect(refused).to.equal('idempotency_key_reused');
    expect(await house.truth(both[0].id, request)).to.deep.equal(paidOnce);
  });

  it('begins nothing at a card system that is paused', async () => {
    const { channelStore, directory, flows } = house.services;
    const pause = async (paused: boolean): Promise<void> => {
      await channelStore.setPaused(channelId('cards'), paused, Date.now());
      await directory.refresh();
    };
    await pause(true);
    const refused = await flows.topUpDesk.start(someTopUp()).catch((error: unknown) => error);
    await pause(false);
    expect(refused).to.have.property('code', 'cards_unavailable');
    const details = { cards: null, why: 'paused by an operator' };
    expect(refused).to.have.deep.property('details', details);
    expect(await house.record(await house.start(someTopUp()))).to.include({ status: 'succeeded' });
  });

  it('a payment that is refused is voided at the card system, and nothing was paid', async () => {
    const request = someTopUp({}, 'insufficient');
    const id = await house.start(request);
    await house.until(id);
    expect(await house.record(id)).to.include({ status: 'failed', paidAt: null });
    expect(await house.placed(id)).to.deep.equal(['pre_recharge', 'charge', 'void']);
    expect((await house.cards.order(nthOrder(id, 1)))?.voided).to.equal(true);
  });

  it('waits for a customer who pays later, and hears of it', async () => {
    const request = someTopUp({}, 'later');
    const id = await house.start(request);
    const record = await house.until(id);
    expect(record).to.include({ status: 'succeeded' });
    expect(await house.truth(id, request)).to.deep.equal(paidOnce);
  });

  it('a lost answer to a credit: it is asked about, and credited once', async () => {
    await house.faults('cards', [{ ...unheard, fault: 'reset_after', nth: 1 }]);
    const request = someTopUp();
    const id = await house.start(request);
    const record = await house.until(id);
    expect(record).to.include({ status: 'succeeded' });
    expect(record.creditUnknownSince).to.not.equal(null);
    expect(await house.truth(id, request)).to.deep.equal(paidOnce);
  });

  it('a credit that never arrives is sent again under its number', async () => {
    await house.faults('cards', [{ ...unheard, fault: 'reset_before', nth: 1 }]);
    const request = someTopUp();
    // In its own time: past the hour of the others it would be voided.
    const patient = await house.environment.compose();
    const { id, finished } = await patient.flows.topUpDesk.start(request);
    await finished;
    expect(await house.until(id)).to.include({ status: 'succeeded' });
    expect(await house.placed(id)).to.deep.equal(['pre_recharge', 'charge', 'credit']);
    expect(await house.truth(id, request)).to.deep.equal(paidOnce);
  });

  it('while the credit is unknown nothing is given back, and everybody can see it', async () => {
    await house.faults('cards', [
      { ...unheard, fault: 'reset_before' },
      { channel: 'cards', operation: 'query', fault: 'http_5xx_before' },
    ]);
    const request = someTopUp();
    const id = await house.start(request);
    const record = await house.record(id);
    expect(record).to.include({ status: 'processing', stage: 'credit_unknown' });
    expect(record.creditUnknownSince).to.not.equal(null);
    const listed = await house.services.flows.topUps.list({ stage: 'credit_unknown', limit: 10 });
    expect(listed.map((one) => one.id)).to.deep.equal([id]);
    await house.noFaults();
    await house.until(id);
  });

  it('never credited: after its hour it is voided, and the payment goes back once', async () => {
    await house.faults('cards', [{ ...unheard, fault: 'reset_before' }]);
    const request = someTopUp();
    const id = await house.start(request);
    const record = await house.until(id);
    expect(record).to.include({ status: 'failed', failureCode: 'not_credited' });
    expect(record.refundedAt).to.not.equal(null);
    expect(await house.placed(id)).to.deep.equal([
      'pre_recharge',
      'charge',
      'credit',
      'void',
      'refund',
    ]);
    expect(await house.truth(id, request)).to.deep.equal(givenBack);
    expect(await house.topics(id)).to.deep.equal(['paid', 'refunded']);
  });

  it('a credit that is carried out after our void is refused by the card system', async () => {
    await house.faults('cards', [
      { ...unheard, fault: 'late_effect', params: { delay_ms: 60_000, answer: 'reset' } },
      { channel: 'cards', operation: 'query', fault: 'http_5xx_before' },
    ]);
    const request = someTopUp();
    const id = await house.start(request);
    const record = await house.until(id);
    expect(record).to.include({ status: 'failed' });
    await house.cards.letGo();
    expect((await house.cards.order(nthOrder(id, 3)))?.refusals).to.be.above(0);
    expect(await house.truth(id, request)).to.deep.equal(givenBack);
  });

  it('a credit that waits for a lock is credited or given back, never both', async () => {
    await house.faults('cards', [
      { ...unheard, fault: 'lock_wait', params: { delay_ms: 1_200, answer: 'server_error' } },
    ]);
    const request = someTopUp();
    const id = await house.start(request);
    const { status } = await house.until(id);
    const truth = await house.truth(id, request);
    expect(truth).to.deep.equal(status === 'succeeded' ? paidOnce : givenBack);
  });

  it('refused for good by the card system, it goes back at once', async () => {
    await house.faults('cards', [
      { ...unheard, fault: 'decline', params: { outcome: 'account_closed' } },
    ]);
    const request = someTopUp();
    const id = await house.start(request);
    expect(await house.until(id)).to.include({ status: 'failed', failureCode: 'account_closed' });
    expect(await house.truth(id, request)).to.deep.equal(givenBack);
  });

  it('a void refused because it is credited is a case, and nothing goes back', async () => {
    // It says that it declines, and has credited.
    await house.faults('cards', [
      { ...unheard, fault: 'contradiction', params: { outcome: 'account_closed' } },
    ]);
    const request = someTopUp();
    const id = await house.start(request);
    const record = await house.until(id, ({ status }) => status === 'needs_review');
    expect(record).to.include({ stage: 'giving_back', refundedAt: null });
    expect(await house.cases(id)).to.deep.equal(['undo_failed']);
    expect(await house.truth(id, request)).to.deep.equal(paidOnce);
  });

  it('a refund that is declined is a case', async () => {
    await house.faults('cards', [
      { ...unheard, fault: 'decline', params: { outcome: 'account_closed' } },
    ]);
    await house.faults('channels', [
      {
        channel: 'swiftpay',
        operation: 'refund',
        fault: 'decline',
        params: { outcome: 'refund_refused' },
      },
    ]);
    const request = someTopUp();
    const id = await house.start(request);
    await house.until(id, ({ status }) => status === 'needs_review');
    expect(await house.cases(id)).to.deep.equal(['undo_failed']);
    expect(await house.truth(id, request)).to.deep.equal({ ...givenBack, refunded: 0 });
  });

  it('the same callback twice pays once; one for what has ended gives the payment back', async () => {
    const paid = (id: TaskId): Evidence => ({
      kind: 'callback',
      orderNo: nthOrder(id, 2),
      read: () => ({ kind: 'succeeded', channelRef: 'SP-late' }),
    });
    const request = someTopUp({}, 'insufficient');
    const id = await house.start(request);
    await house.until(id);
    expect(await house.record(id)).to.include({ status: 'failed' });
    expect(await inFlight(id)).to.deep.equal([]);
    await house.services.executor.run(id, paid(id));
    await house.services.executor.run(id, paid(id));
    expect(await house.record(id)).to.include({ status: 'needs_review', stage: 'giving_back' });
    expect((await house.placed(id)).filter((one) => one === 'refund')).to.have.length(1);
    // The sandbox never captured it and refuses; for people the top-up is open, and under way again.
    expect(await house.cases(id)).to.deep.equal(['late_success', 'undo_failed']);
    expect(await house.topics(id)).to.deep.equal(['paid']);
    expect(await inFlight(id)).to.deep.equal([{ kind: 'top_up' }]);
  });

  async function inFlight(id: TaskId): Promise<{ kind: string }[]> {
    const [rows] = (await house.environment.owner.raw(
      'SELECT kind FROM in_flight WHERE task_id = ?',
      [id],
    )) as [{ kind: string }[]];
    return rows;
  }

  it('an order that is never paid is closed at its channel before the top-up ends', async () => {
    const record = await house.until(neverPaid);
    expect(record).to.include({ status: 'failed', paidAt: null });
    const orders = await house.booked(neverPaid);
    expect(orders).to.have.length.at.least(1);
    for (const { state } of orders) expect(state).to.be.oneOf(['closed', 'expired']);
    expect((await house.cards.order(nthOrder(neverPaid, 1)))?.voided).to.equal(true);
    expect(await house.topics(neverPaid)).to.deep.equal([]);
  });
});
