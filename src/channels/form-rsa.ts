import { sign, verify, type KeyObject } from 'node:crypto';
import type { Order } from '../engine/order.js';
import {
  compactTime,
  refundedOrder,
  type Dialect,
  type Reading,
  type ReadingMany,
  type ReplyFields,
  type Unread,
  type WireRequest,
} from './dialect.js';
import type { ChannelProfile } from './profile.js';

/**
 * Form fields signed with RSA-SHA256, in both directions. What is signed are the pairs as they stand
 * on the wire, without `sign`, sorted by their bytes and joined with `&`; so the signature is
 * verified over raw bytes, before anything is decoded.
 */
export function formRsaDialect(
  profile: ChannelProfile,
  ourPrivateKey: KeyObject,
  theirPublicKey: KeyObject,
): Dialect {
  const merchantId = profile.merchant_id;
  const request = (path: string, fields: Readonly<Record<string, string>>): WireRequest => ({
    path,
    headers: { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' },
    body: signedForm({ merchantId, signType: 'RSA2', ...fields }, ourPrivateKey),
  });
  return {
    charge: (order) => request('/gateway/charge', chargeFields(order)),
    refund: (order) => request('/gateway/refund', refundFields(order)),
    query: ({ orderNo, operation }) =>
      request(operation === 'refund' ? '/gateway/refundQuery' : '/gateway/query', { orderNo }),
    close: ({ orderNo }) => request('/gateway/close', { orderNo }),
    queryMany: (orders) =>
      request('/gateway/queryMany', { orderNos: orders.map(({ orderNo }) => orderNo).join(',') }),
    read: (_headers, body) => read(theirPublicKey, body),
    readMany: (_headers, body) => readMany(theirPublicKey, body),
    acknowledgement: { contentType: 'text/plain; charset=utf-8', body: 'success' },
  };
}

function chargeFields(order: Order): Record<string, string> {
  return {
    orderNo: order.orderNo,
    txnAmt: String(order.amountMinor),
    currency: order.currency,
    accToken: order.account.token,
    bankCode: order.account.bankCode,
    accLast4: order.account.last4,
    txnTime: compactTime(order.createdAtMs),
    expireTime: compactTime(order.expiresAtMs),
  };
}

function refundFields(order: Order): Record<string, string> {
  const original = refundedOrder(order);
  return {
    orderNo: order.orderNo,
    origOrderNo: original.orderNo,
    origQueryId: original.channelRef,
    txnAmt: String(order.amountMinor),
    currency: order.currency,
    txnTime: compactTime(order.createdAtMs),
    expireTime: compactTime(order.expiresAtMs),
  };
}

/** RSA with PKCS #1 v1.5 draws no randomness: the same fields are the same bytes. */
function signedForm(fields: Readonly<Record<string, string>>, key: KeyObject): Buffer {
  const text = Object.entries(fields)
    .map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`)
    .sort()
    .join('&');
  const signature = sign('sha256', Buffer.from(text), key).toString('base64');
  return Buffer.from(`${text}&sign=${encodeURIComponent(signature)}`);
}

const pairsMax = 64;

function verifiedForm(
  key: KeyObject,
  body: Buffer,
): Unread | { readonly kind: 'genuine'; readonly form: ReadonlyMap<string, string> } {
  // latin1 keeps every byte, so what is verified is what came.
  const pairs = body.toString('latin1').split('&', pairsMax + 1);
  if (pairs.length > pairsMax) return { kind: 'forged', detail: 'there are too many fields' };
  const signatures = pairs.filter((pair) => pair.startsWith('sign='));
  const [signature] = signatures;
  if (signature === undefined) return { kind: 'forged', detail: 'it bears no signature' };
  if (signatures.length > 1) return { kind: 'forged', detail: 'it bears several signatures' };
  const text = pairs
    .filter((pair) => pair !== signature)
    .sort()
    .join('&');
  const decodedSignature = decoded(signature.slice('sign='.length));
  if (decodedSignature === null || !isSignedBy(key, text, decodedSignature)) {
    return { kind: 'forged', detail: 'the signature is not right' };
  }
  const form = new Map<string, string>();
  for (const pair of pairs) {
    const at = pair.indexOf('=');
    const name = decoded(at === -1 ? pair : pair.slice(0, at));
    const value = decoded(at === -1 ? '' : pair.slice(at + 1));
    if (name === null || value === null) {
      return { kind: 'malformed', detail: 'a field is not percent-encoded UTF-8' };
    }
    if (form.has(name)) return { kind: 'malformed', detail: `the field ${name} is repeated` };
    form.set(name, value);
  }
  return { kind: 'genuine', form };
}

function isSignedBy(key: KeyObject, text: string, signatureBase64: string): boolean {
  try {
    return verify(
      'sha256',
      Buffer.from(text, 'latin1'),
      key,
      Buffer.from(signatureBase64, 'base64'),
    );
  } catch {
    return false;
  }
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return null;
  }
}

function read(key: KeyObject, body: Buffer): Reading {
  const verified = verifiedForm(key, body);
  if (verified.kind !== 'genuine') return verified;
  const fields = replyFields((name) => verified.form.get(name));
  return fields === null
    ? { kind: 'malformed', detail: 'there is no field respCode' }
    : { kind: 'genuine', fields };
}

function readMany(key: KeyObject, body: Buffer): ReadingMany {
  const verified = verifiedForm(key, body);
  if (verified.kind !== 'genuine') return verified;
  const items = listOf(verified.form.get('items') ?? '');
  if (items === null) return { kind: 'malformed', detail: 'the field items is not a JSON list' };
  const many = items.flatMap((item) => replyFields((name) => textOf(item, name)) ?? []);
  return { kind: 'genuine', many };
}

function replyFields(get: (name: string) => string | undefined): ReplyFields | null {
  const code = get('respCode') ?? '';
  if (code === '') return null;
  const amountText = get('txnAmt') || null;
  return {
    code,
    message: get('respMsg') ?? '',
    orderNo: get('orderNo') || null,
    merchant: get('merchantId') || null,
    amountText,
    amountMinor: amountText !== null && /^\d{1,18}$/.test(amountText) ? BigInt(amountText) : null,
    currency: get('currency') || null,
    channelRef: get('queryId') || null,
  };
}

function listOf(text: string): readonly unknown[] | null {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}

function textOf(item: unknown, name: string): string | undefined {
  if (typeof item !== 'object' || item === null || !Object.hasOwn(item, name)) return undefined;
  const value = (item as Record<string, unknown>)[name];
  return typeof value === 'string' ? value : undefined;
}
