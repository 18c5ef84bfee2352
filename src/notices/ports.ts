/** What the sending of notices needs. `store/` provides it. */

/** One notice for one destination, to be sent now. */
export interface ClaimedDelivery {
  readonly deliveryId: string;
  /** The event's: the same on every try, to every destination. */
  readonly messageId: string;
  readonly body: string;
  /** Tries in vain since the schedule began. */
  readonly tries: number;
  /** When the schedule began; null before the first try. */
  readonly firstTryAt: Date | null;
}

/** One request that was made, for the delivery log. */
export interface Try {
  readonly atMs: number;
  readonly durationMs: number;
  readonly status: number | null;
  readonly error: string | null;
}

export type Verdict =
  | { readonly kind: 'delivered' }
  | { readonly kind: 'again'; readonly atMs: number }
  /** A day of tries in vain: a person must look. */
  | { readonly kind: 'exhausted' }
  /** 410: the destination is paused, and a person must look. The notice waits. */
  | { readonly kind: 'gone' };

export interface DeliveryLog {
  /**
   * Makes deliveries of notices that were written since: one for each destination that wants it.
   * Returns how many notices it took; fewer than `limit` means that none is left.
   */
  fanOut(limit: number, nowMs: number): Promise<number>;
  /**
   * Takes deliveries to a destination that are due, longest overdue first, and makes each due again
   * at `againAtMs`: what is not recorded by then is sent again. Relays share the work.
   */
  claim(claim: {
    readonly destinationId: string;
    readonly nowMs: number;
    readonly againAtMs: number;
    readonly limit: number;
  }): Promise<readonly ClaimedDelivery[]>;
  /** Writes down a try and what follows from it, in one transaction. */
  record(
    delivery: Pick<ClaimedDelivery, 'deliveryId' | 'messageId' | 'tries'> & {
      readonly destinationId: string;
    },
    one: Try,
    verdict: Verdict,
  ): Promise<void>;
  /** Deletes notices written before then that wait for nobody; returns how many. */
  purge(writtenBeforeMs: number, limit: number): Promise<number>;
}

export interface NoticeRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export type NoticeAnswer =
  | {
      readonly kind: 'answered';
      readonly status: number;
      /** The beginning of what was said, for people; empty when it was a success. */
      readonly excerpt: string;
      readonly retryAfterMs: number | null;
    }
  /** Received or not: not known. */
  | { readonly kind: 'unanswered'; readonly why: string };

/** Sends a notice, once. Never rejects; ends within its time-out. */
export interface Poster {
  post(request: NoticeRequest): Promise<NoticeAnswer>;
  close(): Promise<void>;
}
