import { createCipheriv, createHmac, hash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { ChannelSpec } from './channel-spec.js';
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

interface Layout {
  readonly paths: Readonly<Record<string, 'charge' | 'refund' | 'query' | 'query_refund'>>;
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
    '/v1/charges': 'charge',
    '/v1/charges/query': 'query',
    '/v1/refunds': 'refund',
    '/v1/refunds/query': 'query_refund',
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
    }),
  }),
};

const flat: Layout = {
  paths: {
    '/pay.do': 'charge',
    '/query.do': 'query',
    '/refund.do': 'refund',
    '/refundQuery.do': 'query_refund',
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
  const operation = Object.hasOwn(layout.paths, path) ? layout.paths[path] : undefined;
  if (json === null || operation === undefined) {
    return { operation: 'refused', outcome: 'bad_request' };
  }
  if (operation === 'query' || operation === 'query_refund') {
    const { orderNo, merchant } = layout.readAsk(json);
    if (typeof orderNo !== 'string' || !orderNoPattern.test(orderNo)) {
      return { operation: 'refused', outcome: 'bad_request' };
    }
    return { operation, orderNo, merchant: String(merchant) };
  }
  const digest = hash('sha256', Buffer.concat([Buffer.from(`${timestamp}.`), body]), 'hex');
  if (operation === 'refund') {
    const refund = layout.readRefund(json);
    if (refund === null) return { operation: 'refused', outcome: 'bad_request' };
    return { operation, refund: { ...refund, digest } };
  }
  const charge = layout.readCharge(json);
  if (charge === null) return { operation: 'refused', outcome: 'bad_request' };
  return { operation, charge: { ...charge, digest } };
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

type RefundFields =
  keyof Omit<RefundRequest, 'digest' | 'refundOf'> | 'originalOrderNo' | 'originalChannelRef';

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

function chargeOf(fields: Record<keyof Omit<ChargeRequest, 'digest' | 'refundOf'>, unknown>) {
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
