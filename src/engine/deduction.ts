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
import { orderNo } from '../ids.js';
import { isLive } from './attempt.js';
import { evolve, type DeductionState } from './deduction-state.js';
import type { Entry } from './entries.js';
import type { Flow, Step } from './flow.js';
import type { Order } from './order.js';
import { fail, openSuspicion, receive, settle, settleOutcome, tidyUp } from './orders.js';
import { adopted } from './orders-state.js';
import type { RoutePlace } from './route.js';

export type { DeductionState } from './deduction-state.js';

/** A route older than this is planned anew before the next attempt: channels come and go. */
const routeTtlMs = 60_000;

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

  const live = state.attempts.find(isLive);
  if (live !== undefined) return settleOutcome(state, live, nowMs);

  const captured = state.attempts.find((attempt) => attempt.status === 'succeeded');
  if (captured !== undefined) return settle(captured, nowMs);

  return startAttempt(state, nowMs);
}

/** No attempt is live and none was captured: the next place of the route, or the end. */
function startAttempt(state: DeductionState, nowMs: number): Step {
  const last = state.attempts.at(-1);
  if (last?.decline?.scope === 'final') {
    return fail(last.decline.code, last.decline.message, nowMs);
  }
  if (nowMs >= state.deduction.attemptUntilMs) {
    return fail('deadline_passed', 'no new attempt starts this long after the request', nowMs);
  }
  const { deduction, route } = state;
  const tried = state.attempts.map((attempt) => attempt.order.channelId);
  const places = route?.plan.places.filter((place) => !tried.includes(place.channelId)) ?? [];
  const stale = route === null || (places.length > 0 && nowMs - route.atMs > routeTtlMs);
  if (stale) {
    return {
      kind: 'route',
      request: {
        taskId: deduction.id,
        bankCode: deduction.account.bankCode,
        amountMinor: deduction.amountMinor,
        currency: deduction.currency,
        exclude: tried,
      },
    };
  }
  const place = places[0];
  if (place === undefined) {
    const [code, detail] =
      last === undefined
        ? ['no_eligible_channel', 'no channel can take this deduction']
        : ['channels_exhausted', last.decline?.message ?? 'no channel executed the order'];
    return fail(code, detail, nowMs);
  }
  return charge(state, place, nowMs);
}

function charge(state: DeductionState, place: RoutePlace, nowMs: number): Step {
  const { deduction } = state;
  const attemptNo = state.attempts.length + 1;
  const order: Order = {
    orderNo: orderNo(deduction.id, attemptNo),
    channelId: place.channelId,
    amountMinor: deduction.amountMinor,
    currency: deduction.currency,
    account: deduction.account,
    createdAtMs: nowMs,
    expiresAtMs: nowMs + place.orderTtlMs,
  };
  const intent: Entry = {
    kind: 'charge_intended',
    atMs: nowMs,
    attemptNo,
    order,
    nature: place.nature,
  };
  return { kind: 'charge', intent, attemptNo, order };
}
