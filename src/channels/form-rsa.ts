import { hash, sign, verify, type KeyObject } from 'node:crypto';
import type { Clock } from '../clock.js';
import type { Operation, Order } from '../engine/order.js';
import {
  compactTime,
  refundedOrder,
  type CallbackMessage,
  type Dialect,
  type Reading,
  type ReadingMany,
  type ReplyFields,
  type Unread,
  type WireRequest,
} from './dialect.js';
import { isNonce, staleness, wireTimestamp } from './freshness.js';
import type { ChannelKeys } from './keys.js';
import { operationOf } from './operations.js';
import type { ChannelProfile } from './profile.js';

/**
 * Form fields signed with RSA-SHA256, in both directions. What is signed are the pairs as they stand
 * on the wire, without `sign`, sorted by their bytes and joined with `&`; so the signature is
 * verified over raw bytes, before anything is decoded.
 */
export function formRsaDialect(
  profile: ChannelProfile,
  ourPrivateKey: KeyObject,
  theirKeys: ChannelKeys,
  clock: Clock,
): Dialect {
  const merchantId = profile.merchant_id;
  const { freshness } = profile;
  const verifier: Verifier = { keys: theirKeys, clock, windowMs: freshness?.window_ms ?? null };
  const request = (path: string, fields: Readonly<Record<string, string>>): WireRequest => ({
    path,
    headers: { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' },
    body: signedForm({ merchantId, signType: 'RSA2', ...fields }, ourPrivateKey),
  });
  return {
    place: (order) => {
      switch (order.operation) {
        case undefined:
          return request('/gateway/charge', chargeFields(order));
        case 'refund':
          return request('/gateway/refund', refundFields(order));
        case 'payout':
          return request('/gateway/payout', chargeFields(order));
        default:
          throw new Error(`form_rsa has no ${order.operation}`);
      }
    },
    query: (order) =>
      request(queryPaths[operationOf(order)] ?? '/gateway/query', { orderNo: order.orderNo }),
    close: ({ orderNo, operation }) =>
      request(operation === 'payout' ? '/gateway/payoutClose' : '/gateway/close', { orderNo }),
    queryMany: (orders) =>
      request('/gateway/queryMany', { orderNos: orders.map(({ orderNo }) => orderNo).join(',') }),
    read: (_headers, body) => read(verifier, body),
    readCallback: (_headers, body) => readCallback(verifier, freshness?.nonce === true, body),
    readMany: (_headers, body) => readMany(verifier, body),
    acknowledgement: { contentType: 'text/plain; charset=utf-8', body: 'success' },
  };
}

const queryPaths: Partial<Record<Operation, string>> = {
  refund: '/gateway/refundQuery',
  payout: '/gateway/payoutQuery',
};

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

interface Verifier {
  readonly keys: ChannelKeys;
  readonly clock: Clock;
  /** Null: the channel's messages bear no time. */
  readonly windowMs: number | null;
}

interface VerifiedForm {
  readonly kind: 'genuine';
  readonly form: ReadonlyMap<string, string>;
  /** Empty where the channel's messages bear no time. */
  readonly said: { readonly saidAtMs?: number };
  /** What is signed. */
  readonly text: string;
}

const forged = (detail: string): Unread => ({ kind: 'forged', detail });

function verifiedForm({ keys, clock, windowMs }: Verifier, body: Buffer): Unread | VerifiedForm {
  // latin1 keeps every byte, so what is verified is what came.
  const pairs = body.toString('latin1').split('&', pairsMax + 1);
  if (pairs.length > pairsMax) return forged('there are too many fields');
  const key = keys.find(rawValue(pairs, 'certId'));
  if (key === null) return forged('no key is pinned under its serial');
  let said: VerifiedForm['said'] = {};
  if (windowMs !== null) {
    const atMs = wireTimestamp(rawValue(pairs, 'timestamp') ?? '', 'ms');
    if (atMs === null) return forged('it bears no timestamp');
    const stale = staleness(atMs, clock.nowMs(), windowMs);
    if (stale !== null) return { kind: 'stale', detail: stale };
    said = { saidAtMs: atMs };
  }
  const signatures = pairs.filter((pair) => pair.startsWith('sign='));
  const [signature] = signatures;
  if (signature === undefined) return forged('it bears no signature');
  if (signatures.length > 1) return forged('it bears several signatures');
  const text = pairs
    .filter((pair) => pair !== signature)
    .sort()
    .join('&');
  const decodedSignature = decoded(signature.slice('sign='.length));
  if (decodedSignature === null || !isSignedBy(key, text, decodedSignature)) {
    return forged('the signature is not right');
  }
  const form = formOf(pairs);
  return form instanceof Map ? { kind: 'genuine', form, text, said } : form;
}

/** As it stands on the wire, and only where it stands there once. */
function rawValue(pairs: readonly string[], name: string): string | null {
  const found = pairs.filter((pair) => pair.startsWith(`${name}=`));
  return found.length === 1 ? (found[0] ?? '').slice(name.length + 1) : null;
}

function formOf(pairs: readonly string[]): Map<string, string> | Unread {
  const form = new Map<string, string>();
  for (const pair of pairs) {
    const at = pair.indexOf('=');
    const name = decoded(at === -1 ? pair : pair.slice(0, at));
    const value = decoded(at === -1 ? '' : pair.slice(at + 1));
    if (name === null || value === null) {
      return { kind: 'malformed', detail: 'a field is not percent-encoded UTF-8' };
    }
    if (form.has(name)) return { kind: 'malformed', detail: 'a field is repeated' };
    form.set(name, value);
  }
  return form;
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

function read(verifier: Verifier, body: Buffer): Reading {
  const verified = verifiedForm(verifier, body);
  return verified.kind === 'genuine' ? contentOf(verified) : verified;
}

function readCallback(verifier: Verifier, bearsNonce: boolean, body: Buffer): CallbackMessage {
  const verified = verifiedForm(verifier, body);
  if (verified.kind !== 'genuine') return verified;
  const nonce = bearsNonce ? (verified.form.get('nonce') ?? null) : null;
  if (bearsNonce && !isNonce(nonce)) return forged('it bears no nonce');
  const reading = contentOf(verified);
  if (reading.kind !== 'genuine') return reading;
  const digest = hash('sha256', Buffer.from(verified.text, 'latin1'), 'hex');
  return { ...reading, digest, nonce };
}

function contentOf({ form, said }: VerifiedForm): Reading {
  const fields = replyFields((name) => form.get(name));
  return fields === null
    ? { kind: 'malformed', detail: 'there is no field respCode' }
    : { kind: 'genuine', fields: { ...fields, ...said } };
}

function readMany(verifier: Verifier, body: Buffer): ReadingMany {
  const verified = verifiedForm(verifier, body);
  if (verified.kind !== 'genuine') return verified;
  const items = listOf(verified.form.get('items') ?? '');
  if (items === null) return { kind: 'malformed', detail: 'the field items is not a JSON list' };
  const many = items.flatMap((item) => replyFields((name) => textOf(item, name)) ?? []);
  return { kind: 'genuine', many: many.map((fields) => ({ ...fields, ...verified.said })) };
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
