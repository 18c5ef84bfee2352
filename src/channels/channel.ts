import type { Order } from '../engine/order.js';
import type { Places } from '../engine/ports.js';
import type { ChargeAnswer, CloseAnswer, QueryAnswer } from '../engine/reply.js';
import type { OrderNo } from '../ids.js';
import type { Shown } from './call-record.js';
import type { Unread } from './dialect.js';
import type { ChannelProfile } from './profile.js';

/**
 * The one port to a payment channel. No method throws or rejects: whatever happens on the wire is an
 * answer, and what cannot be told is `unknown`. Every call ends within its profile's time-out.
 */
export interface Channel extends Places {
  readonly profile: ChannelProfile;
  /** The longest each call may take, waiting for a connection included. */
  readonly timeoutsMs: { readonly charge: number; readonly query: number; readonly close: number };
  /**
   * Places the order. Only ever called after the intent is committed (rule 1), like every operation.
   * What the profile does not offer is absent; a party that charges nobody sends nothing.
   */
  readonly charge: (order: Order) => Promise<ChargeAnswer>;
  /** Asks about whichever operation the order is. */
  readonly query: (order: Order) => Promise<QueryAnswer>;
  /** Absent where the channel can close no order. Of a credit: voids what it is about. */
  readonly close?: (order: Order) => Promise<CloseAnswer>;
  /** Absent where the channel answers one order at a time. Answers every order asked about. */
  readonly queryMany?: (orders: readonly Order[]) => Promise<ReadonlyMap<OrderNo, QueryAnswer>>;
  /** Verifies the signature over the raw bytes, then reads. Never trusts, never throws. */
  readonly parseCallback: (raw: RawCallback) => CallbackReading;
}

export interface RawCallback {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

export type CallbackReading =
  | {
      readonly kind: 'genuine';
      readonly orderNo: OrderNo;
      /** SHA-256, hex, of what is signed: copies of one message have the same. */
      readonly digest: string;
      readonly nonce: string | null;
      /** What the call journal may show of it. */
      readonly shown: (order: Order | null) => Shown;
      /** Reads the callback against the order it names; a difference is a `mismatch`. */
      readonly against: (order: Order) => QueryAnswer;
      /** What the channel wants to read to stop repeating. */
      readonly acknowledgement: { readonly contentType: string; readonly body: string };
    }
  | Unread;
