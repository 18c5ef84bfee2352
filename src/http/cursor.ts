import { RecoupError } from '../errors.js';
import { isTaskId, type TaskId } from '../ids.js';

/** Opaque to callers: what it holds may change. */
export const cursorOf = (last: TaskId): string => Buffer.from(`1:${last}`).toString('base64url');

/** @throws RecoupError `invalid_request` */
export function fromCursor(cursor: string): TaskId {
  const [version, id = ''] = Buffer.from(cursor, 'base64url').toString('latin1').split(':');
  if (version === '1' && isTaskId(id)) return id;
  const message = 'not a cursor that we gave out';
  throw new RecoupError('invalid_request', {
    problems: [{ in: 'query', field: 'cursor', message }],
  });
}

/** The address of the next page: the same query with its cursor. */
export function nextPage(
  path: string,
  query: Readonly<Record<string, string | number | undefined>>,
): string {
  const given = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) given.set(name, String(value));
  }
  return `${path}?${given.toString()}`;
}
