/**
 * Standard Webhooks 1.0 (symmetric): what a notice is signed with, and how a receiver verifies it.
 *
 *   webhook-id         the event's, the same on every try
 *   webhook-timestamp  seconds since the epoch, of this try
 *   webhook-signature  `v1,` + base64 of HMAC-SHA256 over `id.timestamp.body`; several, separated by
 *                      spaces, while a secret is being replaced
 *
 * A secret is `whsec_` + base64 of 24 to 64 bytes.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

/** Null when the text is not a secret. */
export function keyOf(secret: string): Buffer | null {
  const [, encoded] = /^whsec_([A-Za-z0-9+/]{32,88}={0,2})$/.exec(secret.trim()) ?? [];
  const key = Buffer.from(encoded ?? '', 'base64');
  return key.length >= 24 && key.length <= 64 ? key : null;
}

export const newSecret = (): string => `whsec_${randomBytes(32).toString('base64')}`;

export interface SignedHeaders {
  readonly 'webhook-id': string;
  readonly 'webhook-timestamp': string;
  readonly 'webhook-signature': string;
}

export function signed(
  { id, body }: { readonly id: string; readonly body: string },
  keys: readonly Buffer[],
  atMs: number,
): SignedHeaders {
  const timestamp = String(Math.floor(atMs / 1_000));
  const signatures = keys.map((key) => `v1,${macOf(key, id, timestamp, body).toString('base64')}`);
  return {
    'webhook-id': id,
    'webhook-timestamp': timestamp,
    'webhook-signature': signatures.join(' '),
  };
}

const macOf = (key: Buffer, id: string, timestamp: string, body: string | Uint8Array): Buffer =>
  createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest();

/** What arrived: header names in lower case, as Node gives them. */
export type ReceivedHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;

export interface VerifyOptions {
  /** How far a notice's time may lie from ours, seconds; 300 unless given. */
  readonly toleranceS?: number;
  readonly nowMs?: number;
}

export type Verified =
  | {
      readonly genuine: true;
      /** The same on every try: what a receiver has handled under it, it need not handle again. */
      readonly id: string;
      readonly event: unknown;
    }
  | {
      readonly genuine: false;
      readonly why: 'no_headers' | 'too_old_or_new' | 'bad_signature' | 'not_json';
    };

/**
 * For receivers: whether a notice is ours. Give it the body's bytes as they arrived: parsed and written
 * again they are others.
 *
 * @param secrets any of them may have signed it.
 * @throws RangeError when a secret has the wrong form.
 */
export function verifyNotice(
  headers: ReceivedHeaders,
  body: string | Uint8Array,
  secrets: string | readonly string[],
  { toleranceS = 300, nowMs = Date.now() }: VerifyOptions = {},
): Verified {
  const keys = [secrets].flat().map((secret) => {
    const key = keyOf(secret);
    if (key === null) throw new RangeError('a secret is whsec_ and base64 of 24 to 64 bytes');
    return key;
  });
  const id = headers['webhook-id'];
  const timestamp = headers['webhook-timestamp'];
  const signatures = headers['webhook-signature'];
  const texts = [id, timestamp, signatures];
  if (!texts.every((text) => typeof text === 'string') || !/^\d{1,12}$/.test(String(timestamp))) {
    return { genuine: false, why: 'no_headers' };
  }
  // Not a number compares as false, and must not pass for that.
  const offS = Math.abs(nowMs / 1_000 - Number(timestamp));
  if (!(offS <= toleranceS)) return { genuine: false, why: 'too_old_or_new' };
  const given = String(signatures)
    .split(' ')
    .filter((one) => one.startsWith('v1,'))
    .map((one) => Buffer.from(one.slice(3), 'base64'));
  const isGenuine = keys.some((key) => {
    const mac = macOf(key, String(id), String(timestamp), body);
    return given.some((one) => one.length === mac.length && timingSafeEqual(one, mac));
  });
  if (!isGenuine) return { genuine: false, why: 'bad_signature' };
  try {
    const event: unknown = JSON.parse(Buffer.from(body).toString('utf8'));
    return { genuine: true, id: String(id), event };
  } catch {
    return { genuine: false, why: 'not_json' };
  }
}
