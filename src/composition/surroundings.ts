/** What a process is opened with. */
import type { Clock } from '../clock.js';
import type { Config } from '../config.js';
import type { Journal } from '../engine/journal.js';
import type { Channels } from '../engine/ports.js';
import type { Task } from '../engine/tasks.js';
import type { Log } from '../log.js';
import type { LedgerWrappers } from './ledger.js';
import type { NoticeWrappers } from './notices.js';

/** For tests and chaos: puts something around a part, such as a kill before a commit. */
export interface Wrappers {
  readonly journal?: (inner: Journal<Task>) => Journal<Task>;
  readonly channels?: (inner: Channels) => Channels;
  readonly clock?: Clock;
  readonly ledger?: LedgerWrappers;
  readonly notices?: NoticeWrappers;
}

export interface Surroundings {
  readonly config: Config;
  /** Holds what the channels' profiles name: addresses and secrets. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log: Log;
  /**
   * Names this process in the log, before a random part: the name of a writer must never come back,
   * since it tells our own commit from another's.
   */
  readonly name?: string;
  readonly wrappers?: Wrappers;
}

/** What every part of a process is opened with. */
export interface Basics extends Pick<Surroundings, 'config' | 'env' | 'log'> {
  readonly clock: Clock;
  /** Tells this process from every other, and from itself before a restart. */
  readonly instanceId: string;
  readonly wrappers: Wrappers;
}

/** Lease left beyond a call's time-out: a stalled event loop and the clock's grain. */
export const leaseMarginMs = 2_000;
