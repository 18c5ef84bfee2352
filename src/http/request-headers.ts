/** The headers that change what `POST /v1/deductions` does. */
import { createHash } from 'node:crypto';
import { RecoupError } from '../errors.js';
import { keptKey } from '../personal.js';

type Header = string | readonly string[] | undefined;

/**
 * @returns the caller's own key for the request.
 * @throws RecoupError `idempotency_key_missing`, `idempotency_key_invalid`
 */
export function idempotencyKey(header: Header): string {
  if (header === undefined || header.length === 0) throw new RecoupError('idempotency_key_missing');
  // Repeated headers arrive joined by ", ", and so break the form as they should.
  if (typeof header !== 'string' || !/^[\x21-\x7e]{1,128}$/.test(header)) {
    throw new RecoupError('idempotency_key_invalid');
  }
  return header;
}

/** Keys of two callers never meet, nor with those of batches. At most 198 of the column's 200. */
export const requestKeyOf = (apiKeyId: string, key: string): string =>
  `api:${apiKeyId}:${keptKey(key)}`;

/** The same fields in the same order, whatever order and spacing the body had. */
export function digestOf(fields: readonly (string | number | null)[]): string {
  return createHash('sha256').update(JSON.stringify(fields)).digest('hex');
}

export const waitSecondsMax = 60;

/**
 * The seconds of `Prefer: wait=N` (RFC 7240), bounded; null when there is no such preference. What is
 * not understood is ignored, as preferences are.
 */
export function preferredWaitS(header: Header): number | null {
  const text = typeof header === 'string' ? header : (header ?? []).join(',');
  const [, seconds] = /(?:^|[,;])\s*wait\s*=\s*"?(\d{1,9})"?\s*(?=$|[,;])/i.exec(text) ?? [];
  return seconds === undefined ? null : Math.min(Number(seconds), waitSecondsMax);
}
