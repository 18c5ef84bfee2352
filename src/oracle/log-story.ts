import type { LogRow } from './evidence.js';
import { doneBy, edgesOf, mayFail, operations } from './flow-edges.js';
import { isBack, isOver, isStray, legOf, mayRestore } from './late-debits.js';
import { isLive, newStory, type OrderStory, type TaskStory } from './task-story.js';
import type { ViolationKind } from './verdict.js';

/** Reads every log, each entry against the edges that the flow declares. */
export function readLogs(log: readonly LogRow[]): Map<string, TaskStory> {
  const stories = new Map<string, TaskStory>();
  for (const row of log) {
    let story = stories.get(row.taskId);
    if (story === undefined) {
      story = newStory(row.taskId);
      stories.set(row.taskId, story);
    }
    story.length += 1;
    if (row.seq !== story.length) {
      broken(story, 'gap', `entry ${row.seq} stands at place ${story.length}`);
    }
    if ((story.length === 1) !== firsts.has(row.kind)) {
      broken(story, 'gap', `${row.kind} stands at place ${story.length}`);
    }
    const read = readers[row.kind];
    if (read === undefined) broken(story, 'edge', `unknown kind ${row.kind}`);
    else read(story, row);
    if (row.kind !== 'decided') story.decided = null;
  }
  return stories;
}

const firsts = new Set([
  'accepted',
  'refund_accepted',
  'top_up_refund_accepted',
  'withdrawal_accepted',
  'top_up_accepted',
]);

function broken(story: TaskStory, kind: ViolationKind, detail: string): void {
  story.violations.push({ kind, about: story.taskId, detail });
}

type Reader = (story: TaskStory, row: LogRow) => void;

/** The edges: what must be true of the story so far for an entry to follow. */
const readers: Readonly<Record<string, Reader | undefined>> = {
  accepted: (story, { body }) => {
    story.repaymentId = body.deduction?.repaymentId ?? '';
    story.amountMinor = BigInt(body.deduction?.amountMinor ?? 0);
    story.attemptUntilMs = body.deduction?.attemptUntilMs ?? Infinity;
  },
  refund_accepted: startRefund,
  top_up_refund_accepted: startRefund,
  withdrawal_accepted: (story, { body: { withdrawal } }) => {
    story.kind = 'withdrawal';
    story.withdrawal = withdrawal ?? null;
    story.amountMinor = BigInt(withdrawal?.amountMinor ?? 0);
    story.attemptUntilMs = withdrawal?.attemptUntilMs ?? Infinity;
  },
  top_up_accepted: (story, { body: { topUp } }) => {
    story.kind = 'top_up';
    story.amountMinor = BigInt(topUp?.amountMinor ?? 0);
    story.creditMinor = BigInt(topUp?.creditMinor ?? 0);
    story.settleAfterMs = topUp?.settleAfterMs ?? 0;
    story.attemptUntilMs = topUp?.attemptUntilMs ?? Infinity;
  },
  routed: (story, row) => {
    must(story, row, story.kind !== 'refund' && !anyOpen(story) && isLive(story));
    story.routed = true;
  },
  charge_intended: startAttempt,
  refund_intended: startAttempt,
  intended: startAttempt,
  resend_intended: onOpenOrder((story, order) => {
    order.sends += 1;
    story.openCall = order.attemptNo;
  }),
  close_intended: onOpenOrder((story, order, row) => {
    // Unknown counts as credited for its time, where it can be sent again.
    const insisted = order.operation === 'credit' && order.idempotent;
    must(story, row, !(insisted && (row.atMs ?? Infinity) < story.settleAtMs));
    story.openCall = order.attemptNo;
  }),
  taken_over: onOpenOrder((story, order, row) => {
    must(story, row, story.openCall === order.attemptNo);
    order.sends += 1;
    story.openCall = null;
  }),
  replied: readReply,
  not_executed: onOpenOrder((story, order, row) => {
    const decided = decidedTo(story, 'mark_not_executed', order.attemptNo);
    must(story, row, (row.body.proof === 'decided') === decided);
    order.status = 'not_executed';
  }),
  captured_again: (story, row) => {
    const { attemptNo = 0 } = row.body;
    const order = story.orders.get(attemptNo);
    must(story, row, order?.status === 'succeeded' && row.body.captures === order.captures + 1);
    if (order !== undefined) order.captures += 1;
    story.suspicions.add(`captured_twice ${attemptNo}`);
  },
  ask_requested: onOpenOrder(() => undefined),
  settled: (story, row) => {
    const order = story.orders.get(row.body.attemptNo ?? 0);
    const { afterFailure = false } = row.body;
    if (story.end !== null && !(afterFailure && story.end === 'failed')) {
      broken(story, 'terminal_moved', `settled after ${story.end}`);
    }
    if (afterFailure) must(story, row, wasAdopted(story, order?.attemptNo ?? 0));
    must(story, row, order?.status === 'succeeded' && order.orderNo === row.body.orderNo);
    must(story, row, BigInt(row.body.amountMinor ?? 0) === story.amountMinor);
    story.end = 'succeeded';
    story.settledOrderNo = row.body.orderNo ?? null;
    must(story, row, order === undefined || edgesOf[story.kind].settles === order.operation);
    for (const other of story.orders.values()) {
      const sameLeg = other !== order && other.operation === order?.operation;
      if (sameLeg && other.status === 'succeeded') other.excess = true;
    }
  },
  failed: (story, row) => {
    if (story.end !== null) broken(story, 'terminal_moved', `failed after ${story.end}`);
    must(story, row, !anyOpen(story) && mayFail(story));
    story.end = 'failed';
  },
  case_opened: (story, row) => {
    const { caseNo = 0, reason = '', attemptNo = 0 } = row.body;
    must(story, row, caseNo === story.cases.size + 1 && story.orders.has(attemptNo));
    story.cases.set(caseNo, { reason, attemptNo, open: true, decision: null });
  },
  case_closed: (story, row) => {
    const one = story.cases.get(row.body.caseNo ?? 0);
    must(story, row, one?.open === true);
    // What is still not known cannot be closed as answered.
    const order = story.orders.get(one?.attemptNo ?? 0);
    must(story, row, order?.status !== 'open');
    // Everything else only people can close, and then the entry is another; but they may have what
    // could not be undone tried again.
    must(story, row, one?.reason === 'outcome_unknown' || one?.reason === 'undo_failed');
    if (one === undefined) return;
    one.open = false;
    if (one.reason === 'undo_failed' && order) story.declinedForGood.delete(legOf(order));
  },
  decided: (story, row) => {
    const { caseNo = 0, attemptNo = 0, decision, by, approvedBy } = row.body;
    const one = story.cases.get(caseNo);
    must(story, row, one?.open === true && one.attemptNo === attemptNo);
    must(story, row, by !== approvedBy && story.openCall === null);
    const status = story.orders.get(attemptNo)?.status;
    const action = decision?.action ?? '';
    const creditable = story.kind === 'deduction' || story.kind === 'refund';
    const late =
      creditable && action === 'adopt_captured' && story.end === 'failed' && status === 'succeeded';
    // Of an order whose outcome is open one can only say what became of it; and of no other.
    const saysOutcome = action === 'adopt_captured' || action === 'mark_not_executed';
    must(story, row, late || saysOutcome === (status === 'open'));
    story.decided = { action, attemptNo };
    if (one === undefined) return;
    one.open = false;
    one.decision = decision ?? null;
    // Denied by the service, and people do not insist.
    if (one.reason === 'contradiction' && action === 'write_off') story.adopted.delete(attemptNo);
  },
  debit_adopted: (story, row) => {
    const { attemptNo = 0 } = row.body;
    const debit = story.orders.get(attemptNo);
    must(story, row, decidedTo(story, 'restore', attemptNo));
    must(story, row, debit !== undefined && isStray(story, debit) && !isBack(story, debit));
    story.adopted.add(attemptNo);
  },
};

function startRefund(story: TaskStory, { body: { refund } }: LogRow): void {
  story.kind = 'refund';
  story.refund = refund ?? null;
  story.repaymentId = refund?.repaymentId ?? '';
  story.amountMinor = BigInt(refund?.amountMinor ?? 0);
  // A refund goes back where the money is: it has no route.
  story.routed = true;
}

function startAttempt(story: TaskStory, row: LogRow): void {
  const { order, attemptNo = 0 } = row.body;
  const named = row.kind === 'refund_intended' ? 'refund' : 'charge';
  const operation = order?.operation ?? named;
  const place = edgesOf[story.kind].places[operation];
  const leg = legOf({ operation, regarding: order?.regarding?.orderNo ?? null });
  const late = operation === 'restore' && !isLive(story);
  must(story, row, place !== undefined && (late || isLive(story)));
  must(story, row, !place?.routed || story.routed);
  must(
    story,
    row,
    late ? mayRestore(story, order?.regarding?.orderNo) : place?.may(story) === true,
  );
  must(story, row, attemptNo === story.orders.size + 1);
  const others = [...story.orders.values()];
  const done = others.some((one) => one.status === 'succeeded' && legOf(one) === leg);
  if (done || anyOpen(story)) {
    broken(story, 'two_live', `attempt ${attemptNo} starts while another is not dead`);
  }
  must(
    story,
    row,
    others.every((one) => one.orderNo !== order?.orderNo),
  );
  must(story, row, !story.declinedForGood.has(leg));
  if (order === undefined) return;
  const inTime = (order.createdAtMs ?? 0) < story.attemptUntilMs;
  must(story, row, inTime || place?.untimed === true);
  const { orderNo, channelId } = order;
  const idempotent = row.body.nature?.idempotent ?? false;
  const amountMinor = BigInt(order.amountMinor);
  const regarding = order.regarding?.orderNo ?? null;
  const told = { attemptNo, operation, orderNo, channelId, amountMinor, idempotent, regarding };
  const fresh = { status: 'open', sends: 1, excess: false, captures: 1, doneAt: 0 } as const;
  story.orders.set(attemptNo, { ...told, ...fresh });
  story.openCall = attemptNo;
}

const decidedTo = (story: TaskStory, action: string, attemptNo: number): boolean =>
  story.decided?.action === action && story.decided.attemptNo === attemptNo;

const wasAdopted = ({ cases }: TaskStory, attemptNo: number): boolean =>
  [...cases.values()].some(
    (one) => one.attemptNo === attemptNo && one.decision?.action === 'adopt_captured',
  );

function must(story: TaskStory, row: LogRow, holds: boolean): void {
  if (!holds) broken(story, 'edge', `${row.kind} may not stand at ${row.seq}`);
}

const anyOpen = (story: TaskStory): boolean =>
  [...story.orders.values()].some((order) => order.status === 'open');

function onOpenOrder(read: (story: TaskStory, order: OrderStory, row: LogRow) => void): Reader {
  return (story, row) => {
    const order = story.orders.get(row.body.attemptNo ?? 0);
    // After the end only where another attempt was captured: this one is then a person's case.
    const other = story.end === 'succeeded' && order?.orderNo !== story.settledOrderNo;
    // What is restored after the end was placed after it.
    const late = order?.operation === 'restore';
    const may = isLive(story) || late || (other && row.kind !== 'resend_intended');
    must(story, row, order?.status === 'open' && may);
    if (order !== undefined) read(story, order, row);
  };
}

function readReply(story: TaskStory, row: LogRow): void {
  const { attemptNo = 0, via, answer } = row.body;
  const order = story.orders.get(attemptNo);
  must(story, row, order !== undefined);
  if (order === undefined) return;
  // The answer of a call stands only where the call's intent was the last word on it.
  const placed = operations.has(via ?? '');
  if (placed || via === 'close') must(story, row, story.openCall === attemptNo);
  must(story, row, (via === 'decision') === decidedTo(story, 'adopt_captured', attemptNo));
  if (story.openCall === attemptNo) story.openCall = null;
  const kind = answer?.kind;
  suspect(story, order, kind);
  if (kind === 'succeeded') {
    if (order.status !== 'succeeded') order.doneAt = row.seq;
    if (order.status !== 'succeeded' && isOver(story, order)) order.excess = true;
    // A first payment that comes after a top-up has failed opens it again, to be given back.
    const isPayment = story.kind === 'top_up' && order.operation === 'charge';
    if (isPayment && !doneBy(story, 'charge')) {
      if (story.end === 'failed') story.end = null;
      story.settleAtMs = (row.atMs ?? -Infinity) + story.settleAfterMs;
    }
    order.status = 'succeeded';
  }
  if (order.status !== 'open') return;
  if (kind === 'declined') {
    order.status = 'declined';
    if (answer?.scope === 'final') story.declinedForGood.add(legOf(order));
  }
  // "Not sent" speaks of one sending, if there was but one.
  const notSent = kind === 'not_executed' && answer?.proof === 'not_sent' && placed;
  if (notSent && order.sends === 1) order.status = 'not_executed';
}

/** What in an answer a person must be shown (rules 9 and 10). */
function suspect(story: TaskStory, order: OrderStory, kind: string | undefined): void {
  const { attemptNo, status } = order;
  if (kind === 'mismatch') story.suspicions.add(`mismatch ${attemptNo}`);
  if (kind === 'declined' && status === 'succeeded') {
    story.suspicions.add(`contradiction ${attemptNo}`);
  }
  if (kind !== 'succeeded' || status === 'succeeded') return;
  const others = [...story.orders.values()].filter(
    (one) => one !== order && legOf(one) === legOf(order),
  );
  if (others.some((one) => one.status === 'succeeded')) {
    story.suspicions.add(`captured_twice ${attemptNo}`);
  } else if (status !== 'open' || isOver(story, order)) {
    story.suspicions.add(`late_success ${attemptNo}`);
  }
}
