import type { ChannelId, TaskId } from '../ids.js';
import type { TaskKind } from './entries.js';
import type { Operation, Order } from './order.js';
import type { ChargeAnswer, CloseAnswer, QueryAnswer } from './reply.js';
import type { Route, RouteRequest } from './route.js';

/** Places an order; absent where the channel cannot do that. May take as long as a charge. */
export type Places = { readonly [O in Operation]?: (order: Order) => Promise<ChargeAnswer> };

/** What the executor needs of a channel. No call rejects; each ends within its time-out. */
export interface ChannelCalls extends Places {
  readonly timeoutsMs: { readonly charge: number; readonly query: number; readonly close: number };
  readonly charge: (order: Order) => Promise<ChargeAnswer>;
  /** Asks about whichever operation the order is. */
  readonly query: (order: Order) => Promise<QueryAnswer>;
  readonly close?: (order: Order) => Promise<CloseAnswer>;
}

export interface Channels {
  /** Undefined when no such channel is configured (any more). */
  get(id: ChannelId): ChannelCalls | undefined;
}

export interface Router {
  plan(request: RouteRequest): Promise<Route>;
}

/** Manners, not safety (rule 7): keeps executors from wasting calls on each other. */
export interface Locks {
  /** Null when somebody else holds it. Never rejects: without its store it grants on its own. */
  acquire(key: string, waitMs: number): Promise<Lease | null>;
}

export interface Lease {
  /** On the monotonic clock. Zero or less when the lease has run out or was lost. */
  remainingMs(): number;
  /** Tries to renew; afterwards `remainingMs` tells. Never rejects. */
  extend(): Promise<void>;
  /** Never rejects. A run does not wait for it: what it has done is done. */
  release(): Promise<void>;
}

/** Losing or doubling a wake-up costs time, never money. */
export interface WakeUps {
  schedule(taskId: TaskId, atMs: number, kind: TaskKind): Promise<void>;
}

export type { Log } from '../log.js';
