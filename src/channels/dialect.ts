import type { Order } from '../engine/order.js';

/** How a family of channels writes orders down, signs them and reads answers. Pure: no wire here. */
export interface Dialect {
  /** @throws Error for an operation that the family has no words for: then it is not sent. */
  readonly place: (order: Order) => WireRequest;
  /** About whichever operation the order is. */
  readonly query: (order: Order) => WireRequest;
  readonly close: (order: Order) => WireRequest;
  /** Absent where the family has no such call. */
  readonly queryMany?: (orders: readonly Order[]) => WireRequest;
  /**
   * In this order: the key by its pinned serial, the time, the signature over the raw bytes, then the
   * content. Never throws.
   */
  readonly read: (headers: WireHeaders, body: Buffer) => Reading;
  /** The same of a callback, with its nonce, and opened where the channel seals callbacks. */
  readonly readCallback: (headers: WireHeaders, body: Buffer) => CallbackMessage;
  readonly readMany?: (headers: WireHeaders, body: Buffer) => ReadingMany;
  /** What a channel wants to read in answer to a callback. */
  readonly acknowledgement: { readonly contentType: string; readonly body: string };
}

export interface WireRequest {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

export type WireHeaders = Readonly<Record<string, string | string[] | undefined>>;

/**
 * Why a message says nothing. `stale`: its time lies outside the window; whether its signature is
 * right was not even asked. `malformed`: it is signed, and cannot be read.
 */
export interface Unread {
  readonly kind: 'forged' | 'stale' | 'malformed';
  /** Ours, never the message's own words. */
  readonly detail: string;
}

export type Reading = Unread | { readonly kind: 'genuine'; readonly fields: ReplyFields };
export type ReadingMany =
  Unread | { readonly kind: 'genuine'; readonly many: readonly ReplyFields[] };

export type CallbackMessage =
  | Unread
  | {
      readonly kind: 'genuine';
      readonly fields: ReplyFields;
      /** SHA-256, hex, of what is signed: equal for copies of one message and for nothing else. */
      readonly digest: string;
      readonly nonce: string | null;
    };

/** What a signed answer says. Null: it does not say. */
export interface ReplyFields {
  readonly code: string;
  readonly message: string;
  readonly orderNo: string | null;
  readonly merchant: string | null;
  /** As it stands in the answer. */
  readonly amountText: string | null;
  /** Null also where the text is not an amount. */
  readonly amountMinor: bigint | null;
  readonly currency: string | null;
  readonly channelRef: string | null;
  /** When the channel says that it wrote this; absent where it signs no time. */
  readonly saidAtMs?: number;
  /** Of a pre-recharge or a credit: what the card gets, as it stands in the answer. */
  readonly creditText?: string | null;
  readonly creditMinor?: bigint | null;
}

/** What a refund pays back. @throws Error when the order is no refund: then it is not sent. */
export function refundedOrder(order: Order): NonNullable<Order['refundOf']> {
  if (order.operation !== 'refund' || order.refundOf === undefined) {
    throw new Error(`${order.orderNo} is no refund`);
  }
  return order.refundOf;
}

/** What a credit, a void or a restore is about. @throws Error when it does not say. */
export function regardedOrder(order: Order): NonNullable<Order['regarding']> {
  if (order.regarding === undefined) throw new Error(`${order.orderNo} says not what it is about`);
  return order.regarding;
}

/** The one value of a header; null where it is missing or repeated. */
export function headerOf(headers: WireHeaders, name: string): string | null {
  const value = Object.hasOwn(headers, name) ? headers[name] : undefined;
  return typeof value === 'string' ? value : null;
}

const shanghaiOffsetMs = 8 * 3_600_000;

/** "20250131235959" at UTC+8. Cuts the milliseconds off: an order then expires early, never late. */
export function compactTime(ms: number): string {
  return new Date(ms + shanghaiOffsetMs).toISOString().replace(/[-:T]|\..*/g, '');
}
