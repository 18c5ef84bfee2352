/**
 * The deduction flow. A deduction lives as follows; every arrow is an entry of its log.
 *
 *   accepted ─ routed ─ charge_intended ─ replied ┬ succeeded ──────────────────────── settled
 *                 ▲            ▲                  ├ declined, final ────────────────── failed
 *                 │            └──── next place ──┼ declined, other channel │ not_executed
 *                 └──── the route is old ─────────┘        └ no place left ─────────── failed
 *                                                 └ pending │ unknown: ask on the poll schedule
 *                                                     ├ a definite answer: as above
 *                                                     ├ not found: prove it dead, or send it again
 *                                                     └ schedule used up: case_opened, a person decides
 *
 * Only a definite answer leaves a channel (rule 4). An attempt without one is asked about, never
 * resent blindly (rule 3), and is dead only by proof (rules 2 and 8). After a crash the log says
 * where it was: an intent without an answer is taken over and asked about, like any unknown outcome.
 * What the entries add up to is in deduction-state.ts (`evolve`); this file says what comes next, and
 * orders.ts how an order whose outcome is not known is brought to one.
 */
import { isLive } from './attempt.js';
import { evolve, type DeductionState } from './deduction-state.js';
import type { Flow, Step } from './flow.js';
import { nextPlace, placing } from './legs.js';
import { fail, openSuspicion, receive, settle, settleOutcome, tidyUp } from './orders.js';
import { adopted, doneIn } from './orders-state.js';

export type { DeductionState } from './deduction-state.js';

export const deductionFlow: Flow<DeductionState> = {
  evolve,
  next,
  receive,
  lockKey: (state) => `repayment:${state.deduction.repaymentId}`,
};

function next(state: DeductionState, nowMs: number): Step {
  const [suspicion] = state.suspicions;
  if (suspicion !== undefined) return openSuspicion(state, suspicion, nowMs);
  const late = adopted(state);
  if (late !== undefined) return settle(late, nowMs, true);
  if (state.end !== null) return tidyUp(state, nowMs);

  const captured = doneIn(state, 'charge');
  const live = state.attempts.find(isLive);
  if (live !== undefined) return settleOutcome(state, live, nowMs, { captured });
  if (captured !== undefined) return settle(captured, nowMs);

  return startAttempt(state, nowMs);
}

/** No attempt is live and none was captured: the next place of the route, or the end. */
function startAttempt(state: DeductionState, nowMs: number): Step {
  const { id: taskId, account, amountMinor, currency, attemptUntilMs } = state.deduction;
  const { bankCode } = account;
  const leg = {
    request: { taskId, bankCode, amountMinor, currency },
    nobody: 'no channel can take this deduction',
    untilMs: attemptUntilMs,
  };
  const next = nextPlace(state, leg, nowMs);
  if ('kind' in next) return next;
  if ('code' in next) return fail(next.code, next.detail, nowMs);
  return placing(state, 'charge', next, { amountMinor, currency, account }, nowMs);
}
