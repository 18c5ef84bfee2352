/** Errors as RFC 9457 problem documents. What is not coded is `internal`, and says nothing more. */
import { errorTable, RecoupError, type ErrorCode } from '../errors.js';
import { storeIsAway } from '../store-away.js';

export const problemType = 'application/problem+json';

export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: ErrorCode;
  readonly action: string;
  readonly request_id: string;
}

/** Seconds after which repeating makes sense. */
const retryAfterS: Partial<Record<ErrorCode, number>> = {
  busy: 2,
  overloaded: 1,
  journal_unavailable: 2,
  schema_outdated: 10,
  idempotency_in_progress: 1,
};

export const problemUri = (code: ErrorCode): string => `urn:recoup:problem:${code}`;

export function problemOf(error: RecoupError, requestId: string): Problem {
  const { detail, ...details } = error.details;
  return {
    ...details,
    type: problemUri(error.code),
    title: error.title,
    status: error.status,
    detail: typeof detail === 'string' ? detail : error.title,
    code: error.code,
    action: error.action,
    request_id: requestId,
  };
}

export function problemHeaders({ code, details }: RecoupError): Record<string, string> {
  const headers: Record<string, string> = { 'content-type': `${problemType}; charset=utf-8` };
  const { deduction_id: deductionId, allow, retry_after_s: ownRetryS } = details;
  const retryS = typeof ownRetryS === 'number' ? ownRetryS : retryAfterS[code];
  if (retryS !== undefined) headers['retry-after'] = String(retryS);
  if (typeof deductionId === 'string') headers['location'] = `/v1/deductions/${deductionId}`;
  if (code === 'unauthorized') headers['www-authenticate'] = 'Bearer realm="recoup"';
  if (code === 'method_not_allowed' && Array.isArray(allow)) headers['allow'] = allow.join(', ');
  // What is left of the body is not worth reading.
  if (code === 'body_too_large') headers['connection'] = 'close';
  return headers;
}

/** The coded error behind whatever was thrown: by us, by fastify, by the database's driver. */
export function codedError(error: unknown): RecoupError {
  if (error instanceof RecoupError) return error;
  const { code = '', errno = 0, statusCode } = error as ForeignError;
  const known = fastifyCodes[code];
  if (known !== undefined) return new RecoupError(known, {}, { cause: error });
  if (code.startsWith('FST_') && statusCode !== undefined && statusCode < 500) {
    return new RecoupError(
      statusCode === 404 ? 'not_found' : 'malformed_request',
      {},
      { cause: error },
    );
  }
  if (schemaErrnos.has(errno)) return new RecoupError('schema_outdated', {}, { cause: error });
  if (storeIsAway(error)) return new RecoupError('journal_unavailable', {}, { cause: error });
  return new RecoupError('internal', {}, { cause: error });
}

/** What may be logged of an error: never its message, which may quote somebody's input. */
export function traceOf(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { error: typeof error };
  const { code, errno } = error as ForeignError;
  const frames = (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
  return { error: error.name, code, errno, at: frames.slice(0, 6).map((line) => line.trim()) };
}

interface ForeignError {
  readonly code?: string;
  readonly errno?: number;
  readonly statusCode?: number;
}

const fastifyCodes: Readonly<Record<string, ErrorCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'body_too_large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported_media_type',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'malformed_request',
  FST_ERR_CTP_INVALID_JSON_BODY: 'malformed_body',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'malformed_body',
  FST_ERR_NOT_FOUND: 'not_found',
};

/** No such table, no such column, no right to it. */
const schemaErrnos = new Set([1146, 1054, 1142, 1049]);
/** For what comes before fastify: a response on the bare socket. */
export function rawProblem(code: ErrorCode, requestId: string): string {
  const error = new RecoupError(code);
  const body = JSON.stringify(problemOf(error, requestId));
  const [status] = errorTable[code];
  return [
    `HTTP/1.1 ${status} ${error.code}`,
    `content-type: ${problemType}; charset=utf-8`,
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
    '',
    body,
  ].join('\r\n');
}
