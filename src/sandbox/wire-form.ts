import { hash, randomBytes, sign, verify, type KeyObject } from 'node:crypto';
import type { ChannelSpec } from './channel-spec.js';
import {
  codeOf,
  msFromCompactTime,
  orderNoPattern,
  type KeySerial,
  type Wire,
  type WireAnswer,
  type WireMessage,
  type WireRequest,
} from './wire.js';

/**
 * Form fields signed with RSA-SHA256. What is signed are the `name=value` pairs as they stand on the
 * wire (percent-encoded), without `sign`, sorted by their bytes and joined with `&`: nobody has to
 * decode anything before the signature is verified.
 */

const paths: Readonly<
  Record<string, 'charge' | 'refund' | 'query' | 'query_refund' | 'close' | 'query_many'>
> = {
  '/gateway/charge': 'charge',
  '/gateway/refund': 'refund',
  '/gateway/refundQuery': 'query_refund',
  '/gateway/query': 'query',
  '/gateway/close': 'close',
  '/gateway/queryMany': 'query_many',
};

export interface FormKeys {
  /** The channel's own: sign answers and callbacks. */
  readonly channelPrivate: Readonly<Record<KeySerial, KeyObject>>;
  /** Which of them signs now. */
  readonly serial: () => KeySerial;
  /** The merchant's: verifies requests. */
  readonly merchantPublic: KeyObject;
  /** Somebody's: for forgeries. */
  readonly strangerPrivate: KeyObject;
}

export function formWire(spec: ChannelSpec, keys: FormKeys): Wire {
  const message = (fields: Readonly<Record<string, string>>, forged: boolean): WireMessage => {
    const certId = keys.serial();
    const key = forged ? keys.strangerPrivate : keys.channelPrivate[certId];
    return {
      headers: { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' },
      body: signed({ ...fields, certId, timestamp: String(Date.now()) }, key),
    };
  };
  return {
    read: (path, _headers, body) => read(spec, keys.merchantPublic, path, body),
    write: (answer, forged) => message(fieldsOf(spec, answer), forged),
    writeCallback: (answer, forged) => {
      const nonce = randomBytes(12).toString('hex');
      return message({ ...fieldsOf(spec, answer), nonce }, forged);
    },
    writeMany: (answers, merchant, forged) => {
      const items = JSON.stringify(answers.map((answer) => fieldsOf(spec, answer)));
      const respCode = spec.codes.succeeded;
      return message({ respCode, respMsg: 'OK', merchantId: merchant, items }, forged);
    },
  };
}

function fieldsOf(spec: ChannelSpec, answer: WireAnswer): Record<string, string> {
  const { order } = answer;
  return {
    respCode: codeOf(spec, answer),
    respMsg: answer.outcome.replaceAll('_', ' '),
    merchantId: order?.merchant ?? answer.merchant,
    orderNo: answer.orderNo,
    ...(order && {
      txnAmt: String(order.amountMinor),
      currency: order.currency,
      queryId: order.channelRef,
    }),
  };
}

function signed(fields: Readonly<Record<string, string>>, key: KeyObject): Buffer {
  const text = Object.entries({ ...fields, signType: 'RSA2' })
    .map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`)
    .sort()
    .join('&');
  const signature = sign('sha256', Buffer.from(text), key).toString('base64');
  return Buffer.from(`${text}&sign=${encodeURIComponent(signature)}`);
}

function read(spec: ChannelSpec, key: KeyObject, path: string, body: Buffer): WireRequest {
  const fields = verified(body, key);
  if (fields === null) return { operation: 'refused', outcome: 'bad_signature' };
  const operation = Object.hasOwn(paths, path) ? paths[path] : undefined;
  const refused: WireRequest = { operation: 'refused', outcome: 'bad_request' };
  const merchant = fields.get('merchantId') ?? '';
  const orderNo = fields.get('orderNo') ?? '';
  if (operation === 'query_many') {
    const orderNos = (fields.get('orderNos') ?? '').split(',');
    const fits =
      orderNos.length <= spec.queryManyMax && orderNos.every((no) => orderNoPattern.test(no));
    return fits ? { operation, orderNos, merchant } : refused;
  }
  if (operation === undefined || !orderNoPattern.test(orderNo)) return refused;
  if (operation !== 'charge' && operation !== 'refund') return { operation, orderNo, merchant };
  const amountMinor = Number(/^\d{1,13}$/.exec(fields.get('txnAmt') ?? '')?.[0] ?? 0);
  const createdAtMs = msFromCompactTime(fields.get('txnTime') ?? '');
  const expiresAtMs = msFromCompactTime(fields.get('expireTime') ?? '');
  if (amountMinor === 0 || createdAtMs === null || expiresAtMs === null) return refused;
  const currency = fields.get('currency') ?? '';
  const digest = hash('sha256', body, 'hex');
  const order = { orderNo, merchant, amountMinor, currency, createdAtMs, expiresAtMs, digest };
  if (operation === 'refund') {
    const refundOf = {
      orderNo: fields.get('origOrderNo') ?? '',
      channelRef: fields.get('origQueryId') ?? '',
    };
    return { operation, refund: { ...order, refundOf } };
  }
  const accountToken = fields.get('accToken') ?? '';
  if (accountToken === '') return refused;
  return { operation, charge: { ...order, accountToken, bank: fields.get('bankCode') ?? '' } };
}

function verified(body: Buffer, key: KeyObject): Map<string, string> | null {
  const pairs = body.toString('latin1').split('&');
  const signPair = pairs.find((pair) => pair.startsWith('sign='));
  if (signPair === undefined) return null;
  try {
    const text = pairs
      .filter((pair) => pair !== signPair)
      .sort()
      .join('&');
    const signature = Buffer.from(decodeURIComponent(signPair.slice(5)), 'base64');
    if (!verify('sha256', Buffer.from(text, 'latin1'), key, signature)) return null;
    const fields = new Map<string, string>();
    for (const pair of pairs) {
      const [name = '', value = ''] = pair.split('=', 2).map(decodeURIComponent);
      if (fields.has(name)) return null;
      fields.set(name, value);
    }
    return fields;
  } catch {
    return null;
  }
}
