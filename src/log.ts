import winston from 'winston';

/** Structured logging; `fields` must hold no secret and no account token. */
export interface Log {
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void;
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

/**
 * JSON lines on stderr: stdout belongs to results. Whoever logs gives ids and codes, never tokens,
 * secrets or request bodies (rule 13; the tests sweep the output for planted numbers).
 */
export function createLog(level: string, fixed: Readonly<Record<string, unknown>> = {}): Log {
  const logger = winston.createLogger({
    level,
    defaultMeta: fixed,
    format: winston.format.combine(winston.format.timestamp(), winston.format.json()),
    transports: [
      new winston.transports.Console({ stderrLevels: ['error', 'warn', 'info', 'debug'] }),
    ],
  });
  // winston makes a line of whatever it is given, and drops it only then if its level is not wanted.
  const at = (one: keyof Log): Log[typeof one] =>
    logger.isLevelEnabled(one)
      ? (message, fields) => void logger.log(one, message, fields)
      : () => undefined;
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

export const silentLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};
