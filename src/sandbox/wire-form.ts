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

type Call =
  | { readonly what: 'place' | 'query' | 'close'; readonly as: 'charge' | 'refund' | 'payout' }
  | { readonly what: 'query_many' };

const paths: Readonly<Record<string, Call>> = {
  '/gateway/charge': { what: 'place', as: 'charge' },
  '/gateway/refund': { what: 'place', as: 'refund' },
  '/gateway/payout': { what: 'place', as: 'payout' },
  '/gateway/query': { what: 'query', as: 'charge' },
  '/gateway/refundQuery': { what: 'query', as: 'refund' },
  '/gateway/payoutQuery': { what: 'query', as: 'payout' },
  '/gateway/close': { what: 'close', as: 'charge' },
  '/gateway/payoutClose': { what: 'close', as: 'payout' },
  '/gateway/queryMany': { what: 'query_many' },
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
      const respCode = spec.codes.succeeded ?? '';
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
  const call = Object.hasOwn(paths, path) ? paths[path] : undefined;
  const refused: WireRequest = { operation: 'refused', outcome: 'bad_request' };
  const merchant = fields.get('merchantId') ?? '';
  const orderNo = fields.get('orderNo') ?? '';
  if (call?.what === 'query_many') {
    const orderNos = (fields.get('orderNos') ?? '').split(',');
    const fits =
      orderNos.length <= spec.queryManyMax && orderNos.every((no) => orderNoPattern.test(no));
    return fits ? { operation: 'query_many', orderNos, merchant } : refused;
  }
  if (call === undefined || !orderNoPattern.test(orderNo)) return refused;
  if (call.what !== 'place') return { operation: call.what, as: call.as, orderNo, merchant };
  return (
    placed(call.as, { fields, orderNo, merchant, digest: hash('sha256', body, 'hex') }) ?? refused
  );
}

interface Placed {
  readonly fields: ReadonlyMap<string, string>;
  readonly orderNo: string;
  readonly merchant: string;
  readonly digest: string;
}

function placed(
  as: 'charge' | 'refund' | 'payout',
  { fields, orderNo, merchant, digest }: Placed,
): WireRequest | null {
  const amountMinor = Number(/^\d{1,13}$/.exec(fields.get('txnAmt') ?? '')?.[0] ?? 0);
  const createdAtMs = msFromCompactTime(fields.get('txnTime') ?? '');
  const expiresAtMs = msFromCompactTime(fields.get('expireTime') ?? '');
  if (amountMinor === 0 || createdAtMs === null || expiresAtMs === null) return null;
  const currency = fields.get('currency') ?? '';
  const order = { orderNo, merchant, amountMinor, currency, createdAtMs, expiresAtMs, digest };
  if (as === 'refund') {
    const refundOf = {
      orderNo: fields.get('origOrderNo') ?? '',
      channelRef: fields.get('origQueryId') ?? '',
    };
    return { operation: 'refund', refund: { ...order, refundOf } };
  }
  const accountToken = fields.get('accToken') ?? '';
  if (accountToken === '') return null;
  const charge = { ...order, accountToken, bank: fields.get('bankCode') ?? '' };
  return as === 'payout'
    ? { operation: 'place', order: { ...charge, operation: as } }
    : { operation: 'charge', charge };
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
