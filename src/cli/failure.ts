import { RecoupError, type ErrorCode } from '../errors.js';
import { storeIsAway } from '../store-away.js';
import { exitCodes, type ExitCode } from './exit-codes.js';

/** An error as the command line tells it: what, what to do, and the exit code. */
export interface Failure {
  readonly code: string;
  readonly title: string;
  readonly action: string;
  readonly details: Readonly<Record<string, unknown>>;
  readonly exitCode: ExitCode;
}

/** A failure of the command line's own: a bad argument, a file that is not there, a store away. */
export class CliError extends Error {
  override readonly name = 'CliError';

  constructor(
    readonly code: string,
    readonly title: string,
    readonly action: string,
    readonly exitCode: ExitCode,
    readonly details: Readonly<Record<string, unknown>> = {},
  ) {
    super(title);
  }
}

export const badUsage = (title: string, action: string): CliError =>
  new CliError('bad_usage', title, action, exitCodes.refused);

/** These say "not now" rather than "not so". */
const passing: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'busy',
  'journal_unavailable',
  'schema_outdated',
  'no_eligible_channel',
  'rate_limited',
  'reconciliation_busy',
]);

export function failureOf(error: unknown): Failure {
  if (error instanceof CliError) {
    const { code, title, action, details, exitCode } = error;
    return { code, title, action, details, exitCode };
  }
  if (error instanceof RecoupError) {
    const { code, title, action, details } = error;
    return { code, title, action, details, exitCode: exitCodeOf(code) };
  }
  const { code, errno, path } = error as { code?: string; errno?: number; path?: string };
  if (code === 'ENOENT' || code === 'EISDIR' || code === 'EACCES') {
    return {
      code: 'file_unreadable',
      title: `The file ${path ?? ''} cannot be read (${code}).`,
      action: 'Check the path.',
      details: {},
      exitCode: exitCodes.refused,
    };
  }
  if (errno !== undefined && refusals.has(errno)) {
    return {
      code: 'database_refused',
      title: 'The database refuses the user, or has no such database.',
      action: 'Correct RECOUP_DATABASE_URL and RECOUP_MIGRATION_URL, or run `recoup migrate`.',
      details: { why: code ?? errno },
      exitCode: exitCodes.refused,
    };
  }
  if (storeIsAway(error)) {
    return {
      code: 'store_unavailable',
      title: 'The database does not answer, or takes no writes now.',
      action: 'Run `recoup doctor`.',
      details: { why: code ?? errno ?? 'timeout' },
      exitCode: exitCodes.unavailable,
    };
  }
  return {
    code: 'internal',
    title: 'Something went wrong on our side.',
    action: 'Repeat with --debug for the whole story.',
    details: { why: String(error).slice(0, 500) },
    exitCode: exitCodes.internal,
  };
}

function exitCodeOf(code: ErrorCode): ExitCode {
  if (code === 'internal') return exitCodes.internal;
  return passing.has(code) ? exitCodes.unavailable : exitCodes.refused;
}

/** Database denied, wrong password, no such database, command or column denied. */
const refusals = new Set([1044, 1045, 1049, 1142, 1227, 1698]);
