import type { Operation, Order } from '../engine/order.js';
import type { Answer } from '../engine/reply.js';
import type { ChannelId } from '../ids.js';
import type { ReplyFields } from './dialect.js';
import type { Exchange } from './exchange.js';
import { amountWords, words } from '../personal.js';
import { operationOf } from './operations.js';
import type { ChannelProfile } from './profile.js';

/**
 * The call journal: one exchange with a channel, in either direction. What it shows is built from a
 * list of fields, each in the form it must have; whatever else a message held is known by its length
 * alone. So no account, name, id or telephone number can get in, whoever puts it where.
 */
export interface CallRecord {
  readonly startedAtMs: number;
  readonly channelId: ChannelId;
  /** Empty where the message names no order of ours. */
  readonly orderNo: string;
  readonly operation: CallOperation;
  readonly durationMs: number;
  readonly httpStatus: number | null;
  /** What came of it: the answer's kind, or a callback's verdict. */
  readonly verdict: string;
  readonly detail: string;
  /** Made when it is written, not while the borrower waits. */
  readonly sent: () => Shown | null;
  readonly received: () => Shown | null;
}

export type CallOperation = Operation | Asking | 'query_many' | 'close' | 'callback';
/** A question about a charge is a `query`; about another operation it says which. */
export type Asking = 'query' | `query_${Exclude<Operation, 'charge'>}`;

export const asking = ({ operation }: Order): Asking =>
  operation === undefined ? 'query' : `query_${operation}`;

export type Shown = Readonly<Record<string, string | number>>;
/** Never throws, never waits. */
export type CallRecorder = (call: CallRecord) => void;

export interface Exchanged {
  readonly order: Order;
  readonly operation: CallOperation;
  readonly startedAtMs: number;
  readonly durationMs: number;
  readonly sentBytes: number;
  readonly exchange: Exchange;
  /** What the answer said of this order; null where it said nothing that is believed. */
  readonly fields: ReplyFields | null;
  readonly answer: Answer;
}

export function callRecord(profile: ChannelProfile, call: Exchanged): CallRecord {
  const { order, operation, startedAtMs, durationMs, sentBytes, exchange, fields, answer } = call;
  const received = exchange.kind === 'answered' ? exchange.body.length : null;
  return {
    startedAtMs,
    channelId: profile.id,
    orderNo: order.orderNo,
    operation,
    durationMs: Math.round(durationMs),
    httpStatus: exchange.kind === 'answered' ? exchange.status : null,
    verdict: answer.kind,
    detail: detailOf(answer, exchange),
    sent: () => ({ ...shownOrder(profile, order, operation), bytes: sentBytes }),
    received: () =>
      received === null ? null : { ...shownFields(profile, order, fields), bytes: received },
  };
}

function detailOf(answer: Answer, exchange: Exchange): string {
  if (answer.kind === 'declined') return answer.code;
  if (answer.kind === 'mismatch') return answer.field;
  if (answer.kind === 'not_executed') return answer.proof;
  if (answer.kind !== 'unknown') return '';
  const why = exchange.kind === 'answered' ? '' : `: ${exchange.detail}`;
  return words(`${answer.why}${why}`, 300);
}

function shownOrder(profile: ChannelProfile, order: Order, operation: CallOperation): Shown {
  const named = { merchant: profile.merchant_id, order_no: order.orderNo };
  if (operation !== operationOf(order)) return named;
  const original = order.refundOf ?? order.regarding;
  return {
    ...named,
    amount_minor: String(order.amountMinor),
    currency: order.currency,
    ...(operation !== 'refund' && { bank: order.account.bankCode, account: '[masked]' }),
    ...(original && { original_order_no: original.orderNo }),
    ...(order.topUp && { credit_minor: String(order.topUp.creditMinor), rule: order.topUp.rule }),
    created_at: new Date(order.createdAtMs).toISOString(),
    expires_at: new Date(order.expiresAtMs).toISOString(),
  };
}

/** A field that is not in the form it must have is said to be there, and not shown. */
export function shownFields(
  profile: ChannelProfile,
  order: Order | null,
  fields: ReplyFields | null,
): Shown {
  if (fields === null) return {};
  const { code, message, orderNo, merchant, amountText, amountMinor, currency, channelRef } =
    fields;
  const amount = amountMinor === null ? amountText : String(amountMinor);
  const shown: Record<string, string | null> = {
    code: words(code, 64),
    message: message === '' ? null : '[masked]',
    order_no: orderNo === null || orderNo === order?.orderNo ? orderNo : '[another]',
    merchant: merchant === null || merchant === profile.merchant_id ? merchant : '[another]',
    amount_minor: amount === null ? null : amountWords(amount),
    currency: currency === null || /^[A-Z]{3}$/.test(currency) ? currency : '[another]',
    // It stands with the attempt; here it is enough that there was one.
    channel_ref: channelRef === null ? null : '[given]',
  };
  const given = Object.entries(shown).filter(
    (entry): entry is [string, string] => entry[1] !== null,
  );
  return Object.fromEntries(given);
}
