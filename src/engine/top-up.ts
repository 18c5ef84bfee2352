/**
 * The top-up flow: a customer pays, and a stored-value card is credited; or the customer has the money
 * back. It is never both, and nobody guesses.
 *
 *   top_up_accepted ─ pre_recharge ┬ succeeded
 *                                  └ declined │ cannot be placed ──────────────────── failed
 *   routed ─ charge ┬ succeeded (the customer has paid)
 *              ▲    ├ declined, other channel │ not_executed ─ next place
 *              │    ├ pending, past its expiry: closed at the channel
 *              └────┘        └ no place left │ declined, final │ too late ─ void ───── failed
 *   credit ┬ succeeded ───────────────────────────────────────────────────────────── settled
 *          ├ unknown │ pending: counts as credited; asked about, and sent again under its number
 *          │     └ an hour after the payment: closed at the card system, which voids it
 *          └ declined, final │ voided ─ void ─ refund ─────────────────────────────── failed
 *
 * What can still be credited is voided before the payment goes back, so the legs are undone in that
 * order and not in reverse. A credit that turns up after the void is the card system contradicting
 * itself: no money goes back that has not gone yet, and a person sees the case.
 *
 * A payment that turns up after the top-up has failed unpaid opens it again, to give the money back.
 */
import { invariant } from '../assert.js';
import { isLive, type Attempt } from './attempt.js';
import type { Entry, EntryOf, Intent } from './entries.js';
import type { Flow, Step } from './flow.js';
import {
  insisted,
  insistOn,
  legOf,
  nextPlace,
  placing,
  receiveUnadopted,
  refundNature,
  undo,
  writtenOff,
  type Routed,
  type Undo,
  type Why,
} from './legs.js';
import { operationOf } from './order.js';
import { fail, openSuspicion, settle, settleOutcome, tidyUp, type Aim } from './orders.js';
import { doneIn, evolveIntent, evolveOrders, noOrders, type OrdersState } from './orders-state.js';
import type { TopUp } from './requests.js';

export interface TopUpState extends OrdersState, Routed {
  readonly kind: 'top_up';
  readonly topUp: TopUp;
  readonly acceptedAtMs: number;
  /** The payment: the first charge found captured, and when. Another one besides it is a case. */
  readonly paid: { readonly no: number; readonly atMs: number } | null;
  /** The place in the log at which giving the payment back began. */
  readonly refundSeq: number | null;
}

export const topUpFlow: Flow<TopUpState> = {
  evolve,
  next,
  receive: receiveUnadopted,
  lockKey: ({ taskId }) => `top_up:${taskId}`,
};

/** When an unconfirmed credit is no longer insisted on; null while nobody has paid. */
export function settleAtMs({ paid, topUp }: TopUpState): number | null {
  return paid === null ? null : paid.atMs + topUp.settleAfterMs;
}

export const paymentOf = ({ paid, attempts }: TopUpState): Attempt | undefined =>
  paid === null ? undefined : attempts[paid.no - 1];

export const topUpStages = [
  'recording',
  'paying',
  'crediting',
  'credit_unknown',
  'giving_back',
  'credited',
  'ended',
] as const;
export type TopUpStage = (typeof topUpStages)[number];

/** Where a top-up is, for people. `credit_unknown` counts as credited while it lasts. */
export function stageOf(state: TopUpState): TopUpStage {
  if (state.end !== null) return state.end.kind === 'succeeded' ? 'credited' : 'ended';
  if (doneIn(state, 'credit') !== undefined) return 'credited';
  if (goesBack(state)) return 'giving_back';
  const credit = legOf(state, 'credit').at(-1);
  if (credit !== undefined && isLive(credit)) {
    return credit.unknownWhy === null ? 'crediting' : 'credit_unknown';
  }
  if (state.paid !== null) return 'crediting';
  return doneIn(state, 'pre_recharge') === undefined ? 'recording' : 'paying';
}

function next(state: TopUpState, nowMs: number): Step {
  const [suspicion] = state.suspicions;
  if (suspicion !== undefined) return openSuspicion(state, suspicion, nowMs);
  if (state.end !== null) return tidyUp(state, nowMs);

  const live = state.attempts.find(isLive);
  if (live !== undefined) {
    const aim = aimOf(state, live, nowMs);
    return settleOutcome(state, live, nowMs, { aim, aimChangesAtMs: wantedUntilMs(state, live) });
  }

  const credit = doneIn(state, 'credit');
  if (credit !== undefined) return credited(state, credit, nowMs);
  if (goesBack(state)) return goBack(state, whyBack(state), nowMs);
  if (doneIn(state, 'pre_recharge') === undefined) return record(state, nowMs);
  return state.paid === null ? takePayment(state, nowMs) : putOnCard(state, nowMs);
}

/**
 * Until when an order is wanted: a record while a payment may still begin, a credit for its time, a
 * payment until it has expired or another was made, a refund while the card is not credited. What is
 * not wanted is not sent again.
 */
function wantedUntilMs(state: TopUpState, { order, nature }: Attempt): number {
  const closes = nature.closeProof === 'refuses_unseen';
  switch (operationOf(order)) {
    case 'pre_recharge':
      return closes ? state.topUp.attemptUntilMs : Infinity;
    case 'credit':
      return settleAtMs(state) ?? Infinity;
    case 'charge':
      if (state.paid !== null) return -Infinity;
      return nature.honoursExpiry || closes ? order.expiresAtMs : Infinity;
    case 'refund':
      return doneIn(state, 'credit') === undefined ? Infinity : -Infinity;
    default:
      return Infinity;
  }
}

function aimOf(state: TopUpState, live: Attempt, nowMs: number): Aim {
  if (nowMs >= wantedUntilMs(state, live)) return 'dead';
  return operationOf(live.order) === 'charge' ? 'either' : insisted(live.nature);
}

function record(state: TopUpState, nowMs: number): Step {
  return insistOn(legOf(state, 'pre_recharge'), nowMs, {
    place: () => atCards(state, 'pre_recharge', nowMs),
    giveUp: ({ code, detail }) => fail(code, detail, nowMs),
    untilMs: state.topUp.attemptUntilMs,
  });
}

function takePayment(state: TopUpState, nowMs: number): Step {
  const { payer, amountMinor, currency, attemptUntilMs } = state.topUp;
  const { bankCode } = payer;
  const leg = {
    request: { taskId: state.taskId, refundable: true, bankCode, amountMinor, currency } as const,
    nobody: 'no channel can take this payment and give it back',
    untilMs: attemptUntilMs,
  };
  const next = nextPlace(state, leg, nowMs);
  if ('kind' in next) return next;
  if ('code' in next) return goBack(state, next, nowMs);
  return placing(state, 'charge', next, { amountMinor, currency, account: payer }, nowMs);
}

function putOnCard(state: TopUpState, nowMs: number): Step {
  const tries = legOf(state, 'credit');
  const last = tries.at(-1);
  const untilMs = settleAtMs(state) ?? Infinity;
  // Closed at the card system, or decided so by people: it can never be credited.
  if (last?.proof === 'closed' || last?.proof === 'decided') {
    return goBack(state, notCredited(last), nowMs);
  }
  return insistOn(tries, nowMs, {
    place: () => atCards(state, 'credit', nowMs),
    giveUp: (why) =>
      // Refused for good it goes back at once; a card system that is away has its time to come back.
      last?.decline?.scope !== 'final' && nowMs < untilMs
        ? { kind: 'wait', untilMs }
        : goBack(state, why, nowMs),
    untilMs,
  });
}

/** Whatever comes of it, the money that was paid does not go back while the credit stands. */
function credited(state: TopUpState, credit: Attempt, nowMs: number): Step {
  return doneIn(state, 'refund') === undefined
    ? settle(credit, nowMs)
    : fail('credited_and_refunded', 'see the case of the late credit', nowMs);
}

/** Giving back has begun: nothing goes forward any more. */
const goesBack = (state: TopUpState): boolean => legOf(state, 'void').length > 0;

function goBack(state: TopUpState, { code, detail }: Why, nowMs: number): Step {
  return undo(state, undosOf(state, nowMs), nowMs) ?? fail(code, detail, nowMs);
}

/** Why the leg that could not be done was not. */
function whyBack(state: TopUpState): Why {
  const credit = legOf(state, 'credit').at(-1);
  if (state.paid === null || credit !== undefined) {
    return notCredited(credit ?? legOf(state, 'charge').at(-1));
  }
  return { code: 'paid_too_late', detail: 'the payment came after it had been given up' };
}

function notCredited(last: Attempt | undefined): Why {
  if (last?.decline) return { code: last.decline.code, detail: last.decline.message };
  const leg = last === undefined ? 'charge' : operationOf(last.order);
  return leg === 'credit'
    ? { code: 'not_credited', detail: 'the card system has not credited the card, and never will' }
    : { code: 'not_paid', detail: 'no payment was made' };
}

function undosOf(state: TopUpState, nowMs: number): readonly Undo[] {
  const { amountMinor, currency, payer } = state.topUp;
  return [
    { done: 'pre_recharge', by: 'void', place: () => atCards(state, 'void', nowMs) },
    {
      done: 'charge',
      by: 'refund',
      place: (first) => {
        const { order, nature, channelRef } = paymentOf(state) ?? first;
        const refundOf = { orderNo: order.orderNo, channelRef: channelRef ?? '' };
        const orderTtlMs = order.expiresAtMs - order.createdAtMs;
        const party = { channelId: order.channelId, nature: refundNature(nature), orderTtlMs };
        const fields = { refundOf, amountMinor, currency, account: payer };
        return placing(state, 'refund', party, fields, nowMs);
      },
    },
  ];
}

function atCards(state: TopUpState, what: 'pre_recharge' | 'credit' | 'void', nowMs: number): Step {
  const { cards, card, amountMinor, creditMinor, rule, currency } = state.topUp;
  const recorded = doneIn(state, 'pre_recharge');
  const regarding = recorded && {
    orderNo: recorded.order.orderNo,
    channelRef: recorded.channelRef ?? '',
  };
  const fields = {
    amountMinor,
    currency,
    account: card,
    topUp: { creditMinor, rule },
    ...(regarding && { regarding }),
  };
  // Time alone proves nothing of a card: what is to be dead there is voided.
  const party = { ...cards, nature: { ...cards.nature, honoursExpiry: false } };
  return placing(state, what, party, fields, nowMs);
}

function evolve(state: TopUpState | null, entry: Entry): TopUpState {
  if (state === null) {
    invariant(entry.kind === 'top_up_accepted', `no top-up starts with ${entry.kind}`);
    const { topUp, atMs: acceptedAtMs } = entry;
    const { id: taskId } = topUp;
    const kind = 'top_up';
    return {
      kind,
      taskId,
      seq: 1,
      topUp,
      acceptedAtMs,
      route: null,
      paid: null,
      refundSeq: null,
      ...noOrders,
    };
  }
  const moved = { ...state, seq: state.seq + 1 };
  switch (entry.kind) {
    case 'routed':
      return { ...moved, route: { plan: entry.route, atMs: entry.atMs } };
    case 'refund_intended':
      mayPlace(state, entry);
      return evolveIntent({ ...moved, refundSeq: state.refundSeq ?? moved.seq }, entry);
    case 'charge_intended':
    case 'intended':
      mayPlace(state, entry);
      return evolveIntent(moved, entry);
    case 'failed':
      invariant(
        state.paid === null || doneIn(state, 'refund') !== undefined || writtenOff(state, 'refund'),
        'what was paid has not failed',
      );
      return evolveOrders(moved, entry);
    case 'replied':
      return notePayment(evolveOrders(moved, entry), entry);
    default:
      return evolveOrders(moved, entry);
  }
}

/** The first payment; where the top-up had failed unpaid, it is open again. */
function notePayment(state: TopUpState, { attemptNo: no, atMs }: EntryOf<'replied'>): TopUpState {
  const heard = state.attempts[no - 1];
  const paid = heard?.status === 'succeeded' && operationOf(heard.order) === 'charge';
  return paid && state.paid === null ? { ...state, paid: { no, atMs }, end: null } : state;
}

/** What the log refuses, whatever `next` may come to think. */
function mayPlace(state: TopUpState, { order }: Intent): void {
  const done = (leg: Parameters<typeof doneIn>[1]): boolean => doneIn(state, leg) !== undefined;
  switch (operationOf(order)) {
    case 'charge':
      invariant(done('pre_recharge'), 'nobody pays before the pre-recharge is recorded');
      invariant(!goesBack(state), 'nobody pays for what is voided');
      return;
    case 'credit':
      invariant(state.paid !== null, 'nothing is credited that was not paid');
      invariant(!goesBack(state), 'nothing is credited that is voided');
      return;
    case 'void':
      invariant(!done('credit'), 'what is credited is not voided');
      return;
    case 'refund':
      invariant(!done('credit'), 'what is credited is not refunded');
      invariant(
        done('void') || writtenOff(state, 'void'),
        'refunded only once it can never be credited',
      );
      return;
    default:
      invariant(operationOf(order) === 'pre_recharge', 'a top-up does not do that');
  }
}
