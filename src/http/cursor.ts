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
