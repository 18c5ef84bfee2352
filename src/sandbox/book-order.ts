import type { Placement, SandboxChannelId } from './channel-spec.js';

/** What the book says of an order: the fold of its entries. */

interface EntryBase {
  readonly seq: number;
  readonly at: number;
  readonly channel: SandboxChannelId;
  readonly orderNo: string;
}

export interface OrderFields {
  readonly merchant: string;
  readonly amountMinor: number;
  readonly currency: string;
  readonly accountToken: string;
  readonly bank: string;
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
  /** Of the request's bytes: the same number with other bytes is another order. */
  readonly digest: string;
  /** A refund: which order's money it pays back. */
  readonly refundOf?: RefundOf;
  /** Absent: a charge, or a refund where it says of what. */
  readonly operation?: Exclude<Placement, 'charge' | 'refund'>;
  /** What a credit, a void or a restore is about. */
  readonly regarding?: RefundOf;
  /** What a card gets for what was paid, and by which rule. */
  readonly creditMinor?: number;
  readonly rule?: string;
}

export const placementOf = ({ operation, refundOf }: OrderFields): Placement =>
  operation ?? (refundOf === undefined ? 'charge' : 'refund');

export interface RefundOf {
  readonly orderNo: string;
  readonly channelRef: string;
}

export type Happening =
  | ({ readonly what: 'order'; readonly visibleAtMs: number } & OrderFields)
  | {
      readonly what: 'captured';
      readonly captureId: string;
      readonly amountMinor: number;
      readonly feeMinor: number;
      /** Set where the channel broke its own promises, on request. */
      readonly violation?: boolean;
    }
  /** The entry of a refund's own order; the order it pays back knows of it too. */
  | { readonly what: 'refunded'; readonly refundId: string; readonly amountMinor: number }
  /** What was asked was done: paid out, debited, credited, … Money moved once for each of these. */
  | {
      readonly what: 'done';
      readonly executionId: string;
      readonly amountMinor: number;
      readonly feeMinor: number;
      readonly violation?: boolean;
    }
  | { readonly what: 'declined'; readonly code: string }
  | { readonly what: 'closed'; readonly merchant: string; readonly regarding?: RefundOf }
  /** Of an account and not of an order. */
  | { readonly what: 'deposited'; readonly accountToken: string; readonly amountMinor: number }
  | ({ readonly what: 'expired' } & OrderFields)
  | { readonly what: 'refused'; readonly why: 'duplicate' | 'conflict' | 'closed' | 'close' }
  | { readonly what: 'callback_acknowledged' };

export type BookEntry = EntryBase & Happening;

export interface Capture {
  readonly captureId: string;
  readonly amountMinor: number;
  readonly feeMinor: number;
  readonly at: number;
  readonly violation?: boolean;
}

export interface Refund {
  readonly refundId: string;
  /** The refund's own order number. */
  readonly orderNo: string;
  readonly amountMinor: number;
  readonly at: number;
}

export interface Execution {
  readonly executionId: string;
  readonly amountMinor: number;
  readonly feeMinor: number;
  readonly at: number;
  readonly violation?: boolean;
}

export type OrderState =
  'executing' | 'captured' | 'refunded' | 'done' | 'declined' | 'closed' | 'expired';

/** The fold of an order's entries. */
export interface BookOrder {
  readonly channel: SandboxChannelId;
  readonly orderNo: string;
  state: OrderState;
  /** Null for a number that was closed before any order came under it. */
  fields: OrderFields | null;
  declineCode: string | null;
  readonly captures: Capture[];
  /** What was paid back of this order's captures. */
  readonly refunds: Refund[];
  /** Of an operation that is neither charge nor refund. */
  readonly executions: Execution[];
  /** Of a pre-recharge: the credits that were done of it; whether none ever will be. */
  readonly creditedBy: string[];
  voided: boolean;
  /** Of a debit: what was given back of it. */
  restoredMinor: number;
  refusals: number;
  callbackAcknowledged: boolean;
  visibleAtMs: number;
  firstAt: number;
  lastAt: number;
  lastSeq: number;
}

/** What may still be paid back of an order. */
export function refundable({ captures, refunds }: BookOrder): number {
  return sumOf(captures) - sumOf(refunds);
}

const sumOf = (parts: readonly { readonly amountMinor: number }[]): number =>
  parts.reduce((total, { amountMinor }) => total + amountMinor, 0);

export function newOrder(entry: BookEntry): BookOrder {
  return {
    channel: entry.channel,
    orderNo: entry.orderNo,
    state: 'executing',
    fields: null,
    declineCode: null,
    captures: [],
    refunds: [],
    executions: [],
    creditedBy: [],
    voided: false,
    restoredMinor: 0,
    refusals: 0,
    callbackAcknowledged: false,
    visibleAtMs: entry.at,
    firstAt: entry.at,
    lastAt: entry.at,
    lastSeq: entry.seq,
  };
}

export function evolve(order: BookOrder, entry: BookEntry): void {
  switch (entry.what) {
    case 'order':
      order.fields = fieldsOf(entry);
      order.visibleAtMs = entry.visibleAtMs;
      order.state = order.captures.length > 0 ? 'captured' : 'executing';
      return;
    case 'captured': {
      const { captureId, amountMinor, feeMinor, at } = entry;
      const violation = entry.violation === true ? { violation: true } : {};
      order.captures.push({ captureId, amountMinor, feeMinor, at, ...violation });
      order.state = 'captured';
      return;
    }
    case 'refunded':
      order.state = 'refunded';
      return;
    case 'done': {
      const { executionId, amountMinor, feeMinor, at } = entry;
      const violation = entry.violation === true ? { violation: true } : {};
      order.executions.push({ executionId, amountMinor, feeMinor, at, ...violation });
      order.state = 'done';
      return;
    }
    case 'deposited':
      return;
    case 'declined':
      order.declineCode = entry.code;
      if (!['captured', 'refunded', 'done'].includes(order.state)) order.state = 'declined';
      return;
    case 'closed':
      order.state = 'closed';
      return;
    case 'expired':
      order.fields = fieldsOf(entry);
      order.state = 'expired';
      return;
    case 'refused':
      order.refusals += 1;
      return;
    case 'callback_acknowledged':
      order.callbackAcknowledged = true;
      return;
  }
}

function fieldsOf(entry: OrderFields): OrderFields {
  const { merchant, amountMinor, currency, accountToken, bank } = entry;
  const { createdAtMs, expiresAtMs, digest, refundOf } = entry;
  const { operation, regarding, creditMinor, rule } = entry;
  return {
    merchant,
    amountMinor,
    currency,
    accountToken,
    bank,
    createdAtMs,
    expiresAtMs,
    digest,
    ...(refundOf && { refundOf }),
    ...(operation && { operation }),
    ...(regarding && { regarding }),
    ...(creditMinor !== undefined && { creditMinor }),
    ...(rule !== undefined && { rule }),
  };
}

/**
 * What follows from something done for the order that it is about, and by how much it moves the balance
 * of its own account.
 */
export function foldDone(
  { orderNo, fields }: BookOrder,
  regarded: BookOrder | undefined,
): { readonly moves: number } {
  if (fields === null) return { moves: 0 };
  const { amountMinor, creditMinor } = fields;
  switch (fields.operation) {
    case 'debit':
      return { moves: -amountMinor };
    case 'restore':
      if (regarded !== undefined) regarded.restoredMinor += amountMinor;
      return { moves: amountMinor };
    case 'credit':
      regarded?.creditedBy.push(orderNo);
      return { moves: creditMinor ?? amountMinor };
    case 'void':
      if (regarded !== undefined) regarded.voided = true;
      return { moves: 0 };
    default:
      return { moves: 0 };
  }
}
