import type { Order } from '../engine/order.js';

/** How a family of channels writes orders down, signs them and reads answers. Pure: no wire here. */
export interface Dialect {
  readonly charge: (order: Order) => WireRequest;
  readonly refund: (order: Order) => WireRequest;
  /** About whichever operation the order is. */
  readonly query: (order: Order) => WireRequest;
  readonly close: (order: Order) => WireRequest;
  /** Absent where the family has no such call. */
  readonly queryMany?: (orders: readonly Order[]) => WireRequest;
  /** Verifies the signature over the raw bytes, then reads. Never throws. */
  readonly read: (headers: WireHeaders, body: Buffer) => Reading;
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

export type Unread =
  | { readonly kind: 'forged'; readonly detail: string }
  | { readonly kind: 'malformed'; readonly detail: string };

export type Reading = Unread | { readonly kind: 'genuine'; readonly fields: ReplyFields };
export type ReadingMany =
  Unread | { readonly kind: 'genuine'; readonly many: readonly ReplyFields[] };

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
}

/** What a refund pays back. @throws Error when the order is no refund: then it is not sent. */
export function refundedOrder(order: Order): NonNullable<Order['refundOf']> {
  if (order.operation !== 'refund' || order.refundOf === undefined) {
    throw new Error(`${order.orderNo} is no refund`);
  }
  return order.refundOf;
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
