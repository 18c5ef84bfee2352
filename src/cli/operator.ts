import { createHash } from 'node:crypto';
import type { Person } from '../cases/case.js';
import type { Services } from '../composition/root.js';
import { RecoupError } from '../errors.js';
import { badUsage } from './failure.js';

/** Whoever writes is named by a key, as at the API: a name on the command line proves nothing. */
export const keyVariable = 'RECOUP_OPERATOR_KEY';

/** @throws when the key is not an operator's */
export async function operator({ access }: Services): Promise<Person> {
  const key = process.env[keyVariable] ?? '';
  const digest = createHash('sha256').update(key).digest('hex');
  const found = key === '' ? null : await access.findKey(digest);
  if (found === null) {
    const how = 'Make one with `recoup keys create --role operator --name …`, one a person.';
    throw badUsage(`${keyVariable} holds no key that is known.`, how);
  }
  if (found.role !== 'operator') throw new RecoupError('forbidden', { role: found.role });
  return { name: found.name, keyId: found.id };
}

interface Schema<T> {
  safeParse(value: unknown): {
    readonly data?: T;
    readonly error?: { readonly issues: readonly { path: PropertyKey[]; message: string }[] };
  };
}

/** @throws RecoupError `invalid_request`, as the API would */
export function parsed<T>(schema: Schema<T>, value: unknown): T {
  const { data, error } = schema.safeParse(value);
  if (data !== undefined) return data;
  const problems = (error?.issues ?? []).map(({ path, message }) => ({
    field: path.map(String).join('.'),
    message,
  }));
  throw new RecoupError('invalid_request', { problems });
}
