import { expect } from 'chai';
import type { CaseRecord, Person } from '../../src/cases/case.js';
import type { Proposal } from '../../src/cases/proposal.js';
import type { Resolution } from '../../src/cases/resolution.js';
import type { Services, Wrappers } from '../../src/composition/root.js';
import { orderNo, type TaskId } from '../../src/ids.js';
import { amountMinor } from '../../src/money.js';
import { CaseStore } from '../../src/store/case-book.js';
import { CaseProposalStore } from '../../src/store/case-proposals.js';
import { until } from '../sandbox/sandbox-process.js';
import { startEnvironment, type TestEnvironment } from '../support/environment.js';
import { finish } from '../support/finish.js';
import { requestFor } from '../support/requests.js';

const wang: Person = { name: 'Wang Fang', keyId: 'key_wang' };
const li: Person = { name: 'Li Na', keyId: 'key_li' };
const proof = 'statement of the day, line 118';

/** The whole way: the engine, the real stores, the sandbox. */
describe('how a case ends', () => {
  let environment: TestEnvironment;
  let services: Services;
  /** The channels do what they are asked for and never say what came of it. */
  let mute = false;

  before(async () => {
    environment = await startEnvironment({
      // Asked once more, and then a person decides. It alone, which closes orders, may be asked so little.
      channels: ['unionlink'],
      adjust: (profile) => {
        const nature = profile['nature'] as Record<string, unknown>;
        nature['poll_schedule_ms'] = [10];
      },
    });
    services = await environment.compose({ wrappers: nothingHeard });
  });
  after(async () => environment.close());
  beforeEach(() => {
    mute = false;
  });

  const pending = { kind: 'pending', channelRef: null } as const;
  const nothingHeard: Wrappers = {
    channels: (inner) => ({
      get: (id) => {
        const channel = inner.get(id);
        return (
          channel && {
            ...channel,
            async charge(order) {
              const answer = await channel.charge(order);
              return mute ? pending : answer;
            },
            query: async (order) => (mute ? pending : await channel.query(order)),
          }
        );
      },
    }),
  };

  async function start(): Promise<TaskId> {
    const { deductionId, finished } = await services.desk.start(
      requestFor(await environment.repayment()),
    );
    await finished;
    return deductionId;
  }

  /** Captured at the channel; nobody tells us; the schedule is used up. */
  async function inReview(): Promise<TaskId> {
    mute = true;
    const task = await start();
    for (let asks = 0; asks < 40; asks += 1) {
      if ((await services.deductions.find(task))?.status === 'needs_review') break;
      await services.clock.sleep(25);
      await services.executor.run(task);
    }
    expect((await services.deductions.find(task))?.status).to.equal('needs_review');
    return task;
  }

  /** Captured, and the deduction had failed without it. */
  async function lateSuccess(): Promise<TaskId> {
    const task = await inReview();
    const [one] = await casesOf(task);
    await resolve(one as CaseRecord, { action: 'mark_not_executed', proof });
    expect((await services.deductions.find(task))?.status).to.equal('failed');
    return task;
  }

  const casesOf = async (taskId: TaskId): Promise<readonly CaseRecord[]> =>
    await new CaseStore(services.database).list({ open: true, taskId, limit: 10 });

  async function resolve(one: CaseRecord, resolution: Resolution): Promise<Proposal> {
    const { desk } = services.cases;
    const { no, payloadDigest } = await desk.propose(one.id, resolution, wang);
    return await desk.approve(one.id, no, payloadDigest, li);
  }

  /** A statement tells what the channel has known all the time. */
  const heard = async (task: TaskId, attemptNo: number): Promise<void> => {
    const entries = (await services.deductions.log(task)).map(({ entry }) => entry);
    const intent = entries.find(
      (entry) => entry.kind === 'charge_intended' && entry.attemptNo === attemptNo,
    );
    if (intent?.kind !== 'charge_intended') throw new Error(`no attempt ${attemptNo}`);
    const { order } = intent;
    const answer = await services.directory.get(order.channelId)?.query(order);
    expect(answer?.kind).to.equal('succeeded');
    await services.executor.run(task, {
      kind: 'statement',
      orderNo: orderNo(task, attemptNo),
      read: () => answer ?? pending,
      source: 'a test',
    });
  };

  it('adopted as captured: the deduction has succeeded, and says who decided', async () => {
    const task = await inReview();
    const [one] = await casesOf(task);
    expect(one).to.include({ kind: 'outcome_unknown', source: 'task' });
    const end = await resolve(one as CaseRecord, {
      action: 'adopt_captured',
      channelRef: 'SP1',
      proof,
    });
    expect(end).to.include({ state: 'executed', outcome: 'adopt_captured' });
    expect((await services.deductions.find(task))?.status).to.equal('succeeded');
    const [closed] = await new CaseStore(services.database).list({ taskId: task, limit: 10 });
    expect(closed?.resolution).to.match(/Wang Fang, approved by Li Na/);
  });

  it('marked not executed: where no other channel is left, the deduction fails', async () => {
    const task = await inReview();
    const [one] = await casesOf(task);
    const end = await resolve(one as CaseRecord, { action: 'mark_not_executed', proof });
    expect(end.state).to.equal('executed');
    const [first] = await services.deductions.attempts(task);
    expect(first).to.include({ status: 'not_executed', proof: 'decided' });
    expect(await services.deductions.find(task)).to.include({
      status: 'failed',
      failureCode: 'channels_exhausted',
    });
  });

  it('asked again: a channel that answers now settles it', async () => {
    const task = await inReview();
    const [one] = await casesOf(task);
    mute = false;
    const end = await resolve(one as CaseRecord, { action: 'ask_again' });
    expect(end.state).to.equal('executed');
    expect((await services.deductions.find(task))?.status).to.equal('succeeded');
    expect(await casesOf(task)).to.have.length(0);
  });

  it('executed, when the process dies after the log has it and before that is written down', async () => {
    const task = await inReview();
    const [one] = (await casesOf(task)) as [CaseRecord];
    const { desk, decisions } = services.cases;
    const decision = { action: 'adopt_captured', channelRef: 'SP2', proof } as const;
    const { no, payloadDigest } = await desk.propose(one.id, decision, wang);
    const store = new CaseProposalStore(services.database);
    await store.approve(one.id, no, payloadDigest, li, Date.now() - 1);
    const evidence = { kind: 'decision', caseNo: one.no, decision } as const;
    await services.executor.run(task, { ...evidence, by: wang.name, approvedBy: li.name });
    expect((await services.deductions.find(task))?.status).to.equal('succeeded');
    await decisions.runOnce();
    const [end] = (await desk.show(one.id)).proposals;
    expect(end).to.include({ state: 'executed', outcome: 'adopt_captured' });
  });

  it('void where an answer came first', async () => {
    const task = await inReview();
    const [one] = (await casesOf(task)) as [CaseRecord];
    const { desk, decisions } = services.cases;
    const adopt = { action: 'mark_not_executed', proof } as const;
    const { no, payloadDigest } = await desk.propose(one.id, adopt, wang);
    await heard(task, 1);
    expect((await services.deductions.find(task))?.status).to.equal('succeeded');
    // It is approved behind the desk's back, as by somebody who had read the case before.
    const approve = environment.owner.raw(
      `UPDATE case_proposal SET state = 'approved', checker = 'Li Na', checker_key = 'key_li',
         decided_at = made_at, approved_digest = ?, try_at = made_at WHERE case_id = ?`,
      [payloadDigest, one.id],
    );
    await approve;
    await environment.owner.raw(
      `INSERT INTO audit (at, actor, action, subject, detail)
       VALUES (NOW(3), 'Li Na (key_li)', 'proposal_approved', ?, ?)`,
      [one.id, JSON.stringify({ no, digest: payloadDigest })],
    );
    await decisions.runOnce();
    const [end] = (await desk.show(one.id)).proposals;
    expect(end?.state).to.equal('void');
    expect((await services.deductions.find(task))?.status).to.equal('succeeded');
  });

  describe('refunded', () => {
    /** A deduction that had failed, and then was captured all the same. */
    async function capturedLate(): Promise<{ task: TaskId; one: CaseRecord }> {
      const task = await lateSuccess();
      mute = false;
      await heard(task, 1);
      const found = (await casesOf(task)).find(({ kind }) => kind === 'late_success');
      expect(found, 'a case of money that is owed back').not.to.equal(undefined);
      return { task, one: found as CaseRecord };
    }
    const refund = { action: 'refund', amountMinor: amountMinor(120_000), reason: proof } as const;
    const refundsOf = async (task: TaskId) =>
      await services.refunds.list({ deductionId: task, limit: 10 });

    /** What the channel itself has given back of the capture. */
    const paidBack = async (one: CaseRecord): Promise<number | undefined> => {
      const order = orderNo(one.taskId as TaskId, one.attemptNo ?? 0);
      const [refund] = await refundsOf(one.taskId as TaskId);
      // The profile's channels are slow now and then.
      if (refund !== undefined) await finish(services, refund.id);
      return (await environment.sandbox.order(order))?.refunds.length;
    };

    it('the money goes back once, by a refund that names both people', async () => {
      const { task, one } = await capturedLate();
      const end = await resolve(one, refund);
      expect(end.state).to.equal('executed');
      const refunds = await refundsOf(task);
      expect(refunds).to.have.length(1);
      expect(refunds[0]).to.include({
        takenFrom: 'excess',
        requestedBy: 'Wang Fang',
        approvedBy: 'Li Na',
      });
      expect(end.outcome).to.equal(`refund ${refunds[0]?.id}`);
      expect(await paidBack(one)).to.equal(1);
      expect((await casesOf(task)).map(({ id }) => id)).not.to.include(one.id);
    });

    it('once, when the process dies after the refund has started and before the case is closed', async () => {
      const { task, one } = await capturedLate();
      const { desk, decisions } = services.cases;
      const { no, payloadDigest } = await desk.propose(one.id, refund, wang);
      // The first half of carrying out, as it was before the process died.
      await services.refundDesk.start({
        taskId: task,
        attemptNo: one.attemptNo ?? 0,
        amountMinor: refund.amountMinor,
        reason: refund.reason,
        requestedBy: wang.name,
        approvedBy: li.name,
        requestKey: `case:${one.id}:${no}`,
        only: 'excess',
      });
      await desk.approve(one.id, no, payloadDigest, li);
      await decisions.runOnce();
      expect(await refundsOf(task)).to.have.length(1);
      expect(await paidBack(one)).to.equal(1);
      expect((await desk.show(one.id)).proposals.at(-1)?.state).to.equal('executed');
    });

    it('once, when several carry it out at the same moment', async () => {
      const { task, one } = await capturedLate();
      const others = await Promise.all(
        [1, 2, 3].map(() => environment.compose({ wrappers: nothingHeard })),
      );
      const { desk } = services.cases;
      const { no, payloadDigest } = await desk.propose(one.id, refund, wang);
      const approved = desk.approve(one.id, no, payloadDigest, li);
      // Claims are manners: take them away, so that all of them carry it out together.
      const all = others.map(async ({ cases }) => {
        for (let tries = 0; tries < 8; tries += 1) {
          await environment.owner.raw(
            `UPDATE case_proposal SET try_at = made_at WHERE case_id = ? AND state = 'approved'`,
            [one.id],
          );
          await cases.decisions.carryOutOne(one.id, no);
        }
      });
      await Promise.all([approved, ...all]);
      await until(
        'the decision carried out',
        async () => {
          await environment.owner.raw(
            `UPDATE case_proposal SET try_at = made_at WHERE case_id = ? AND state = 'approved'`,
            [one.id],
          );
          await services.cases.decisions.runOnce();
          return (await desk.show(one.id)).proposals.at(-1)?.state !== 'approved';
        },
        30_000,
      );
      expect(await refundsOf(task)).to.have.length(1);
      expect(await paidBack(one)).to.equal(1);
      expect((await desk.show(one.id)).proposals.at(-1)?.state).to.equal('executed');
      const decided = (await services.deductions.log(task)).filter(
        ({ entry }) => entry.kind === 'decided' && entry.caseNo === one.no,
      );
      expect(decided).to.have.length(1);
    });

    it('in whole: a part would leave the rest without an owner', async () => {
      const { task, one } = await capturedLate();
      const half = { ...refund, amountMinor: amountMinor(60_000) };
      const refused = await resolve(one, half).then(
        () => 'nothing',
        (error: { code?: string }) => error.code,
      );
      expect(refused).to.equal('refund_not_whole');
      expect(await refundsOf(task)).to.have.length(0);
    });

    it('not where somebody else is giving part of it back already', async () => {
      const { task, one } = await capturedLate();
      expect(await refundsOf(task)).to.deep.equal([]);
      await services.refundDesk.start({
        taskId: task,
        attemptNo: one.attemptNo ?? 0,
        amountMinor: amountMinor(90_000),
        reason: proof,
        requestedBy: 'Zhao Min',
        approvedBy: 'Li Na',
        requestKey: `other:${task}`,
      });
      const end = await resolve(one, refund);
      expect(end).to.include({ state: 'void', outcome: 'no refund: capture_not_available' });
      expect(await refundsOf(task)).to.have.length(1);
    });
  });

  it('written off: nothing moves, and it does not come back', async () => {
    const task = await lateSuccess();
    mute = false;
    await heard(task, 1);
    const one = (await casesOf(task)).find(({ kind }) => kind === 'late_success');
    const end = await resolve(one as CaseRecord, { action: 'write_off', reason: proof });
    expect(end.state).to.equal('executed');
    await services.executor.run(task);
    expect((await casesOf(task)).map(({ id }) => id)).not.to.include(one?.id);
  });
});
