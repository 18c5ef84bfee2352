import { expect } from 'chai';
import type { CaseRecord, Person } from '../../src/cases/case.js';
import type { Proposal } from '../../src/cases/proposal.js';
import {
  refundKeyOf,
  type RefundAsked,
  type RefundRequestRecord,
} from '../../src/cases/refund-requests.js';
import type { Services } from '../../src/composition/root.js';
import { newTaskId, orderNo, type ChannelId, type TaskId } from '../../src/ids.js';
import type { NewRepayment } from '../../src/intake/repayment.js';
import { amountMinor } from '../../src/money.js';
import { digestOf } from '../../src/request-key.js';
import type { FaultName } from '../../src/sandbox/faults.js';
import { CaseStore } from '../../src/store/case-book.js';
import { CaseProposalStore } from '../../src/store/case-proposals.js';
import { RefundRequestStore } from '../../src/store/refund-requests.js';
import { until } from '../sandbox/sandbox-process.js';
import { requestFor } from '../support/requests.js';
import { useEnvironment } from '../support/suite.js';

const wang: Person = { name: 'Wang Fang', keyId: 'key_wang' };
const li: Person = { name: 'Li Na', keyId: 'key_li' };
const reason = 'the loan was cancelled';

describe('a refund that a person asks for', () => {
  const suite = useEnvironment();

  async function collected(): Promise<{ id: TaskId; repayment: NewRepayment }> {
    const repayment = await suite.environment.repayment();
    const { deductionId, finished } = await suite.services.desk.start(requestFor(repayment));
    await finished;
    return { id: deductionId, repayment };
  }

  const faulty = async (operation: 'charge' | 'refund', fault: FaultName, params = {}) =>
    await suite.environment.sandbox.setFaults([{ channel: 'swiftpay', operation, fault, params }]);
  const declined = async (operation: 'charge' | 'refund') =>
    await faulty(operation, 'decline', { outcome: 'insufficient_funds' });

  let keys = 0;
  function asked(deductionId: TaskId, amount: number | null = null, key?: string): RefundAsked {
    keys += 1;
    return {
      deductionId,
      amountMinor: amount === null ? null : amountMinor(amount),
      reason,
      requestKey: `api:key_wang:${key ?? `k${keys}:${deductionId}`}`,
      requestDigest: digestOf([deductionId, amount, reason]),
    };
  }

  const ask = async (what: RefundAsked, by = wang): Promise<RefundRequestRecord> =>
    (await suite.services.cases.refundRequests.request(what, by)).request;

  const stateOf = async (id: RefundRequestRecord['caseId']) =>
    await suite.services.cases.desk.show(id);

  async function approve({ caseId }: RefundRequestRecord, services = suite.services) {
    const { proposals } = await stateOf(caseId);
    const { no, payloadDigest } = proposals.at(-1) as Proposal;
    const end = await services.cases.desk.approve(caseId, no, payloadDigest, li);
    await refundsEnded((await stateOf(caseId)).case.taskId as TaskId);
    return end;
  }

  /** Approving starts a refund and does not wait for its channel. */
  async function refundsEnded(deduction: TaskId): Promise<void> {
    for (const { id } of await refundsOf(deduction)) {
      await until('the refund has ended', async () => {
        await suite.services.executor.run(id).catch(() => undefined);
        return (await suite.services.refunds.find(id))?.endedAt !== null;
      });
    }
  }

  const refundsOf = async (deductionId: TaskId) =>
    await suite.services.refunds.list({ deductionId, limit: 20 });
  const paidBack = async (deduction: TaskId): Promise<readonly number[]> =>
    ((await suite.environment.sandbox.order(orderNo(deduction, 1)))?.refunds ?? []).map(
      (one) => (one as { amountMinor: number }).amountMinor,
    );
  const paid = async ({ id }: NewRepayment) =>
    (await suite.services.repayments.find(id))?.paidMinor;

  const refusal = async (work: Promise<unknown>): Promise<unknown> =>
    await work.then(
      () => 'nothing',
      ({ code, details }: { code?: string; details?: { available_minor?: number } }) =>
        details?.available_minor === undefined ? code : `${code} ${details.available_minor}`,
    );

  it('moves nothing until another person approves it; then the repayment is owed again', async () => {
    const { id, repayment } = await collected();
    const request = await ask(asked(id));
    const { case: opened, proposals } = await stateOf(request.caseId);
    expect(opened).to.include({
      kind: 'refund_requested',
      source: 'refund',
      taskId: id,
      taskKind: 'deduction',
      amountMinor: 120_000n,
      evidence: `requested by Wang Fang: ${reason}`,
      openProposalNo: 1,
    });
    expect(proposals[0]).to.include({ action: 'refund', state: 'open', maker: 'Wang Fang' });
    expect(await refundsOf(id)).to.deep.equal([]);

    const { payloadDigest } = proposals[0] as Proposal;
    const own = suite.services.cases.desk.approve(request.caseId, 1, payloadDigest, wang);
    expect(await refusal(own)).to.equal('same_person');
    expect(await refundsOf(id)).to.deep.equal([]);

    expect((await approve(request)).state).to.equal('executed');
    const [refund] = await refundsOf(id);
    expect(await suite.services.refunds.find(refund?.id as TaskId)).to.include({
      status: 'succeeded',
      takenFrom: 'repayment',
      amountMinor: 120_000n,
      requestedBy: 'Wang Fang',
      approvedBy: 'Li Na',
    });
    expect(await paidBack(id)).to.deep.equal([120_000]);
    expect(await paid(repayment)).to.equal(0n);
    const [closed] = await suite.services.cases.refundRequests.ofDeduction(id);
    expect(closed).to.include({
      resolution: `refund ${refund?.id} (Wang Fang, approved by Li Na)`,
      refundId: refund?.id,
    });
    expect(await suite.services.cases.activeCheck.check(id)).to.include({ inOrder: true });

    // Owed again, and collected by a deduction of its own.
    const again = await suite.services.desk.start(requestFor(repayment));
    await again.finished;
    expect(await paid(repayment)).to.equal(120_000n);
  });

  it('of a part gives back that part', async () => {
    const { id, repayment } = await collected();
    await approve(await ask(asked(id, 50_000)));
    expect(await paidBack(id)).to.deep.equal([50_000]);
    expect(await paid(repayment)).to.equal(70_000n);
  });

  it('is one under one key, also at once; another request under it is refused', async () => {
    const { id } = await collected();
    const what = asked(id, 50_000, `same:${id}`);
    const made = await Promise.all([1, 2, 3, 4].map(async () => await ask(what)));
    expect(new Set(made.map(({ caseId }) => caseId)).size).to.equal(1);
    expect(await suite.services.cases.refundRequests.ofDeduction(id)).to.have.length(1);
    const other = asked(id, 60_000, `same:${id}`);
    expect(await refusal(ask(other))).to.equal('idempotency_key_reused');
    await approve(made[0] as RefundRequestRecord);
    expect((await ask(what)).refundId).to.equal((await refundsOf(id))[0]?.id);
  });

  it('is there with its proposal, or not at all', async () => {
    const { id } = await collected();
    const store = new RefundRequestStore(suite.services.database);
    const killed = store.open({
      ...asked(id),
      attemptNo: 1,
      currency: 'CNY',
      by: wang,
      openedAt: new Date(),
      proposal() {
        throw new Error('killed');
      },
    });
    expect(await killed.catch(({ message }: Error) => message)).to.equal('killed');
    expect(await suite.services.cases.refundRequests.ofDeduction(id)).to.deep.equal([]);
  });

  it('is given back once, when the process dies after the approval', async () => {
    const { id } = await collected();
    const request = await ask(asked(id));
    const [proposal] = (await stateOf(request.caseId)).proposals as [Proposal];
    const store = new CaseProposalStore(suite.services.database);
    await store.approve(request.caseId, 1, proposal.payloadDigest, li, Date.now() - 1);
    await suite.services.cases.decisions.runOnce();
    await refundsEnded(id);
    expect(await paidBack(id)).to.deep.equal([120_000]);
    expect((await stateOf(request.caseId)).proposals[0]?.state).to.equal('executed');
  });

  it('is given back once, when the process dies after the refund has started', async () => {
    const { id } = await collected();
    const request = await ask(asked(id, 50_000));
    // The first half of carrying out, as it was before the process died.
    const { id: refundId, finished } = await suite.services.refundDesk.start({
      taskId: id,
      attemptNo: 1,
      amountMinor: amountMinor(50_000),
      reason,
      requestedBy: wang.name,
      approvedBy: li.name,
      requestKey: refundKeyOf(request.no),
      only: 'repayment',
    });
    await finished;
    // What went back is not asked for any more: the rest can be.
    expect((await ask(asked(id))).amountMinor).to.equal(70_000n);
    expect(await approve(request)).to.include({
      state: 'executed',
      outcome: `refund ${refundId}`,
    });
    expect(await paidBack(id)).to.deep.equal([50_000]);
    expect((await stateOf(request.caseId)).case.closedAt).not.to.equal(null);
  });

  it('is refused beyond what is credited and not asked for yet, and told how much that is', async () => {
    const { id } = await collected();
    expect(await refusal(ask(asked(id, 120_001)))).to.equal('capture_not_available 120000');
    const first = await ask(asked(id, 50_000));
    expect(await refusal(ask(asked(id, 80_000)))).to.equal('capture_not_available 70000');
    await approve(first);
    expect(await refusal(ask(asked(id, 80_000)))).to.equal('capture_not_available 70000');
    expect((await ask(asked(id))).amountMinor).to.equal(70_000n);
    expect(await refusal(ask(asked(id)))).to.equal('capture_not_available 0');
  });

  it('of many at once, no more are taken than what is credited allows', async () => {
    const { id } = await collected();
    const ends = await Promise.all(
      Array.from({ length: 8 }, async () => await refusal(ask(asked(id, 50_000)))),
    );
    expect(ends.filter((end) => end === 'nothing')).to.have.length(2);
    const open = await suite.services.cases.refundRequests.ofDeduction(id);
    await Promise.all(open.map(async (one) => await approve(one)));
    expect(await paidBack(id)).to.deep.equal([50_000, 50_000]);
  });

  it('is void where the money went back in another way meanwhile, and its case stays open', async () => {
    const { id } = await collected();
    const request = await ask(asked(id));
    const other = await suite.services.refundDesk.start({
      taskId: id,
      attemptNo: 1,
      amountMinor: amountMinor(50_000),
      reason,
      requestedBy: 'ann',
      approvedBy: 'ben',
      requestKey: `other:${id}`,
    });
    await other.finished;
    expect(await approve(request)).to.include({
      state: 'void',
      outcome: 'no refund: capture_not_available',
    });
    expect(await paidBack(id)).to.deep.equal([50_000]);
    expect((await stateOf(request.caseId)).case.closedAt).to.equal(null);
    const writeOff = { action: 'write_off', reason: 'given back in cash' } as const;
    const { no, payloadDigest } = await suite.services.cases.desk.propose(
      request.caseId,
      writeOff,
      wang,
    );
    await suite.services.cases.desk.approve(request.caseId, no, payloadDigest, li);
    expect((await stateOf(request.caseId)).case.resolution).to.match(/^written off/);
  });

  it('is refused while the deduction is open, where it failed, and where there is none', async () => {
    await faulty('charge', 'timeout_after');
    const open = await collected();
    expect(await refusal(ask(asked(open.id)))).to.equal('deduction_not_ended');
    await declined('charge');
    const failed = await collected();
    expect(await refusal(ask(asked(failed.id)))).to.equal('nothing_credited');
    expect(await refusal(ask(asked(newTaskId())))).to.equal('deduction_unknown');
  });

  it('is refused where the channel offers no refunds, when it is asked for and when it is approved', async () => {
    const { id } = await collected();
    const request = await ask(asked(id, 50_000));
    const unable = await withoutRefunds();
    const late = unable.cases.refundRequests.request(asked(id, 50_000), wang);
    expect(await refusal(late)).to.equal('refund_not_offered');
    expect(await approve(request, unable)).to.include({
      state: 'void',
      outcome: 'no refund: refund_not_offered',
    });
    expect(await refundsOf(id)).to.deep.equal([]);
  });

  /** Another process, whose channels give nothing back. */
  async function withoutRefunds(): Promise<Services> {
    const unable = await suite.environment.compose();
    const { directory } = unable;
    const get = directory.get.bind(directory);
    Object.assign(directory, {
      get(id: ChannelId) {
        const channel = get(id);
        return channel && { ...channel, refund: undefined };
      },
    });
    return unable;
  }

  const caseOf = async (taskId: TaskId, kind: string): Promise<CaseRecord> => {
    const store = new CaseStore(suite.services.database);
    const open = await store.list({ open: true, taskId, limit: 10 });
    return open.find((one) => one.kind === kind) as CaseRecord;
  };

  async function capturedTwice(): Promise<{ id: TaskId; repayment: NewRepayment }> {
    await faulty('charge', 'duplicate_capture');
    const one = await collected();
    await suite.environment.sandbox.clearFaults();
    await suite.services.executor.run(one.id, {
      kind: 'statement',
      orderNo: orderNo(one.id, 1),
      read: () => ({ kind: 'succeeded', channelRef: 'r' }),
      source: 'swiftpay 2026-11-22',
      captures: 2,
    });
    return one;
  }

  async function giveBack(about: CaseRecord): Promise<Proposal> {
    const what = { action: 'refund', amountMinor: amountMinor(120_000), reason } as const;
    const { no, payloadDigest } = await suite.services.cases.desk.propose(about.id, what, wang);
    const end = await suite.services.cases.desk.approve(about.id, no, payloadDigest, li);
    const of = await suite.services.refunds.find(about.taskId as TaskId);
    await refundsEnded(of?.deductionId ?? (about.taskId as TaskId));
    return end;
  }

  it('takes what was credited, never what was captured besides: that has a case of its own', async () => {
    const { id, repayment } = await capturedTwice();
    const request = await ask(asked(id));
    expect(request.amountMinor).to.equal(120_000n);
    expect(await refusal(ask(asked(id, 1)))).to.equal('capture_not_available 0');
    await approve(request);
    expect((await refundsOf(id)).map(({ takenFrom }) => takenFrom)).to.deep.equal(['repayment']);
    expect(await paid(repayment)).to.equal(0n);
    expect((await giveBack(await caseOf(id, 'captured_twice'))).state).to.equal('executed');
    expect((await refundsOf(id)).map(({ takenFrom }) => takenFrom)).to.deep.equal([
      'excess',
      'repayment',
    ]);
    expect(await paidBack(id)).to.deep.equal([120_000, 120_000]);
  });

  it('that fails is a case, and is tried anew out of what was credited', async () => {
    const { id, repayment } = await capturedTwice();
    await declined('refund');
    await approve(await ask(asked(id)));
    await suite.environment.sandbox.clearFaults();
    const [failed] = await refundsOf(id);
    expect(failed?.status).to.equal('failed');
    expect(await paid(repayment)).to.equal(120_000n);
    await giveBack(await caseOf(failed?.id as TaskId, 'refund_failed'));
    const [anew] = await refundsOf(id);
    expect(anew).to.include({ takenFrom: 'repayment', status: 'succeeded' });
    expect(await paid(repayment)).to.equal(0n);
  });

  for (const [how, by] of [
    ['declined', li],
    ['withdrawn', wang],
  ] as const) {
    it(`is closed when it is ${how}, and what it asked for can be asked for anew`, async () => {
      const { id } = await collected();
      const request = await ask(asked(id));
      await suite.services.cases.desk.reject(request.caseId, 1, 'another amount', by);
      const { case: closed } = await stateOf(request.caseId);
      expect(closed.resolution).to.equal(`${how} by ${by.name}: another amount`);
      expect(await refusal(approve(request))).to.equal('proposal_decided');
      expect((await ask(asked(id))).amountMinor).to.equal(120_000n);
      expect(await refundsOf(id)).to.deep.equal([]);
    });
  }

  it('that nobody approved in time stays open, and another may propose it anew', async () => {
    const { id } = await collected();
    const request = await ask(asked(id));
    const store = new CaseProposalStore(suite.services.database);
    await store.expire(Date.now() + 30 * 86_400_000, 100);
    expect((await stateOf(request.caseId)).case).to.include({ closedAt: null });
    expect((await giveBack((await stateOf(request.caseId)).case)).state).to.equal('executed');
    expect(await paidBack(id)).to.deep.equal([120_000]);
  });

  it('is told to whoever wants to hear of cases, without its reason', async () => {
    const { id } = await collected();
    await suite.environment.owner.raw(
      `INSERT INTO notice_destination (id, url, types, secret_envs, created_at)
       VALUES ('crm', 'https://crm.example.com/', 'case.opened', '', NOW(3))`,
    );
    const { caseId } = await ask(asked(id, 50_000));
    const [[row]] = (await suite.environment.owner.raw(
      `SELECT type, body FROM notice WHERE task_id = ?`,
      [id],
    )) as [[{ type: string; body: string }]];
    expect(row.type).to.equal('case.opened');
    expect((JSON.parse(row.body) as { data: object }).data).to.deep.equal({
      id: caseId,
      kind: 'refund_requested',
      task_id: id,
      amount_minor: 50_000,
    });
  });

  it('is kept as it was asked for', async () => {
    const { id } = await collected();
    const { no } = await ask(asked(id));
    const change = async (sql: string) =>
      await suite.environment.owner.raw(sql, [no]).then(
        () => 'changed',
        ({ message }: Error) => message,
      );
    expect(await change('UPDATE refund_request SET amount_minor = 1 WHERE id = ?')).to.match(
      /does not change/,
    );
    expect(await change('DELETE FROM refund_request WHERE id = ?')).to.match(/are kept/);
  });
});
