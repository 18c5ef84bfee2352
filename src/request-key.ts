/** What makes the same request, made again, the same task: its caller's key, and what it says. */
import { hash } from 'node:crypto';
import { RecoupError } from './errors.js';
import { keptKey } from './personal.js';

/**
 * @param scope keeps the keys of two callers apart, and from those of batches.
 * @returns at most 198 characters, of the column's 200.
 * @throws RecoupError `idempotency_key_invalid`
 */
export function requestKeyOf(scope: string, key: string): string {
  if (!/^[\x21-\x7e]{1,128}$/.test(key)) throw new RecoupError('idempotency_key_invalid');
  return `${scope}:${keptKey(key)}`;
}

/** The same fields in the same order, whatever order and spacing the caller wrote them in. */
export const digestOf = (fields: readonly (string | number | null)[]): string =>
  hash('sha256', JSON.stringify(fields), 'hex');
