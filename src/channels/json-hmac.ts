import { createHmac, timingSafeEqual, type KeyObject } from 'node:crypto';
import type { Clock } from '../clock.js';
import type { Order } from '../engine/order.js';
import { formatDecimalAmount, parseDecimalAmount } from '../money.js';
import {
  compactTime,
  headerOf,
  refundedOrder,
  type Dialect,
  type Reading,
  type ReplyFields,
  type WireHeaders,
  type WireRequest,
} from './dialect.js';
import { jsonLayoutSchema, type ChannelProfile, type JsonLayout } from './profile.js';

/**
 * JSON bodies signed with HMAC-SHA256, in both directions. The timestamp of a charge is the order's
 * own, so that sending the order again sends the same bytes; that of a question is now.
 */
export function jsonHmacDialect(profile: ChannelProfile, key: KeyObject, clock: Clock): Dialect {
  const layout = profile.layout ?? jsonLayoutSchema.parse({});
  const request = (path: string, atMs: number, pairs: readonly Pair[]): WireRequest => {
    const body = Buffer.from(JSON.stringify(nested(pairs)));
    const { signature } = layout;
    const timestamp = String(signature.timestamp_unit === 'ms' ? atMs : Math.floor(atMs / 1000));
    return {
      path,
      headers: {
        'content-type': 'application/json; charset=utf-8',
        'x-merchant-id': profile.merchant_id,
        [signature.timestamp_header]: timestamp,
        [signature.header]: sign(layout, key, timestamp, body).toString(signature.encoding),
      },
      body,
    };
  };
  const { paths } = layout;
  const question = (path: string, order: Order): WireRequest =>
    request(path, clock.nowMs(), [
      [layout.fields.merchant, profile.merchant_id],
      [layout.fields.order_no, order.orderNo],
    ]);
  return {
    charge: (order) => {
      const pairs = chargePairs(layout, profile.merchant_id, order);
      return request(paths.charge, order.createdAtMs, pairs);
    },
    refund: (order) => {
      const pairs = refundPairs(layout, profile.merchant_id, order);
      return request(paths.refund, order.createdAtMs, pairs);
    },
    query: (order) =>
      question(order.operation === 'refund' ? paths.refund_query : paths.query, order),
    close: (order) => question(paths.close, order),
    read: (headers, body) => read(layout, key, headers, body),
    acknowledgement: { contentType: 'application/json', body: '{"code":"OK"}' },
  };
}

type Pair = readonly [field: string, value: string | number];

function chargePairs({ fields, ...layout }: JsonLayout, merchant: string, order: Order): Pair[] {
  return [
    [fields.merchant, merchant],
    [fields.order_no, order.orderNo],
    [fields.amount, wireAmount(layout.amount, order.amountMinor)],
    [fields.currency, order.currency],
    [fields.account_token, order.account.token],
    [fields.account_bank, order.account.bankCode],
    [fields.account_last4, order.account.last4],
    [fields.created_at, wireTime(layout.time, order.createdAtMs)],
    [fields.expires_at, wireTime(layout.time, order.expiresAtMs)],
  ];
}

/** No account: the money goes back to where it was taken from. */
function refundPairs({ fields, ...layout }: JsonLayout, merchant: string, order: Order): Pair[] {
  const original = refundedOrder(order);
  return [
    [fields.merchant, merchant],
    [fields.order_no, order.orderNo],
    [fields.original_order_no, original.orderNo],
    [fields.original_channel_ref, original.channelRef],
    [fields.amount, wireAmount(layout.amount, order.amountMinor)],
    [fields.currency, order.currency],
    [fields.created_at, wireTime(layout.time, order.createdAtMs)],
    [fields.expires_at, wireTime(layout.time, order.expiresAtMs)],
  ];
}

const wireTime = (form: JsonLayout['time'], ms: number): string =>
  form === 'iso' ? new Date(ms).toISOString() : compactTime(ms);

function wireAmount(form: JsonLayout['amount'], minor: bigint): string | number {
  if (form === 'decimal_text') return formatDecimalAmount(minor);
  if (minor > BigInt(Number.MAX_SAFE_INTEGER)) throw new RangeError('the amount is too large');
  return Number(minor);
}

function nested(pairs: readonly Pair[]): Record<string, unknown> {
  const root: Record<string, unknown> = {};
  for (const [field, value] of pairs) {
    const [outer = '', inner] = field.split('.');
    if (inner === undefined) root[outer] = value;
    else root[outer] = { ...(root[outer] as object | undefined), [inner]: value };
  }
  return root;
}

function sign(layout: JsonLayout, key: KeyObject, timestamp: string, body: Buffer): Buffer {
  const hmac = createHmac('sha256', key);
  return layout.signature.covers === 'timestamp_dot_body'
    ? hmac.update(`${timestamp}.`).update(body).digest()
    : hmac.update(body).update(`|${timestamp}`).digest();
}

function read(layout: JsonLayout, key: KeyObject, headers: WireHeaders, body: Buffer): Reading {
  const { signature } = layout;
  const timestamp = headerOf(headers, signature.timestamp_header);
  const given = headerOf(headers, signature.header);
  if (timestamp === null || given === null) {
    return { kind: 'forged', detail: 'it bears no signature' };
  }
  const expected = sign(layout, key, timestamp, body);
  const theirs = Buffer.from(given, signature.encoding);
  if (theirs.length !== expected.length || !timingSafeEqual(theirs, expected)) {
    return { kind: 'forged', detail: 'the signature is not right' };
  }
  const json = parsed(body);
  if (json === null) return { kind: 'malformed', detail: 'the body is not a JSON object' };
  const fields = replyFields(layout, json);
  return fields === null
    ? { kind: 'malformed', detail: `there is no field ${layout.fields.code}` }
    : { kind: 'genuine', fields };
}

function replyFields({ fields, amount }: JsonLayout, json: object): ReplyFields | null {
  const code = textAt(json, fields.code);
  if (code === null) return null;
  const amountText = textAt(json, fields.amount);
  return {
    code,
    message: textAt(json, fields.message) ?? '',
    orderNo: textAt(json, fields.order_no),
    merchant: textAt(json, fields.merchant),
    amountText,
    amountMinor: amountText === null ? null : minorOf(amount, amountText),
    currency: textAt(json, fields.currency),
    channelRef: textAt(json, fields.channel_ref),
  };
}

function minorOf(form: JsonLayout['amount'], text: string): bigint | null {
  if (form === 'decimal_text') return parseDecimalAmount(text);
  return /^\d{1,15}$/.test(text) ? BigInt(text) : null;
}

/** Text or a number, as text; own properties alone, whatever the other side calls its fields. */
function textAt(json: object, field: string): string | null {
  let value: unknown = json;
  for (const name of field.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return null;
    value = (value as Record<string, unknown>)[name];
  }
  if (typeof value === 'number') return String(value);
  return typeof value === 'string' && value !== '' ? value : null;
}

function parsed(body: Buffer): object | null {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}
