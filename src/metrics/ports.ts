/** A count of what is alike, and since when the oldest of it waits. */
export interface Group {
  /** Values of the labels, in the order of the metric's definition. */
  readonly labels: readonly string[];
  readonly count: number;
  readonly oldestAtMs: number | null;
}

/** What the tables say of all processes' work. Counts stop at a bound. */
export interface BookReading {
  readonly tasks: readonly Group[];
  readonly wakeUps: readonly Group[];
  readonly attempts: readonly Group[];
  readonly cases: readonly Group[];
  readonly outbox: readonly Group[];
  readonly notices: readonly Group[];
  readonly batches: readonly Group[];
  readonly batchRows: readonly Group[];
}

/** `store/` provides it. */
export interface Book {
  /** Short, and on a connection of its own. Rejects rather than to take long. */
  read(nowMs: number): Promise<BookReading>;
}

export interface QueueReading {
  readonly kind: string;
  readonly due: number;
  readonly later: number;
}

/** What this process knows of its channels. */
export interface ChannelStanding {
  readonly channelId: string;
  readonly paused: boolean;
  /** Operations that this process keeps from the channel now. */
  readonly broken: Readonly<Record<string, boolean>>;
}
