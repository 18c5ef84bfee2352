/**
 * The people of a lender: they have channels asked again, decide about cases two by two, pay back, and
 * load the channels' statements. What they find out at a channel is true; all else goes wrong as usual.
 */
import type { Decision } from '../engine/entries.js';
import type { Evidence } from '../engine/flow.js';
import type { Order } from '../engine/order.js';
import { RecoupError, type ErrorCode } from '../errors.js';
import { taskId, type TaskId } from '../ids.js';
import { amountMinor } from '../money.js';
import { onThrown } from './callers.js';
import type { Chance } from './chance.js';
import type { Stored } from './memory-database.js';
import { requestRefund } from './refund-clerks.js';
import type { World } from './world.js';

const live = new Set(['sending', 'pending', 'unknown']);
const refusals: readonly ErrorCode[] = [
  'amount_exceeds_due',
  'capture_not_available',
  'capture_unknown',
];
const clerks = { by: 'clerk', approvedBy: 'head' } as const;

export function askAgain(world: World): void {
  const { deductions, flows } = world.database;
  for (const row of [deductions, flows.withdrawals, flows.topUps].flatMap((one) => [
    ...one.values(),
  ])) {
    if (row['status'] !== 'needs_review') continue;
    const id = taskId(String(row['id']));
    tell(world, id, { kind: 'ask', by: 'a person' });
    return;
  }
}

/** One open case is taken up; now and then by two pairs at once, who need not agree. */
export function decide(world: World, chance: Chance): void {
  const open = [...world.database.cases.values()].flat().filter((row) => row['closed_at'] === null);
  const row = open[chance.between(0, Math.max(0, open.length - 1))];
  if (row === undefined) return;
  decideAbout(world, row, chance);
  if (chance.yes(0.2)) decideAbout(world, row, chance);
}

/** The cases of one order; both pairs of clerks may have heard of it. */
export function decideAboutOrder(world: World, orderNo: string, chance: Chance): void {
  const id = world.database.taskOfOrder(orderNo);
  const attempts = id === null ? [] : (world.database.attempts.get(id) ?? []);
  const attempt = attempts.find((one) => one['order_no'] === orderNo);
  const cases = [...world.database.cases.values()].flat();
  for (const row of cases) {
    const isAbout = row['task_id'] === id && row['attempt_no'] === attempt?.['attempt_no'];
    if (row['closed_at'] !== null || !isAbout) continue;
    decideAbout(world, row, chance);
    if (chance.yes(0.2)) decideAbout(world, row, chance);
  }
}

function decideAbout(world: World, row: Stored, chance: Chance): void {
  const id = taskId(String(row['task_id']));
  const caseNo = Number(row['case_no']);
  const attemptNo = Number(row['attempt_no']);
  const attempt = world.database.attempts.get(id)?.find((one) => one['attempt_no'] === attemptNo);
  const order = orderOf(world, id, attemptNo);
  if (attempt === undefined || order === null) return;
  const about = { kind: 'decision', caseNo, ...clerks } as const;
  if (live.has(String(attempt['status']))) {
    if (chance.yes(0.2)) return tell(world, id, { ...about, decision: { action: 'ask_again' } });
    return tell(world, id, { ...about, decision: outcomeAt(world, order) });
  }
  const reason = String(row['reason']);
  const { withdrawals, topUps } = world.database.flows;
  const refundable = reason === 'captured_twice' && topUps.has(id) && chance.yes(0.8);
  if ((withdrawals.has(id) || topUps.has(id)) && !refundable) {
    return tell(world, id, { ...about, decision: aboutFlow(order, reason, chance) });
  }
  const owed = reason === 'late_success' || reason === 'captured_twice';
  const ofRefund = world.database.refunds.get(id);
  const adopt = reason === 'late_success' && (ofRefund !== undefined || chance.yes(0.4));
  if (adopt) {
    const decision = {
      action: 'adopt_captured',
      channelRef: `ref-${order.orderNo}`,
      proof: 'letter',
    };
    return tell(world, id, { ...about, decision: decision as Decision });
  }
  const giveBack = reason === 'refund_failed' || (owed && ofRefund === undefined);
  if (!giveBack) {
    return tell(world, id, { ...about, decision: { action: 'write_off', reason: 'looked into' } });
  }
  const capture =
    ofRefund === undefined
      ? { taskId: id, attemptNo }
      : {
          taskId: taskId(String(ofRefund['deduction_id'] ?? ofRefund['top_up_id'])),
          attemptNo: Number(ofRefund['attempt_no']),
        };
  const key = `case:${id}:${caseNo}`;
  payBack(world, { ...capture, amount: null, key }, (refundId) => {
    tell(world, id, { ...about, decision: { action: 'refund', refundId } });
  });
}

/** A debit too many goes back by an order; else people try again, or see to it by hand. */
function aboutFlow(
  { orderNo, operation }: Order,
  reason: string,
  chance: Chance,
): Decision | { readonly action: 'ask_again' } {
  // Where it cannot be, nothing comes of it: not every debit is one too many.
  if (operation === 'debit' && reason !== 'mismatch' && chance.yes(0.8)) {
    return { action: 'restore', reason: 'taken, and nothing bought for it' };
  }
  if (reason === 'undo_failed' && chance.yes(0.5)) return { action: 'ask_again' };
  // Where it cannot be, nothing comes of it.
  const adopt = reason === 'late_success' && chance.yes(0.3);
  return adopt
    ? { action: 'adopt_captured', channelRef: `ref-${orderNo}`, proof: 'letter' }
    : { action: 'write_off', reason: 'seen to by hand' };
}

/** What the channel has in writing; from then on the order is what it says. */
function outcomeAt(world: World, order: Order): Decision {
  const executed = world.channels.get(order.channelId)?.kill(order) === 'executed';
  return executed
    ? { action: 'adopt_captured', channelRef: `ref-${order.orderNo}`, proof: 'letter' }
    : { action: 'mark_not_executed', proof: 'letter' };
}

/**
 * A borrower wants money back that was collected; now and then it is asked for twice at once. And somebody
 * by mistake wants a payment given back that a top-up was built on.
 */
export function refundSomebody(world: World, chance: Chance, n: number): void {
  requestRefund(world, n);
  const topUp = [...world.database.flows.topUps.values()].findLast(
    (row) => row['order_no'] !== null,
  );
  if (topUp !== undefined) payTopUpBack(world, topUp, n);
  const paid = [...world.database.deductions.values()].filter(
    (row) => row['status'] === 'succeeded',
  );
  const row = paid[chance.between(0, Math.max(0, paid.length - 1))];
  if (row === undefined) return;
  const deductionId = taskId(String(row['id']));
  const attempts = world.database.attempts.get(deductionId) ?? [];
  const captured = attempts.find((one) => one['order_no'] === row['order_no']);
  const part = BigInt(chance.between(1, Number(row['amount_minor'])));
  const amount = chance.yes(0.5) ? null : part;
  const attemptNo = Number(captured?.['attempt_no'] ?? 1);
  const what = { taskId: deductionId, attemptNo, amount };
  for (let times = chance.yes(0.4) ? 2 : 1; times > 0; times -= 1) {
    payBack(world, { ...what, key: `refund:${deductionId}:${n}:${times}` }, () => undefined);
  }
}

function payTopUpBack(world: World, row: Stored, n: number): void {
  const id = taskId(String(row['id']));
  const attempts = world.database.attempts.get(id) ?? [];
  const paid = attempts.find((one) => one['order_no'] === row['order_no']);
  const what = { taskId: id, attemptNo: Number(paid?.['attempt_no'] ?? 1), amount: null };
  payBack(world, { ...what, key: `refund:${id}:${n}` }, () => undefined);
}

interface PayBack {
  readonly taskId: TaskId;
  readonly attemptNo: number;
  readonly amount: bigint | null;
  readonly key: string;
}

/** Repeated under the same key until there is a word. */
function payBack(world: World, what: PayBack, then: (refundId: TaskId) => void, tries = 0): void {
  const { attemptNo, amount, key } = what;
  const process = world.someProcess(0);
  let heard = false;
  const again = (): void => {
    if (heard) return;
    heard = true;
    if (tries < 4) world.outside(5_000, () => payBack(world, what, then, tries + 1));
  };
  world.outside(45_000, again);
  if (process === null) return;
  const request = {
    taskId: what.taskId,
    attemptNo,
    amountMinor: amount === null ? null : amountMinor(amount),
    reason: 'asked for',
    requestedBy: clerks.by,
    approvedBy: clerks.approvedBy,
    requestKey: key,
  };
  process.desks.refunds.start(request).then(
    ({ id: refundId, finished }) => {
      if (world.database.entries(refundId) === null) {
        world.violated('told_too_early', refundId, 'a refund was accepted, and is not in the log');
      }
      finished?.then(undefined, (error: unknown) => onThrown(world, refundId, error, refusals));
      if (heard) return;
      heard = true;
      then(refundId);
    },
    (error: unknown) => {
      onThrown(world, key, error, refusals);
      if (error instanceof RecoupError && refusals.includes(error.code)) heard = true;
      else again();
    },
  );
}

/** What the channels say of all they have executed, some time after it was written. */
export function loadStatements(world: World, chance: Chance): void {
  for (const channel of world.channels.values()) {
    if (channel.trade !== null) continue;
    const lines = channel.statement();
    world.outside(chance.spread(1_000, 600_000), () => {
      for (const [{ orderNo }, answer, captures] of lines) {
        const id = world.database.taskOfOrder(orderNo);
        const said = { orderNo, read: () => answer, source: 'st', captures };
        if (id !== null) tell(world, id, { kind: 'statement', ...said });
      }
    });
  }
}

/** Once: who is not heard comes again another day, or does not. */
function tell(world: World, id: TaskId, evidence: Evidence): void {
  const process = world.someProcess(world.ordinalOf(id));
  const what = evidence.kind === 'decision' ? evidence.decision.action : evidence.kind;
  world.note('people', what, world.ordinalOf(id));
  process
    ?.run(id, evidence)
    .then(undefined, (error: unknown) => onThrown(world, id, error, refusals));
}

function orderOf(world: World, id: TaskId, attemptNo: number): Order | null {
  const entries = world.database.entries(id) ?? [];
  const intent = entries.find((one) => 'nature' in one && one.attemptNo === attemptNo);
  return intent !== undefined && 'nature' in intent ? intent.order : null;
}
