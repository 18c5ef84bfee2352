/** What delivery to the ledger needs. `store/` and `queue/` provide it; a lender may bring a ledger. */
import type { LedgerEntry, Message } from './entry.js';

export type PostResult =
  /** It is in the books, durably: posted now, or found posted with the same content. */
  | { readonly kind: 'posted' }
  /** It will never be posted as it is: a person must look. */
  | {
      readonly kind: 'refused';
      /** `conflict`: the same source is in the books with other content. */
      readonly reason: 'refused' | 'conflict';
      readonly evidence: string;
    }
  /** Posted or not: not known. The same entry must be posted again. */
  | { readonly kind: 'unknown'; readonly why: string }
  /** Not even tried, because others of the same call found nobody there. */
  | { readonly kind: 'not_tried'; readonly why: string };

/**
 * The books. An entry's (topic, key) is its idempotency key: however often it is posted, by however
 * many at once, it is in the books once.
 */
export interface Ledger {
  /**
   * One result for each entry, in their order; the sources are distinct. One entry that is refused
   * never keeps the others out. A rejection means `unknown` for all.
   */
  post(entries: readonly LedgerEntry[]): Promise<readonly PostResult[]>;
}

export type DeadLetterKind = 'malformed' | 'refused' | 'conflict' | 'retries_exhausted';

/** What became of a message that was consumed. */
export type Verdict = { readonly id: string } & (
  | { readonly kind: 'delivered' }
  | {
      readonly kind: 'again';
      readonly atMs: number;
      readonly tries: number;
      readonly why: string;
    }
  | {
      readonly kind: 'dead';
      readonly reason: DeadLetterKind;
      readonly tries: number;
      readonly amountMinor: bigint;
      readonly evidence: string;
    }
);

export interface ClaimedMessage {
  readonly id: string;
  /** How often it was sent before and nobody confirmed. */
  readonly dispatches: number;
}

export interface Outbox {
  /**
   * Takes messages that are due, longest overdue first, and makes each due again at `againAtMs`:
   * whatever happens to one that was sent, it is sent again unless somebody confirms it before then.
   * Several relays share the outbox without meeting.
   */
  claimDue(claim: {
    readonly nowMs: number;
    readonly againAtMs: number;
    readonly limit: number;
  }): Promise<readonly ClaimedMessage[]>;
  /** Makes claimed messages due at once: they could not be sent. */
  release(ids: readonly string[], nowMs: number): Promise<void>;
  /** Those of these that are neither delivered nor dead letters. */
  unsettled(ids: readonly string[]): Promise<readonly Message[]>;
  /** Writes down what became of messages, all in one transaction. Harmless when it comes twice. */
  confirm(verdicts: readonly Verdict[], nowMs: number): Promise<void>;
  /** Deletes messages delivered before then; returns how many. */
  purgeDelivered(deliveredBeforeMs: number, limit: number): Promise<number>;
}

/** A queue that may lose anything at any moment. */
export interface MessageQueue {
  /** False when enough waits in it already, or nobody is there. */
  hasRoom(): Promise<boolean>;
  /** Each batch of ids is handled by one consumer. False when it is not known to have arrived. */
  add(batches: readonly (readonly string[])[]): Promise<boolean>;
}
