/** The headers that change what `POST /v1/deductions` does. */
import { RecoupError } from '../errors.js';
import { requestKeyOf } from '../request-key.js';

type Header = string | readonly string[] | undefined;

/** @throws RecoupError `idempotency_key_missing`, `idempotency_key_invalid` */
export function idempotencyKey(header: Header, apiKeyId: string): string {
  if (header === undefined || header.length === 0) throw new RecoupError('idempotency_key_missing');
  // Repeated headers arrive joined by ", ", and so break the form as they should.
  return requestKeyOf(`api:${apiKeyId}`, typeof header === 'string' ? header : header.join(', '));
}

const waitSecondsMax = 60;

/**
 * The seconds of `Prefer: wait=N` (RFC 7240), bounded; null when there is no such preference. What is
 * not understood is ignored, as preferences are.
 */
export function preferredWaitS(header: Header): number | null {
  const text = typeof header === 'string' ? header : (header ?? []).join(',');
  const [, seconds] = /(?:^|[,;])\s*wait\s*=\s*"?(\d{1,9})"?\s*(?=$|[,;])/i.exec(text) ?? [];
  return seconds === undefined ? null : Math.min(Number(seconds), waitSecondsMax);
}
