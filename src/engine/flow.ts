import type { OrderNo, TaskId } from '../ids.js';
import type { Decision, Entry, Placing, TaskKind } from './entries.js';
import type { Order } from './order.js';
import type { QueryAnswer } from './reply.js';
import type { RouteRequest } from './route.js';

/** What every task's state has, whatever its kind. */
export interface TaskState {
  readonly kind: TaskKind;
  readonly taskId: TaskId;
  /** Entries folded so far; the next entry gets this + 1. */
  readonly seq: number;
  /** The attempt whose call is under way by the log: intended, and no answer recorded. */
  readonly openCall: { readonly attemptNo: number } | null;
}

/**
 * A kind of task, as pure functions: no I/O, no clock, no randomness. The executor folds the log
 * with `evolve`, asks `next` what to do, does it and appends what came of it.
 */
export interface Flow<S extends TaskState> {
  /** The first entry makes the state; null before it. */
  evolve(state: S | null, entry: Entry): S;
  next(state: S, nowMs: number): Step;
  /** What a message from outside adds to the log; nothing when it says nothing new. */
  receive(state: S, evidence: Evidence, nowMs: number): readonly Entry[];
  /** The record that one executor at a time should work on (rule 7). */
  lockKey(state: S): string;
}

export type Step =
  /** Entries that touch nothing outside; they join the next commit. */
  | { readonly kind: 'record'; readonly entries: readonly [Entry, ...Entry[]] }
  | { readonly kind: 'route'; readonly request: RouteRequest }
  /** Commit the intent, then place the order (or send the same order again). */
  | {
      readonly kind: Placing;
      readonly intent: Entry;
      readonly attemptNo: number;
      readonly order: Order;
    }
  /** Commit the intent, then ask the channel to close the order for ever. */
  | {
      readonly kind: 'close';
      readonly intent: Entry;
      readonly attemptNo: number;
      readonly order: Order;
    }
  | { readonly kind: 'query'; readonly attemptNo: number; readonly order: Order }
  | { readonly kind: 'wait'; readonly untilMs: number }
  /** Nothing more to do: the task has ended, or a person must decide (`review`). */
  | { readonly kind: 'stop'; readonly reason: 'ended' | 'review' };

export type Evidence =
  /** A genuine callback. It is read against our order, so that a difference becomes a mismatch. */
  | {
      readonly kind: 'callback';
      readonly orderNo: OrderNo;
      readonly read: (order: Order) => QueryAnswer;
    }
  /**
   * What a channel's statement says of an order; `source` names the statement. `captures`: how often it
   * lists the order as captured, where that is more than once.
   */
  | {
      readonly kind: 'statement';
      readonly orderNo: OrderNo;
      readonly read: (order: Order) => QueryAnswer;
      readonly source: string;
      readonly captures?: number;
    }
  /** What two people decided about a case. Nothing comes of it where it does not fit. */
  | {
      readonly kind: 'decision';
      readonly caseNo: number;
      readonly decision: Decision | { readonly action: 'ask_again' };
      readonly by: string;
      readonly approvedBy: string;
    }
  /** A person wants the channel asked again; `once`: a sweep does, which will come again. */
  | { readonly kind: 'ask'; readonly by: string; readonly once?: true };

export function fold<S extends TaskState>(flow: Flow<S>, entries: readonly Entry[]): S | null {
  let state: S | null = null;
  for (const entry of entries) state = flow.evolve(state, entry);
  return state;
}
