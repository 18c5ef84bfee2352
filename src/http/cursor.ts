import { RecoupError } from '../errors.js';
import { isTaskId, type TaskId } from '../ids.js';

type Query = Readonly<Record<string, string | number | undefined>>;

/**
 * @param rows newest first, read to one more than `query.limit`
 * @param path where the pages are
 */
export function pageOf<R extends { readonly id: TaskId }>(
  rows: readonly R[],
  path: string,
  query: Query & { readonly limit: number },
): { page: readonly R[]; next_cursor: string | null; next: string | null } {
  const page = rows.slice(0, query.limit);
  const last = page.at(-1);
  const cursor = rows.length > query.limit && last !== undefined ? cursorOf(last.id) : null;
  const next = cursor === null ? null : nextPage(path, { ...query, cursor });
  return { page, next_cursor: cursor, next };
}

/** Opaque to callers: what it holds may change. */
const cursorOf = (last: TaskId): string => Buffer.from(`1:${last}`).toString('base64url');

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
export function nextPage(path: string, query: Query): string {
  const given = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) given.set(name, String(value));
  }
  return `${path}?${given.toString()}`;
}
