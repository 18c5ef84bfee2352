import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { CaseRecord, Person } from '../../src/cases/case.js';
import type { Proposal } from '../../src/cases/proposal.js';
import { actionsFor, type Resolution } from '../../src/cases/resolution.js';
import type { TaskId } from '../../src/ids.js';
import type { RefundRecord } from '../../src/intake/records.js';
import type { RefundRequest } from '../../src/intake/refund-desk.js';
import { CaseStore } from '../../src/store/case-book.js';
import { recoupHere } from '../cli/recoup.js';
import { Books, straight } from '../ledger/books.js';
import { todayFor } from '../reconciliation/day.js';
import { CardHouse, nthOrder, someTopUp } from './card-house.js';

const wang: Person = { name: 'Wang Fang', keyId: 'key_wang' };
const li: Person = { name: 'Li Na', keyId: 'key_li' };
const source = 'swiftpay 2026-11-22';
const doubled = { channel: '*', operation: 'charge', fault: 'duplicate_capture' } as const;
const unheardCredit = [
  { channel: 'cards', operation: 'credit', fault: 'reset_before' },
  { channel: 'cards', operation: 'query', fault: 'http_5xx_before' },
] as const;
const refusedCredit = {
  channel: 'cards',
  operation: 'credit',
  fault: 'decline',
  params: { outcome: 'account_closed' },
} as const;

/** What a customer paid beyond the one payment that a top-up is built on. */
describe('a top-up that was paid twice', () => {
  let house: CardHouse;
  let today: string;
  let books: Books;

  before(async function () {
    this.timeout(240_000);
    today = await todayFor(150_000);
    const wrappers = { ledger: { queue: () => straight(() => house.services.ledger.consumer) } };
    house = await CardHouse.open({ settlementAgeMs: 700 }, wrappers);
    books = new Books(house.environment);
  });
  after(async () => house.close());
  afterEach(async () => house.noFaults());

  /** The first channel captures and says that it does not; the second captures and says so. */
  async function paidAtTwo(): Promise<{ id: TaskId; card: ReturnType<typeof someTopUp> }> {
    const params = { outcome: 'risk_refused' } as const;
    await house.faults('channels', [
      { channel: '*', operation: 'charge', fault: 'contradiction', params, times: 1 },
    ]);
    const card = someTopUp();
    const id = await house.start(card);
    await house.until(id);
    await heard(id, 2);
    return { id, card };
  }

  /** The channel takes one order twice by itself, and its statement says so. */
  async function takenTwice(): Promise<TaskId> {
    await house.faults('channels', [{ ...doubled, times: 1 }]);
    const id = await house.start();
    await heard(id, 2, 2);
    return id;
  }

  /** What a statement says of an order. */
  async function heard(id: TaskId, no: number, captures = 1): Promise<void> {
    const log = await house.services.deductions.log(id);
    const intent = log.find(({ entry }) => 'nature' in entry && entry.attemptNo === no)?.entry;
    if (intent === undefined || !('nature' in intent)) throw new Error('nothing was sent');
    const answer = await house.services.directory.get(intent.order.channelId)?.query(intent.order);
    if (answer?.kind !== 'succeeded') throw new Error(`the channel says ${answer?.kind}`);
    const { orderNo } = intent.order;
    const read = () => answer;
    const said = { kind: 'statement', orderNo, read, source, captures } as const;
    await house.services.executor.run(id, said);
  }

  const caseOf = async (taskId: TaskId, kind = 'captured_twice'): Promise<CaseRecord> => {
    const { database } = house.services;
    const open = await new CaseStore(database).list({ open: true, taskId, limit: 10 });
    const found = open.find((one) => one.kind === kind);
    if (found === undefined) throw new Error(`no open case of ${kind}`);
    return found;
  };

  const giveBack = ({ amountMinor }: CaseRecord): Resolution => ({
    action: 'refund',
    amountMinor,
    reason: 'paid twice',
  });

  /** Two people decide, and the refund has its first run. */
  async function resolve(about: CaseRecord): Promise<Proposal> {
    const { desk } = house.services.cases;
    const { no, payloadDigest } = await desk.propose(about.id, giveBack(about), wang);
    const end = await desk.approve(about.id, no, payloadDigest, li);
    const refund = await house.services.refunds.findByRequest(`case:${about.id}:${no}`);
    if (refund === null) throw new Error(`no refund: ${end.outcome}`);
    await house.services.resume(refund.id);
    return end;
  }

  const refundsOf = async (topUpId: TaskId): Promise<readonly RefundRecord[]> =>
    await house.services.refunds.list({ topUpId, limit: 20 });

  const bookOf = async (id: TaskId, no: number) => {
    const found = (await house.booked(id)).find(({ orderNo }) => orderNo === nthOrder(id, no));
    if (found === undefined) throw new Error(`no channel has order ${no}`);
    return found;
  };

  const ask = (taskId: TaskId, attemptNo: number, key = 'r'): RefundRequest => ({
    taskId,
    attemptNo,
    amountMinor: null,
    reason: 'asked for',
    requestedBy: wang.name,
    approvedBy: li.name,
    requestKey: `${taskId}:${attemptNo}:${key}`,
  });

  /** How a request ends: `done`, or its refusal. */
  const endOf = async (request: RefundRequest): Promise<string> => {
    try {
      await (
        await house.services.refundDesk.start(request)
      ).finished;
      return 'done';
    } catch (error) {
      return (error as { code?: string }).code ?? String(error);
    }
  };

  const prepaid = 'customer_prepayment';
  const clearingOf = async (id: TaskId, no: number): Promise<string> =>
    `channel_clearing:${(await bookOf(id, no)).channel}`;

  it('at two channels: the second payment goes back, and the card stays credited', async () => {
    const { id, card } = await paidAtTwo();
    expect(await house.truth(id, card)).to.deep.equal({
      captured: 200_000,
      refunded: 0,
      onCard: 100_000,
    });
    const about = await caseOf(id);
    expect(actionsFor(about)).to.deep.equal(['refund', 'write_off']);
    expect((await resolve(about)).state).to.equal('executed');
    const [refund] = await refundsOf(id);
    expect(refund).to.include({
      status: 'succeeded',
      topUpId: id,
      deductionId: null,
      captureNo: 1,
      captureOrderNo: nthOrder(id, 2),
      requestedBy: wang.name,
      approvedBy: li.name,
    });
    expect(await house.truth(id, card)).to.deep.equal({
      captured: 200_000,
      refunded: 100_000,
      onCard: 100_000,
    });
    expect(await house.record(id)).to.include({ status: 'succeeded', refundedAt: null });
    expect(await endOf(ask(id, 2, 'again'))).to.equal('capture_not_available');
    await books.deliver(house.services);
    const second = await clearingOf(id, 2);
    expect(await books.transfers(id)).to.have.members([
      `${await clearingOf(id, 3)} > ${prepaid} 100000`,
      `${prepaid} > stored_value 100000`,
      `${second} > ${prepaid} 100000`,
      `${prepaid} > ${second} 100000`,
    ]);
  });

  it('by the channel itself: each capture beyond the payment goes back once', async () => {
    const id = await takenTwice();
    expect((await resolve(await caseOf(id))).state).to.equal('executed');
    expect(await refundsOf(id)).to.have.length(1);
    expect((await refundsOf(id))[0]).to.include({ status: 'succeeded', captureNo: 2 });
    const { captures, refunds } = await bookOf(id, 2);
    expect([captures.length, refunds.length]).to.deep.equal([2, 1]);
    await books.deliver(house.services);
    const clearing = await clearingOf(id, 2);
    expect(await books.transfers(id)).to.have.members([
      `${clearing} > ${prepaid} 100000`,
      `${clearing} > ${prepaid} 100000`,
      `${prepaid} > stored_value 100000`,
      `${prepaid} > ${clearing} 100000`,
    ]);
  });

  it('while nothing yet holds its payment: of many refunds at once one is made, and it goes back too', async () => {
    await house.faults('cards', [
      refusedCredit,
      { channel: 'cards', operation: 'void', fault: 'http_5xx_before' },
      { channel: 'cards', operation: 'query', fault: 'http_5xx_before' },
    ]);
    const id = await takenTwice();
    expect(await house.record(id)).to.include({ status: 'processing', stage: 'giving_back' });
    const asked = Array.from({ length: 8 }, async (_, at) => endOf(ask(id, 2, String(at))));
    const ends = await Promise.all(asked);
    expect(ends.filter((end) => end === 'done')).to.have.length(1);
    for (const end of ends) expect(end).to.be.oneOf(['done', 'capture_not_available', 'busy']);
    await house.noFaults();
    expect(await house.until(id)).to.include({ status: 'failed' });
    const { captures, refunds } = await bookOf(id, 2);
    expect([captures.length, refunds.length]).to.deep.equal([2, 2]);
  });

  it('the same request is the same refund', async () => {
    const { id } = await paidAtTwo();
    const both = [ask(id, 2), ask(id, 2)].map((one) => house.services.refundDesk.start(one));
    const [one, other] = await Promise.all(both);
    expect(one?.id).to.equal(other?.id);
    await one?.finished;
    await other?.finished;
    expect(await refundsOf(id)).to.have.length(1);
  });

  it('the payment that it was built on is no refund’s to take, whatever becomes of it', async () => {
    const request = someTopUp();
    const credited = await house.start(request);
    expect(await endOf(ask(credited, 2))).to.equal('capture_not_available');
    await house.faults('cards', unheardCredit);
    const unknown = await house.start();
    expect(await house.record(unknown)).to.include({ stage: 'credit_unknown' });
    expect(await endOf(ask(unknown, 2))).to.equal('capture_not_available');
    await house.noFaults();
    await house.faults('cards', [refusedCredit]);
    const back = await house.start();
    await house.until(back);
    expect(await endOf(ask(back, 2))).to.equal('capture_not_available');
    expect(await house.truth(credited, request)).to.include({ refunded: 0, onCard: 100_000 });
  });

  it('what is no payment is not given back', async () => {
    const id = await house.start();
    expect(await endOf(ask(id, 3))).to.equal('capture_unknown');
    expect(await endOf(ask(id, 9))).to.equal('capture_unknown');
    const part = { ...ask((await paidAtTwo()).id, 2), amountMinor: 1n as never };
    expect(await endOf(part)).to.equal('refund_not_whole');
  });

  it('a refund of unknown outcome is asked about, and made once', async () => {
    const { id } = await paidAtTwo();
    await house.faults('channels', [
      { channel: '*', operation: 'refund', fault: 'timeout_after', times: 1 },
      // However late it is asked, it is not known yet.
      { channel: '*', operation: 'query', fault: 'http_5xx_before' },
    ]);
    expect((await resolve(await caseOf(id))).state).to.equal('executed');
    const [refund] = await refundsOf(id);
    expect(refund).to.include({ status: 'processing' });
    expect(await endOf(ask(id, 2, 'meanwhile'))).to.equal('capture_not_available');
    await house.noFaults();
    await house.services.executor.run(refund?.id as TaskId, { kind: 'ask', by: 'test' });
    expect((await refundsOf(id)).map(({ status }) => status)).to.deep.equal(['succeeded']);
    expect((await bookOf(id, 2)).refunds).to.have.length(1);
  });

  it('a refund that failed is a case, and is tried again on the same capture', async () => {
    const { id } = await paidAtTwo();
    const params = { outcome: 'account_closed' } as const;
    await house.faults('channels', [
      { channel: '*', operation: 'refund', fault: 'decline', params },
    ]);
    await resolve(await caseOf(id));
    const [failed] = await refundsOf(id);
    expect(failed).to.include({ status: 'failed' });
    await house.noFaults();
    expect((await resolve(await caseOf(failed?.id as TaskId, 'refund_failed'))).state).to.equal(
      'executed',
    );
    expect((await refundsOf(id)).map(({ status, captureNo }) => [status, captureNo])).to.deep.equal(
      [
        ['succeeded', 1],
        ['failed', 1],
      ],
    );
  });

  it('is decided once, where the process died after the refund had started', async () => {
    const { id } = await paidAtTwo();
    const about = await caseOf(id);
    const { desk } = house.services.cases;
    const { no, payloadDigest } = await desk.propose(about.id, giveBack(about), wang);
    const requestKey = `case:${about.id}:${no}`;
    const { id: refundId, finished } = await house.services.refundDesk.start({
      ...ask(id, 2),
      requestKey,
    });
    await finished;
    const end = await desk.approve(about.id, no, payloadDigest, li);
    expect(end).to.include({ state: 'executed', outcome: `refund ${refundId}` });
    expect(await refundsOf(id)).to.have.length(1);
  });

  it('every order of the day, refunds among them, agrees with the channels’ statements', async () => {
    const { environment } = house;
    const folder = mkdtempSync(join(tmpdir(), 'recoup-paid-twice-'));
    const channels = new Set((await environment.sandbox.book()).map(({ channel }) => channel));
    let refunds = 0;
    for (const channel of channels) {
      const query = `channel=${channel}&date=${today}`;
      const response = await environment.sandbox.raw('GET', `/_statement?${query}`);
      const path = join(folder, channel);
      writeFileSync(path, Buffer.from(await response.arrayBuffer()));
      const args = ['reconcile', channel, today, '--file', path, '--json'];
      const { json } = await recoupHere(environment.env, ...args);
      expect(json, channel).to.deep.include({ state: 'complete', breaks_open: 0, breaks: [] });
      const { lines } = json['report'] as unknown as {
        lines: { type: string; our_minor: number }[];
      };
      for (const { type, our_minor: ours } of lines) if (type === 'refund') refunds += ours;
    }
    rmSync(folder, { recursive: true });
    const paidBack = (await environment.sandbox.book()).flatMap((order) => order.refunds);
    expect(refunds).to.equal(paidBack.reduce((sum, { amountMinor }) => sum + amountMinor, 0));
  });

  it('is listed and told by the command', async () => {
    const { id } = await paidAtTwo();
    await resolve(await caseOf(id));
    const run = async (...args: string[]) =>
      (await recoupHere(house.environment.env, 'refunds', ...args)).out;
    const [refund] = await refundsOf(id);
    expect(await run('list', '--top-up', id)).to.include(`top-up ${id}`);
    expect(await run('show', refund?.id ?? '')).to.match(/top_up_refund_accepted/);
  });

  it('offers no refund for a step at the card system', () => {
    const about = { source: 'task', kind: 'captured_twice', taskKind: 'top_up' } as const;
    expect(actionsFor({ ...about, operation: 'credit' })).to.deep.equal(['write_off']);
  });
});
