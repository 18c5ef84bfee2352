/**
 * A task has a leg for each thing it does elsewhere: a charge, a payout, a credit. A leg is done by one
 * of several channels (`nextPlace`) or by the one that can do it (`insistOn`). A task that cannot go
 * forward undoes what it has done (`undo`), under the same rules: intent first, ask before acting again.
 */
import { orderNo } from '../ids.js';
import { isLive, type Attempt } from './attempt.js';
import type { Entry } from './entries.js';
import type { Evidence, Step } from './flow.js';
import { operationOf, type ChannelNature, type Operation, type Order } from './order.js';
import { receive, type Aim } from './orders.js';
import { doneIn, type Case, type OrdersState } from './orders-state.js';
import type { Party } from './requests.js';
import type { Route, RouteRequest, RoutePlace } from './route.js';

/** Why a task goes no further; what `failed` says in the end. */
export interface Why {
  readonly code: string;
  readonly detail: string;
}

export const legOf = (state: OrdersState, operation: Operation): readonly Attempt[] =>
  state.attempts.filter(({ order }) => operationOf(order) === operation);

/** So many orders of a leg that were kept back are not held against their channels. */
const withheldMax = 5;

/**
 * The tries that say something of their channels. An order that we kept back, since the lease had run short
 * by the time its intent was committed, says only that this process was slow: its channel was not asked.
 */
function telling(tries: readonly Attempt[]): readonly Attempt[] {
  let forgiven = 0;
  return tries.filter(({ withheld }) => {
    if (withheld) forgiven += 1;
    return !withheld || forgiven > withheldMax;
  });
}

/** Of a task that plans routes. */
export interface Routed {
  readonly route: { readonly plan: Route; readonly atMs: number } | null;
}

/** A route older than this is planned anew before the next attempt: channels come and go. */
const routeTtlMs = 60_000;

export interface RoutedLeg {
  readonly request: Omit<RouteRequest, 'exclude'>;
  /** Says that no channel can, before any was tried. */
  readonly nobody: string;
  readonly untilMs: number;
}

/** The next channel of the route for a leg with no live attempt and none that succeeded; or why none. */
export function nextPlace(
  state: OrdersState & Routed,
  { request, nobody, untilMs }: RoutedLeg,
  nowMs: number,
): RoutePlace | Step | Why {
  const tries = telling(legOf(state, request.operation ?? 'charge'));
  const last = tries.at(-1);
  if (last?.decline?.scope === 'final') {
    return { code: last.decline.code, detail: last.decline.message };
  }
  if (nowMs >= untilMs) {
    return { code: 'deadline_passed', detail: 'no new attempt starts this long after the request' };
  }
  const tried = tries.map((attempt) => attempt.order.channelId);
  const places = state.route?.plan.places.filter((one) => !tried.includes(one.channelId)) ?? [];
  const stale =
    state.route === null || (places.length > 0 && nowMs - state.route.atMs > routeTtlMs);
  if (stale) return { kind: 'route', request: { ...request, exclude: tried } };
  const [place] = places;
  if (place !== undefined) return place;
  return last === undefined
    ? { code: 'no_eligible_channel', detail: nobody }
    : {
        code: 'channels_exhausted',
        detail: last.decline?.message ?? 'no channel executed the order',
      };
}

const minuteMs = 60_000;
/** Before a new order after one that was not executed: a channel that is down is down for a while. */
const pausesMs = [1, 5, 15, 60, 180, 720, 1_440].map((minutes) => minutes * minuteMs);

export interface Insisting {
  readonly place: () => Step;
  readonly giveUp: (why: Why) => Step;
  /** No new order is placed after this. */
  readonly untilMs?: number;
}

/**
 * A leg with one channel to go to: an order that provably was not executed is placed again there,
 * later, under a new number, until it is declined for good or has been tried too often.
 */
export function insistOn(
  all: readonly Attempt[],
  nowMs: number,
  { place, giveUp, untilMs = Infinity }: Insisting,
): Step {
  const tries = telling(all);
  const last = tries.at(-1);
  if (last !== undefined && last.decline?.scope === 'final') {
    return giveUp({ code: last.decline.code, detail: last.decline.message });
  }
  const pauseMs = last === undefined ? 0 : pausesMs[tries.length - 1];
  const againMs = (last?.endedAtMs ?? nowMs) + (pauseMs ?? Infinity);
  if (againMs === Infinity || againMs >= untilMs || nowMs >= untilMs) {
    const detail = last?.decline?.message ?? 'no order was executed';
    return giveUp({ code: 'channel_unavailable', detail });
  }
  return nowMs < againMs ? { kind: 'wait', untilMs: againMs } : place();
}

/** Of an order that only one channel can do: sent again under its number, where that is safe. */
export const insisted = ({ idempotent }: ChannelNature): Aim => (idempotent ? 'done' : 'either');

/** How a leg that has been done is undone. */
export interface Undo {
  readonly done: Operation;
  readonly by: Operation;
  /** The order that is undone; absent: the one that the task is built on. */
  readonly of?: Attempt;
  readonly place: (done: Attempt) => Step;
}

/**
 * What undoes the legs that have been done, in the order given: the next step of it, or null when all of
 * it is undone. Where one cannot be, a person is called, and the task waits: decided `write_off`, the
 * person has seen to it; asked again, another order is tried.
 */
export function undo(state: OrdersState, undos: readonly Undo[], nowMs: number): Step | null {
  for (const { done, by, of, place } of undos) {
    const what = of ?? doneIn(state, done);
    if (what === undefined || doneIn(state, by, of?.order.orderNo) !== undefined) continue;
    const tries = triesOf(state, by, of);
    const about = caseOf(state, tries.at(-1));
    if (about?.closed === null) return { kind: 'stop', reason: 'review' };
    if (about?.closed.action === 'write_off') continue;
    if (about !== undefined) return place(what);
    return insistOn(tries, nowMs, {
      place: () => place(what),
      giveUp: (why) => cannotUndo(state, tries, why, nowMs),
    });
  }
  return null;
}

const triesOf = (state: OrdersState, by: Operation, of?: Attempt): readonly Attempt[] =>
  legOf(state, by).filter(
    ({ order }) => of === undefined || order.regarding?.orderNo === of.order.orderNo,
  );

/** People have seen by hand to what an order of this leg should have undone. */
export const writtenOff = (state: OrdersState, leg: Operation, of?: Attempt): boolean =>
  triesOf(state, leg, of).some((one) =>
    state.cases.some(
      ({ reason, closed, attemptNo }) =>
        reason === 'undo_failed' && closed?.action === 'write_off' && attemptNo === one.no,
    ),
  );

/**
 * What was given back cannot be taken again: what comes after that is not adopted. Whether an order of
 * unknown outcome has been executed is decided at any time.
 */
export function receiveUnadopted(
  state: OrdersState,
  evidence: Evidence,
  nowMs: number,
): readonly Entry[] {
  if (evidence.kind === 'decision' && evidence.decision.action === 'adopt_captured') {
    const about = state.cases.find(({ no }) => no === evidence.caseNo);
    const attempt = state.attempts.find(({ no }) => no === about?.attemptNo);
    if (attempt === undefined || !isLive(attempt)) return [];
  }
  return receive(state, evidence, nowMs);
}

const caseOf = (state: OrdersState, last: Attempt | undefined): Case | undefined =>
  state.cases.findLast(
    ({ reason, attemptNo }) => reason === 'undo_failed' && attemptNo === last?.no,
  );

function cannotUndo(
  state: OrdersState,
  tries: readonly Attempt[],
  { code, detail }: Why,
  atMs: number,
): Step {
  const last = tries.at(-1);
  const about = { caseNo: state.cases.length + 1, attemptNo: last?.no ?? 0 };
  const what = last === undefined ? 'step' : operationOf(last.order);
  const evidence = `${what} not done: ${code}: ${detail}`;
  return {
    kind: 'record',
    entries: [{ kind: 'case_opened', atMs, ...about, reason: 'undo_failed', evidence }],
  };
}

type OrderOf = Pick<
  Order,
  'amountMinor' | 'currency' | 'account' | 'regarding' | 'topUp' | 'refundOf'
>;

/** Places a new order of an operation: the intent and the order it commits to. */
export function placing(
  { taskId, attempts }: OrdersState,
  operation: Operation,
  { channelId, nature, orderTtlMs }: Party,
  fields: OrderOf,
  atMs: number,
): Step {
  const attemptNo = attempts.length + 1;
  const order: Order = {
    orderNo: orderNo(taskId, attemptNo),
    ...(operation !== 'charge' && { operation }),
    channelId,
    ...fields,
    createdAtMs: atMs,
    expiresAtMs: atMs + orderTtlMs,
  };
  const intent: Entry = { kind: intentOf[operation] ?? 'intended', atMs, attemptNo, order, nature };
  return { kind: operation, intent, attemptNo, order };
}

/** The operations whose intent has a name of its own. */
const intentOf: Partial<Record<Operation, 'charge_intended' | 'refund_intended'>> = {
  charge: 'charge_intended',
  refund: 'refund_intended',
};

/** What a refund may be judged by: channels promise neither to close refunds nor an expiry for them. */
export const refundNature = (nature: ChannelNature): ChannelNature => ({
  ...nature,
  honoursExpiry: false,
  closeProof: 'none',
});
