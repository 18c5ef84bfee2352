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
    code.startsWith('PROTOCOL_') ||
    connectionCodes.has(code) ||
    passingErrnos.has(errno)
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

const passingErrnos = new Set([
  1040, // too many connections
  1290,
  1792,
  1836, // read-only
  1021,
  1030,
  1114, // disk full, table full
  1053,
  1077,
  1079, // shutting down
  1205,
  1213, // lock wait, deadlock
  1317, // interrupted
  1927, // connection killed
]);
