import { createHmac, hash, timingSafeEqual, type KeyObject } from 'node:crypto';
import type { Clock } from '../clock.js';
import type { Order } from '../engine/order.js';
import { formatDecimalAmount, parseDecimalAmount } from '../money.js';
import {
  compactTime,
  headerOf,
  refundedOrder,
  regardedOrder,
  type CallbackMessage,
  type Dialect,
  type Reading,
  type ReplyFields,
  type Unread,
  type WireHeaders,
  type WireRequest,
} from './dialect.js';
import { isNonce, staleness, windowMsDefault, wireTimestamp } from './freshness.js';
import type { ChannelKeys } from './keys.js';
import { operationOf } from './operations.js';
import { jsonLayoutSchema, type ChannelProfile, type JsonLayout } from './profile.js';
import { unseal } from './sealed.js';

/**
 * JSON bodies signed with HMAC-SHA256, in both directions. The timestamp of a charge is the order's
 * own, so that sending the order again sends the same bytes; that of a question is now.
 *
 * A sealed callback is `{ "resource": { nonce, associated_data, ciphertext } }`, AES-256-GCM; what is
 * in it is an answer like any other.
 */
export function jsonHmacDialect(
  profile: ChannelProfile,
  keys: ChannelKeys,
  clock: Clock,
  sealKey: KeyObject | null = null,
): Dialect {
  const layout = profile.layout ?? jsonLayoutSchema.parse({});
  const request = (path: string, atMs: number, pairs: readonly Pair[]): WireRequest => {
    const body = Buffer.from(JSON.stringify(nested(pairs)));
    const { signature } = layout;
    const { serial, key } = keys.first;
    const timestamp = String(signature.timestamp_unit === 'ms' ? atMs : Math.floor(atMs / 1000));
    return {
      path,
      headers: {
        'content-type': 'application/json; charset=utf-8',
        'x-merchant-id': profile.merchant_id,
        [signature.timestamp_header]: timestamp,
        ...(serial !== null && { [signature.serial_header]: serial }),
        [signature.header]: sign(layout, key, timestamp, body).toString(signature.encoding),
      },
      body,
    };
  };
  const { paths } = layout;
  const question = (path: string, order: Order, about: readonly Pair[] = []): WireRequest =>
    request(path, clock.nowMs(), [
      [layout.fields.merchant, profile.merchant_id],
      [layout.fields.order_no, order.orderNo],
      ...about,
    ]);
  const reader: Reader = {
    layout,
    keys,
    clock,
    windowMs: profile.freshness?.window_ms ?? windowMsDefault,
    sealKey,
  };
  const bearsNonce = profile.freshness?.nonce === true;
  return {
    place: (order) => {
      const path = paths[operationOf(order)];
      return request(path, order.createdAtMs, orderPairs(layout, profile.merchant_id, order));
    },
    query: (order) => question(queryPath(paths, order), order, namedIfParty(layout, order)),
    close: (order) => {
      const about = isParty(order) ? aboutPairs(layout, order) : [];
      return question(closePath(paths, order), order, about);
    },
    read: (headers, body) => read(reader, headers, body),
    readCallback: (headers, body) => readCallback(reader, bearsNonce, headers, body),
    acknowledgement: { contentType: 'application/json', body: '{"code":"OK"}' },
  };
}

/** At a card system or an account service, where several operations are asked about at one place. */
const isParty = ({ operation }: Order): boolean =>
  operation !== undefined && operation !== 'refund' && operation !== 'payout';

const namedIfParty = ({ fields }: JsonLayout, order: Order): readonly Pair[] =>
  isParty(order) ? [[fields.operation, operationOf(order)]] : [];

function queryPath(paths: JsonLayout['paths'], order: Order): string {
  if (isParty(order)) return paths.order_query;
  if (order.operation === 'refund') return paths.refund_query;
  return order.operation === 'payout' ? paths.payout_query : paths.query;
}

function closePath(paths: JsonLayout['paths'], order: Order): string {
  if (isParty(order)) return paths.order_close;
  return order.operation === 'payout' ? paths.payout_close : paths.close;
}

type Pair = readonly [field: string, value: string | number];

function orderPairs(layout: JsonLayout, merchant: string, order: Order): Pair[] {
  if (order.operation === 'refund') return refundPairs(layout, merchant, order);
  const pairs = chargePairs(layout, merchant, order);
  if (!isParty(order)) return pairs;
  return [...pairs, ...aboutPairs(layout, order), ...topUpPairs(layout, order)];
}

/** What an order at a card system or an account service is, and is about. */
function aboutPairs({ fields }: JsonLayout, order: Order): Pair[] {
  const operation = operationOf(order);
  const named: Pair[] = [[fields.operation, operation]];
  if (operation === 'debit' || operation === 'pre_recharge') return named;
  const original = regardedOrder(order);
  return [
    ...named,
    [fields.original_order_no, original.orderNo],
    [fields.original_channel_ref, original.channelRef],
  ];
}

function topUpPairs({ fields, amount }: JsonLayout, { topUp }: Order): Pair[] {
  if (topUp === undefined) return [];
  return [
    [fields.credit_amount, wireAmount(amount, topUp.creditMinor)],
    [fields.rule, topUp.rule],
  ];
}

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

/** What the signature covers, besides the key. A nonce joins the timestamp. */
function signedParts(layout: JsonLayout, stamp: string, body: Buffer): readonly Uint8Array[] {
  return layout.signature.covers === 'timestamp_dot_body'
    ? [Buffer.from(`${stamp}.`), body]
    : [body, Buffer.from(`|${stamp}`)];
}

function sign(layout: JsonLayout, key: KeyObject, stamp: string, body: Buffer): Buffer {
  const hmac = createHmac('sha256', key);
  for (const part of signedParts(layout, stamp, body)) hmac.update(part);
  return hmac.digest();
}

interface Reader {
  readonly layout: JsonLayout;
  readonly keys: ChannelKeys;
  readonly clock: Clock;
  readonly windowMs: number;
  readonly sealKey: KeyObject | null;
}

const forged = (detail: string): Unread => ({ kind: 'forged', detail });
const malformed = (detail: string): Unread => ({ kind: 'malformed', detail });

/** Null: the channel signed this, lately. */
function distrust(
  { layout, keys, clock, windowMs }: Reader,
  headers: WireHeaders,
  body: Buffer,
  nonce: string | null,
): Unread | null {
  const { signature } = layout;
  const key = keys.find(headerOf(headers, signature.serial_header));
  if (key === null) return forged('no key is pinned under its serial');
  const timestamp = headerOf(headers, signature.timestamp_header);
  const given = headerOf(headers, signature.header);
  if (timestamp === null || given === null) return forged('it bears no signature');
  const atMs = wireTimestamp(timestamp, signature.timestamp_unit);
  if (atMs === null) return forged('its timestamp is not a number');
  const stale = staleness(atMs, clock.nowMs(), windowMs);
  if (stale !== null) return { kind: 'stale', detail: stale };
  const expected = sign(layout, key, stampOf(timestamp, nonce), body);
  const theirs = Buffer.from(given, signature.encoding);
  const right = theirs.length === expected.length && timingSafeEqual(theirs, expected);
  return right ? null : forged('the signature is not right');
}

const stampOf = (timestamp: string, nonce: string | null): string =>
  nonce === null ? timestamp : `${timestamp}.${nonce}`;

function read(reader: Reader, headers: WireHeaders, body: Buffer): Reading {
  const unread = distrust(reader, headers, body, null);
  if (unread !== null) return unread;
  const reading = contentOf(reader.layout, body);
  if (reading.kind !== 'genuine') return reading;
  const { timestamp_header, timestamp_unit } = reader.layout.signature;
  const saidAtMs = wireTimestamp(headerOf(headers, timestamp_header) ?? '', timestamp_unit);
  return saidAtMs === null ? reading : { kind: 'genuine', fields: { ...reading.fields, saidAtMs } };
}

function readCallback(
  reader: Reader,
  bearsNonce: boolean,
  headers: WireHeaders,
  body: Buffer,
): CallbackMessage {
  const { layout, sealKey } = reader;
  const nonce = bearsNonce ? headerOf(headers, layout.signature.nonce_header) : null;
  if (bearsNonce && !isNonce(nonce)) return forged('it bears no nonce');
  const unread = distrust(reader, headers, body, nonce);
  if (unread !== null) return unread;
  const content = sealKey === null ? body : openedBody(sealKey, body);
  if (content === null) return malformed('it is not sealed with the key that it should be');
  const reading = contentOf(layout, content);
  if (reading.kind !== 'genuine') return reading;
  const stamp = stampOf(headerOf(headers, layout.signature.timestamp_header) ?? '', nonce);
  const digest = hash('sha256', Buffer.concat(signedParts(layout, stamp, body)), 'hex');
  return { ...reading, digest, nonce };
}

function openedBody(key: KeyObject, body: Buffer): Buffer | null {
  const json = parsed(body);
  if (json === null) return null;
  const [nonce, ciphertext] = [textAt(json, 'resource.nonce'), textAt(json, 'resource.ciphertext')];
  if (nonce === null || ciphertext === null) return null;
  const associatedData = textAt(json, 'resource.associated_data') ?? '';
  return unseal(key, { nonce, associatedData, ciphertext });
}

function contentOf(layout: JsonLayout, content: Buffer): Reading {
  const json = parsed(content);
  if (json === null) return malformed('the body is not a JSON object');
  const fields = replyFields(layout, json);
  return fields === null
    ? malformed(`there is no field ${layout.fields.code}`)
    : { kind: 'genuine', fields };
}

function replyFields({ fields, amount }: JsonLayout, json: object): ReplyFields | null {
  const code = textAt(json, fields.code);
  if (code === null) return null;
  const amountText = textAt(json, fields.amount);
  const creditText = textAt(json, fields.credit_amount);
  return {
    code,
    message: textAt(json, fields.message) ?? '',
    orderNo: textAt(json, fields.order_no),
    merchant: textAt(json, fields.merchant),
    amountText,
    amountMinor: amountText === null ? null : minorOf(amount, amountText),
    currency: textAt(json, fields.currency),
    channelRef: textAt(json, fields.channel_ref),
    ...(creditText !== null && { creditText, creditMinor: minorOf(amount, creditText) }),
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
