/**
 * The withdrawal flow: money is taken from a balance and paid out to a bank account, or neither.
 *
 *   withdrawal_accepted ┬ (the member's balance in our tables: taken in the same transaction)
 *                       └ debit ┬ succeeded
 *                               ├ declined │ cannot be placed ─────────────────── failed
 *                               └ pending │ unknown: as for a charge (orders.ts)
 *   routed ─ payout ┬ succeeded ───────────────────────────────────────────────── settled
 *              ▲    ├ declined, other channel │ not_executed ─ next place
 *              └────┘        └ no place left │ declined, final │ too late
 *                                 └ (restore, where it was debited) ───────────── failed
 *
 * `failed` gives a balance of ours back, in its transaction, once. A payout whose outcome is not known is
 * never given back: it is asked about, and then it is a case. A debit that turns out to have been made
 * besides the one that was built on is a case, too; people may have it given back (late-debit.ts).
 */
import { invariant } from '../assert.js';
import { isLive, type Attempt } from './attempt.js';
import type { Entry, Intent } from './entries.js';
import type { Evidence, Flow, Step } from './flow.js';
import {
  adoptDebit,
  giveBack,
  isStray,
  isWanted,
  owesDebits,
  withdrawn,
  type GivesBack,
} from './late-debit.js';
import {
  insisted,
  insistOn,
  legOf,
  nextPlace,
  placing,
  receiveUnadopted,
  undo,
  type Routed,
  type Undo,
  type Why,
} from './legs.js';
import { operationOf } from './order.js';
import { fail, openSuspicion, settle, settleOutcome, tidyUp, type Aim } from './orders.js';
import { doneIn, evolveIntent, evolveOrders, noOrders } from './orders-state.js';
import type { Withdrawal } from './requests.js';

export interface WithdrawalState extends GivesBack, Routed {
  readonly kind: 'withdrawal';
  readonly withdrawal: Withdrawal;
  readonly acceptedAtMs: number;
}

export const withdrawalFlow: Flow<WithdrawalState> = {
  evolve,
  next,
  receive,
  lockKey: ({ taskId }) => `withdrawal:${taskId}`,
};

function next(state: WithdrawalState, nowMs: number): Step {
  const [suspicion] = state.suspicions;
  if (suspicion !== undefined) return openSuspicion(state, suspicion, nowMs);
  if (state.end !== null) return afterwards(state, nowMs);

  const paid = doneIn(state, 'payout');
  const given = doneIn(state, 'restore') !== undefined;
  const live = state.attempts.find(isLive);
  if (live !== undefined) {
    return operationOf(live.order) === 'payout'
      ? settleOutcome(state, live, nowMs, { captured: paid })
      : settleOutcome(state, live, nowMs, { aim: aimOf(state, live) });
  }
  // A payout found paid after all goes before giving back, while nothing has been given back.
  if (paid !== undefined && !given) return settle(paid, nowMs);
  if (paid !== undefined)
    return fail('paid_and_restored', 'see the case of the late payout', nowMs);

  const { funding, attemptUntilMs: untilMs } = state.withdrawal;
  if (funding !== null && doneIn(state, 'debit') === undefined) {
    return insistOn(legOf(state, 'debit'), nowMs, {
      place: () => take(state, funding, nowMs),
      giveUp: ({ code, detail }) => fail(code, detail, nowMs),
      untilMs,
    });
  }
  return payOut(state, nowMs);
}

/** What the end says stays as it is; what was taken besides goes back. */
function afterwards(state: WithdrawalState, nowMs: number): Step {
  const tidied = tidyUp(state, nowMs);
  if (tidied.kind === 'record') return tidied;
  const live = state.attempts.find(isLive);
  if (live === undefined) {
    return giveBack(state, (debit) => restore(state, debit, nowMs), nowMs) ?? tidied;
  }
  if (operationOf(live.order) === 'restore') {
    const aim = isWanted(state, live) ? insisted(live.nature) : 'dead';
    return settleOutcome(state, live, nowMs, { aim });
  }
  // One order at a time: people decide about that one before anything goes back.
  const held = tidied.kind === 'stop' && owesDebits(state);
  return held ? { kind: 'stop', reason: 'review' } : tidied;
}

function receive(state: WithdrawalState, evidence: Evidence, nowMs: number): readonly Entry[] {
  return evidence.kind === 'decision' && evidence.decision.action === 'restore'
    ? adoptDebit(state, evidence, nowMs)
    : receiveUnadopted(state, evidence, nowMs);
}

/** Paid after all, it is no longer to be given back; and taken by one debit, it is wanted of no other. */
function aimOf(state: WithdrawalState, { order, nature }: Attempt): Aim {
  const other = operationOf(order) === 'restore' ? 'payout' : 'debit';
  return doneIn(state, other) === undefined ? insisted(nature) : 'dead';
}

function take(
  state: WithdrawalState,
  { party, account }: NonNullable<Withdrawal['funding']>,
  nowMs: number,
): Step {
  const { amountMinor, currency } = state.withdrawal;
  return placing(state, 'debit', party, { amountMinor, currency, account }, nowMs);
}

function payOut(state: WithdrawalState, nowMs: number): Step {
  const { account, amountMinor, currency, attemptUntilMs: untilMs } = state.withdrawal;
  const { taskId } = state;
  const { bankCode } = account;
  const leg = {
    request: { taskId, operation: 'payout', bankCode, amountMinor, currency } as const,
    nobody: 'no channel can pay this out',
    untilMs,
  };
  const next = nextPlace(state, leg, nowMs);
  const goesBack = legOf(state, 'restore').length > 0;
  if ('code' in next) return goBack(state, next, nowMs);
  // Once giving back has begun no payout starts, whatever the route says.
  if (goesBack) return goBack(state, { code: 'channels_exhausted', detail: 'not paid out' }, nowMs);
  if ('kind' in next) return next;
  return placing(state, 'payout', next, { amountMinor, currency, account }, nowMs);
}

function goBack(state: WithdrawalState, { code, detail }: Why, nowMs: number): Step {
  return undo(state, undosOf(state, nowMs), nowMs) ?? fail(code, detail, nowMs);
}

function undosOf(state: WithdrawalState, nowMs: number): readonly Undo[] {
  if (state.withdrawal.funding === null) return [];
  return [{ done: 'debit', by: 'restore', place: (debit) => restore(state, debit, nowMs) }];
}

function restore(state: WithdrawalState, { order, channelRef }: Attempt, nowMs: number): Step {
  const { funding, amountMinor, currency } = state.withdrawal;
  invariant(funding !== null, 'a balance of ours is given back by the end');
  const regarding = { orderNo: order.orderNo, channelRef: channelRef ?? '' };
  const fields = { amountMinor, currency, account: funding.account, regarding };
  return placing(state, 'restore', funding.party, fields, nowMs);
}

function evolve(state: WithdrawalState | null, entry: Entry): WithdrawalState {
  if (state === null) {
    invariant(entry.kind === 'withdrawal_accepted', `no withdrawal starts with ${entry.kind}`);
    const { withdrawal, atMs: acceptedAtMs } = entry;
    const { id: taskId } = withdrawal;
    const kind = 'withdrawal';
    const lateDebits: readonly number[] = [];
    return { kind, taskId, seq: 1, withdrawal, acceptedAtMs, route: null, lateDebits, ...noOrders };
  }
  const moved = { ...state, seq: state.seq + 1 };
  switch (entry.kind) {
    case 'routed':
      return { ...moved, route: { plan: entry.route, atMs: entry.atMs } };
    case 'intended':
      mayPlace(state, entry);
      return evolveIntent(moved, entry);
    case 'failed':
      invariant(
        doneIn(state, 'payout') === undefined || doneIn(state, 'restore') !== undefined,
        'what was paid out has not failed',
      );
      return withExcess(evolveOrders(moved, entry));
    case 'decided':
      return withdrawn(evolveOrders(moved, entry), entry);
    case 'debit_adopted': {
      const debit = state.attempts[entry.attemptNo - 1];
      invariant(debit !== undefined && isStray(state, debit), 'what was built on stays');
      const others = state.lateDebits.filter((no) => no !== entry.attemptNo);
      return { ...moved, lateDebits: [...others, entry.attemptNo] };
    }
    default:
      return evolveOrders(moved, entry);
  }
}

/** Paid out, and given back as well: nobody's money any more but ours. */
function withExcess(state: WithdrawalState): WithdrawalState {
  const attempts = state.attempts.map((one) =>
    operationOf(one.order) === 'payout' && one.status === 'succeeded'
      ? { ...one, excessSeq: state.seq }
      : one,
  );
  return { ...state, attempts };
}

/** What the log refuses, whatever `next` may come to think. */
function mayPlace(state: WithdrawalState, { order }: Intent): void {
  const debit = doneIn(state, 'debit');
  const taken = state.withdrawal.funding === null || debit !== undefined;
  switch (operationOf(order)) {
    case 'payout':
      invariant(state.end === null, 'nothing is paid out after the end');
      invariant(taken, 'nothing is paid out that was not taken');
      invariant(legOf(state, 'restore').length === 0, 'nothing is paid out once it goes back');
      return;
    case 'restore': {
      const about = order.regarding?.orderNo;
      if (state.end !== null) {
        const late = state.attempts.find((one) => one.order.orderNo === about);
        const adopted = late !== undefined && state.lateDebits.includes(late.no);
        invariant(adopted, 'after the end only a debit that people adopted is given back');
        return;
      }
      invariant(doneIn(state, 'payout') === undefined, 'what was paid out is not given back');
      invariant(debit?.order.orderNo === about, 'the debit that was built on is given back');
      return;
    }
    default:
      invariant(operationOf(order) === 'debit', 'a withdrawal debits, pays out and restores');
      invariant(state.end === null, 'nothing is debited after the end');
  }
}
