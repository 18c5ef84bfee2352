/** What a driver's error says of its store: not there now, or refusing for a reason that passes. */

interface DriverError {
  readonly name?: string;
  readonly code?: string;
  readonly errno?: number;
  readonly message?: string;
}

/** The request may be repeated later as it is; whether it was carried out is another question. */
export function storeIsAway(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false;
  const { name = '', code = '', errno = 0, message = '' } = error as DriverError;
  return (
    name === 'KnexTimeoutError' ||
    /acquiring a connection/i.test(message) ||
    // Without a code: knex tells of the ROLLBACK that failed, and not of what failed before it.
    /connection is in closed state/.test(message) ||
    code.startsWith('PROTOCOL_') ||
    connectionCodes.has(code) ||
    refusedForNow.has(errno) ||
    lockConflicts.has(errno)
  );
}

const connectionCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ETIMEDOUT',
  'EPIPE',
  'EHOSTUNREACH',
  'ENOTFOUND',
]);

/** The server says no for now; nothing was written. */
export const refusedForNow: ReadonlySet<number> = new Set([
  1040, // too many connections
  1203,
  1226, // too many of this user
  1290,
  1792,
  1836, // read-only
  1021,
  1030,
  1114, // disk full, table full
  1053,
  1077,
  1079, // shutting down
  1317, // interrupted
  1927, // connection killed
  3159,
]);

/** Another transaction was in the way; nothing was written. */
export const lockConflicts: ReadonlySet<number> = new Set([
  1213, // deadlock
  1205, // lock wait
  1020, // record changed (MariaDB, snapshot isolation)
]);
