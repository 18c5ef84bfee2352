import { createCipheriv, createHmac, hash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { RefundOf } from './book-order.js';
import { placements, type ChannelSpec, type Placement } from './channel-spec.js';
import type { ChargeRequest, RefundRequest } from './order-desk.js';
import {
  codeOf,
  keySerials,
  decimalFromMinor,
  minorFromDecimal,
  msFromCompactTime,
  orderNoPattern,
  type KeySerial,
  type Wire,
  type WireAnswer,
  type WireMessage,
  type WireRequest,
} from './wire.js';

/**
 * JSON signed with HMAC-SHA256, in two layouts: the modern one of swiftpay and voucherpay, and the
 * flat one of oldbank (seconds, base64, decimal amounts, two-character codes).
 */

type Call =
  | { readonly what: 'place'; readonly as: Placement }
  /** Without `as` the message names the operation. */
  | { readonly what: 'query' | 'close'; readonly as?: Placement };

interface Layout {
  readonly paths: Readonly<Record<string, Call>>;
  readonly signatureHeader: string;
  readonly timestampHeader: string;
  readonly serialHeader: string;
  readonly nonceHeader: string;
  readonly now: () => string;
  readonly sign: (key: Buffer, timestamp: string, body: Buffer) => Buffer;
  readonly encoding: 'hex' | 'base64';
  readonly readCharge: (json: Record<string, unknown>) => Omit<ChargeRequest, 'digest'> | null;
  readonly readRefund: (json: Record<string, unknown>) => Omit<RefundRequest, 'digest'> | null;
  readonly readAsk: (json: Record<string, unknown>) => { orderNo: unknown; merchant: unknown };
  readonly answer: (code: string, answer: WireAnswer) => Record<string, unknown>;
}

const modern: Layout = {
  paths: {
    '/v1/charges': { what: 'place', as: 'charge' },
    '/v1/charges/query': { what: 'query', as: 'charge' },
    '/v1/refunds': { what: 'place', as: 'refund' },
    '/v1/refunds/query': { what: 'query', as: 'refund' },
    '/v1/payouts': { what: 'place', as: 'payout' },
    '/v1/payouts/query': { what: 'query', as: 'payout' },
    '/v1/payouts/close': { what: 'close', as: 'payout' },
    '/v1/debits': { what: 'place', as: 'debit' },
    '/v1/restores': { what: 'place', as: 'restore' },
    '/v1/pre-recharges': { what: 'place', as: 'pre_recharge' },
    '/v1/credits': { what: 'place', as: 'credit' },
    '/v1/voids': { what: 'place', as: 'void' },
    '/v1/orders/query': { what: 'query' },
    '/v1/orders/close': { what: 'close' },
  },
  signatureHeader: 'x-signature',
  timestampHeader: 'x-timestamp',
  serialHeader: 'x-key-serial',
  nonceHeader: 'x-nonce',
  now: () => String(Date.now()),
  sign: (key, timestamp, body) =>
    createHmac('sha256', key).update(`${timestamp}.`).update(body).digest(),
  encoding: 'hex',
  readCharge: (json) => {
    const account = isRecord(json['account']) ? json['account'] : {};
    return chargeOf({
      orderNo: json['order_no'],
      merchant: json['merchant_id'],
      amountMinor: json['amount'],
      currency: json['currency'],
      accountToken: account['token'],
      bank: account['bank'],
      createdAtMs: Date.parse(String(json['created_at'])),
      expiresAtMs: Date.parse(String(json['expires_at'])),
    });
  },
  readRefund: (json) =>
    refundOf({
      orderNo: json['order_no'],
      merchant: json['merchant_id'],
      amountMinor: json['amount'],
      currency: json['currency'],
      createdAtMs: Date.parse(String(json['created_at'])),
      expiresAtMs: Date.parse(String(json['expires_at'])),
      originalOrderNo: json['original_order_no'],
      originalChannelRef: json['original_channel_ref'],
    }),
  readAsk: (json) => ({ orderNo: json['order_no'], merchant: json['merchant_id'] }),
  answer: (code, { outcome, orderNo, order, merchant }) => ({
    code,
    message: outcome.replaceAll('_', ' '),
    merchant_id: order?.merchant ?? merchant,
    order_no: orderNo,
    ...(order && {
      amount: order.amountMinor,
      currency: order.currency,
      channel_ref: order.channelRef,
      ...(order.creditMinor !== undefined && { credit_amount: order.creditMinor }),
    }),
  }),
};

const flat: Layout = {
  paths: {
    '/pay.do': { what: 'place', as: 'charge' },
    '/query.do': { what: 'query', as: 'charge' },
    '/refund.do': { what: 'place', as: 'refund' },
    '/refundQuery.do': { what: 'query', as: 'refund' },
  },
  signatureHeader: 'sign',
  timestampHeader: 'req-time',
  serialHeader: 'key-serial',
  nonceHeader: 'req-nonce',
  now: () => String(Math.floor(Date.now() / 1000)),
  sign: (key, timestamp, body) =>
    createHmac('sha256', key).update(body).update(`|${timestamp}`).digest(),
  encoding: 'base64',
  readCharge: (json) =>
    chargeOf({
      orderNo: json['ordId'],
      merchant: json['mchId'],
      amountMinor: minorFromDecimal(String(json['ordAmt'])),
      currency: json['ccy'],
      accountToken: json['accTok'],
      bank: json['bankNo'],
      createdAtMs: msFromCompactTime(String(json['ordTime'])),
      expiresAtMs: msFromCompactTime(String(json['expTime'])),
    }),
  readRefund: (json) =>
    refundOf({
      orderNo: json['ordId'],
      merchant: json['mchId'],
      amountMinor: minorFromDecimal(String(json['ordAmt'])),
      currency: json['ccy'],
      createdAtMs: msFromCompactTime(String(json['ordTime'])),
      expiresAtMs: msFromCompactTime(String(json['expTime'])),
      originalOrderNo: json['origOrdId'],
      originalChannelRef: json['origBankSeq'],
    }),
  readAsk: (json) => ({ orderNo: json['ordId'], merchant: json['mchId'] }),
  answer: (code, { outcome, orderNo, order, merchant }) => ({
    rspCd: code,
    rspMsg: outcome.replaceAll('_', ' ').toUpperCase(),
    mchId: order?.merchant ?? merchant,
    ordId: orderNo,
    ...(order && {
      ordAmt: decimalFromMinor(order.amountMinor),
      ccy: order.currency,
      bankSeq: order.channelRef,
    }),
  }),
};

export interface JsonKeys {
  readonly bySerial: Readonly<Record<KeySerial, Buffer>>;
  /** What the channel signs with now. */
  readonly serial: () => KeySerial;
  /** For callbacks, where they are sealed. */
  readonly seal: Buffer;
}

export function jsonWire(spec: ChannelSpec, keys: JsonKeys): Wire {
  const layout = spec.wire === 'json_flat' ? flat : modern;
  const content = (answer: WireAnswer): Buffer =>
    Buffer.from(JSON.stringify(layout.answer(codeOf(spec, answer), answer)));
  return {
    read: (path, headers, body) => {
      const named = keySerials.find((one) => one === headers[layout.serialHeader]);
      return read(layout, keys.bySerial[named ?? 'A'], path, headers, body);
    },
    write: (answer, forged) => signed(layout, keys, content(answer), null, forged),
    writeCallback: (answer, forged) => {
      const plain = content(answer);
      const body = spec.sealsCallbacks === true ? sealed(keys.seal, plain) : plain;
      return signed(layout, keys, body, randomBytes(12).toString('hex'), forged);
    },
  };
}

/** AES-256-GCM, the tag after the ciphertext. */
function sealed(key: Buffer, plain: Buffer): Buffer {
  const nonce = randomBytes(6).toString('hex');
  const associatedData = 'order';
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(associatedData));
  const parts = [cipher.update(plain), cipher.final(), cipher.getAuthTag()];
  const ciphertext = Buffer.concat(parts).toString('base64');
  const resource = { nonce, associated_data: associatedData, ciphertext };
  return Buffer.from(JSON.stringify({ event: 'order', resource }));
}

function read(
  layout: Layout,
  key: Buffer,
  path: string,
  headers: IncomingHttpHeaders,
  body: Buffer,
): WireRequest {
  const timestamp = String(headers[layout.timestampHeader] ?? '');
  const given = Buffer.from(String(headers[layout.signatureHeader] ?? ''), layout.encoding);
  const expected = layout.sign(key, timestamp, body);
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
    return { operation: 'refused', outcome: 'bad_signature' };
  }
  const json = parse(body);
  const call = Object.hasOwn(layout.paths, path) ? layout.paths[path] : undefined;
  if (json === null || call === undefined) return refused;
  const digest = hash('sha256', Buffer.concat([Buffer.from(`${timestamp}.`), body]), 'hex');
  const request =
    call.what === 'place' ? placed(layout, call.as, json, digest) : ask(layout, call, json);
  return request ?? refused;
}

const refused: WireRequest = { operation: 'refused', outcome: 'bad_request' };

function ask(
  layout: Layout,
  call: Extract<Call, { what: 'query' | 'close' }>,
  json: Record<string, unknown>,
): WireRequest | null {
  const { orderNo, merchant } = layout.readAsk(json);
  const as = call.as ?? placements.find((one) => one === json['operation']);
  if (as === undefined || typeof orderNo !== 'string' || !orderNoPattern.test(orderNo)) return null;
  const regarding = regardingOf(json);
  const about = { as, orderNo, merchant: String(merchant), ...(regarding && { regarding }) };
  return { operation: call.what, ...about };
}

function placed(
  layout: Layout,
  as: Placement,
  json: Record<string, unknown>,
  digest: string,
): WireRequest | null {
  if (as === 'refund') {
    const refund = layout.readRefund(json);
    return refund && { operation: 'refund', refund: { ...refund, digest } };
  }
  const charge = layout.readCharge(json);
  if (charge === null) return null;
  if (as === 'charge') return { operation: 'charge', charge: { ...charge, digest } };
  const order = { ...charge, operation: as, digest };
  if (as === 'payout') return { operation: 'place', order };
  const regarding = regardingOf(json);
  if (json['operation'] !== as) return null;
  if (as === 'debit') return { operation: 'place', order };
  if (as !== 'pre_recharge' && regarding === null) return null;
  const about = { ...order, ...(regarding && { regarding }) };
  if (as === 'restore' || as === 'void') return { operation: 'place', order: about };
  const { credit_amount: creditMinor, rule } = json;
  if (!Number.isSafeInteger(creditMinor) || Number(creditMinor) <= 0) return null;
  if (typeof rule !== 'string') return null;
  return { operation: 'place', order: { ...about, creditMinor: Number(creditMinor), rule } };
}

function regardingOf(json: Record<string, unknown>): RefundOf | null {
  const { original_order_no: orderNo, original_channel_ref: channelRef } = json;
  return typeof orderNo === 'string' && typeof channelRef === 'string'
    ? { orderNo, channelRef }
    : null;
}

function signed(
  layout: Layout,
  keys: JsonKeys,
  body: Buffer,
  nonce: string | null,
  forged: boolean,
): WireMessage {
  const timestamp = layout.now();
  const serial = keys.serial();
  const stamp = nonce === null ? timestamp : `${timestamp}.${nonce}`;
  const key = forged ? Buffer.from('someone else') : keys.bySerial[serial];
  return {
    headers: {
      'content-type': 'application/json; charset=utf-8',
      [layout.timestampHeader]: timestamp,
      [layout.serialHeader]: serial,
      ...(nonce !== null && { [layout.nonceHeader]: nonce }),
      [layout.signatureHeader]: layout.sign(key, stamp, body).toString(layout.encoding),
    },
    body,
  };
}

type ChargeFields =
  | 'orderNo'
  | 'merchant'
  | 'amountMinor'
  | 'currency'
  | 'accountToken'
  | 'bank'
  | 'createdAtMs'
  | 'expiresAtMs';
type RefundFields =
  Exclude<ChargeFields, 'accountToken' | 'bank'> | 'originalOrderNo' | 'originalChannelRef';

function refundOf({
  originalOrderNo,
  originalChannelRef,
  ...fields
}: Record<RefundFields, unknown>): Omit<RefundRequest, 'digest'> | null {
  if (typeof originalOrderNo !== 'string' || typeof originalChannelRef !== 'string') return null;
  const charge = chargeOf({ ...fields, accountToken: '', bank: '' });
  if (charge === null) return null;
  const { accountToken: _token, bank: _bank, ...refund } = charge;
  return { ...refund, refundOf: { orderNo: originalOrderNo, channelRef: originalChannelRef } };
}

function chargeOf(fields: Record<ChargeFields, unknown>) {
  const { orderNo, merchant, amountMinor, currency, accountToken, bank } = fields;
  const { createdAtMs, expiresAtMs } = fields;
  if (typeof orderNo !== 'string' || !orderNoPattern.test(orderNo)) return null;
  if (typeof merchant !== 'string' || typeof currency !== 'string') return null;
  if (typeof accountToken !== 'string' || typeof bank !== 'string') return null;
  if (!Number.isSafeInteger(amountMinor) || Number(amountMinor) <= 0) return null;
  if (!Number.isSafeInteger(createdAtMs) || !Number.isSafeInteger(expiresAtMs)) return null;
  return {
    orderNo,
    merchant,
    amountMinor: Number(amountMinor),
    currency,
    accountToken,
    bank,
    createdAtMs: Number(createdAtMs),
    expiresAtMs: Number(expiresAtMs),
  };
}

function parse(body: Buffer): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'));
    return isRecord(value) ? value : null;
  } catch {
    return null;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
