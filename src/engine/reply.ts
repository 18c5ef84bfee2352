/**
 * What a channel said about an order. There is no `failed`: an outcome that is not known is
 * `unknown`, and a decline is not an error.
 */
export type Reply =
  | { readonly kind: 'succeeded'; readonly channelRef: string }
  | {
      readonly kind: 'declined';
      /** Our code, from the profile's error map: `insufficient_funds`, `limit_exceeded`, … */
      readonly code: string;
      /** The channel's own code and words, for people. */
      readonly channelCode: string;
      readonly message: string;
      /** `other_channel`: another channel may succeed. `final`: no channel will. */
      readonly scope: 'final' | 'other_channel';
    }
  | {
      readonly kind: 'not_executed';
      readonly proof: NotExecutedProof;
      /** Not sent, and not for want of a connection: we kept it back. That says nothing of the channel. */
      readonly withheld?: true;
    }
  | { readonly kind: 'pending'; readonly channelRef: string | null }
  | { readonly kind: 'unknown'; readonly why: UnknownWhy; readonly detail: string };

/** The only things that prove that an order did not and never will execute (rule 2). */
export type NotExecutedProof =
  /** Not a byte of the request left this machine: the connection was never made. */
  | 'not_sent'
  /** A close that a `refuses_unseen` channel confirmed. */
  | 'closed'
  /** Not found, asked after expiry + visibility window of a channel that honours expiry. */
  | 'expired_unseen'
  /** Two people decided so, on proof from outside. */
  | 'decided';

export type UnknownWhy =
  | 'timeout'
  | 'connection_lost'
  | 'bad_response'
  | 'bad_signature'
  | 'server_error'
  | 'throttled'
  | 'unlisted_code'
  /** The channel is not configured, or has no such call. */
  | 'not_offered';

/** A query may also say that the channel does not know the order. That alone proves nothing. */
export type QueryAnswer = Reply | NotFound | Mismatch;

export interface NotFound {
  readonly kind: 'not_found';
  /** When the channel says that it said so, by its own clock, signed; absent where it signs no time. */
  readonly saidAtMs?: number;
}

/** `closed` is what the channel confirmed; whether it proves anything is up to its nature. */
export type CloseAnswer =
  | { readonly kind: 'closed' }
  | NotFound
  /** The order can no longer be closed: it is executing or executed. Ask. */
  | { readonly kind: 'refused'; readonly detail: string }
  | { readonly kind: 'unknown'; readonly why: UnknownWhy; readonly detail: string };

/** A well-signed answer about our order whose order number, amount, currency or merchant differ. */
export interface Mismatch {
  readonly kind: 'mismatch';
  readonly field: 'order_no' | 'amount' | 'currency' | 'merchant';
  readonly ours: string;
  readonly theirs: string;
}

export type ChargeAnswer = Reply | Mismatch;
export type Answer = QueryAnswer | CloseAnswer;
