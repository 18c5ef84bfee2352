import { connect } from 'node:net';
import { compose, type Services } from '../composition/root.js';
import { loadConfig, type Config } from '../config.js';
import type { Log } from '../engine/ports.js';
import { RecoupError } from '../errors.js';
import { createLog } from '../log.js';
import { pendingMigrations } from '../store/migrate.js';
import type { CommonOptions } from './command.js';
import { exitCodes } from './exit-codes.js';
import { CliError } from './failure.js';

export interface SessionOptions extends CommonOptions {
  /** Names the process in the log. */
  readonly name?: string;
  /** Of a process that stays; a command that answers and ends keeps quiet unless told. */
  readonly stays?: boolean;
}

/**
 * Opens everything a command needs, on a schema that is up to date and with the channels read.
 *
 * @throws RecoupError `config_invalid`, `schema_outdated`; CliError `store_unavailable`.
 */
export async function openServices(options: SessionOptions): Promise<Services> {
  const config = loadConfig(process.env);
  const log = logFor(config, options);
  await assertListening(config.databaseUrl, 3306, 'database');
  const { name } = options;
  const parts = { config, env: process.env, log };
  const services = compose({ ...parts, ...(name === undefined ? {} : { name }) });
  try {
    const pending = await pendingMigrations(services.database);
    if (pending.length > 0) throw new RecoupError('schema_outdated', { pending });
    await services.directory.refresh();
    return services;
  } catch (error) {
    await services.close();
    throw error;
  }
}

/** Opens, works, and closes whatever comes. */
export async function withServices<T>(
  options: SessionOptions,
  work: (services: Services) => Promise<T>,
): Promise<T> {
  const services = await openServices(options);
  try {
    return await work(services);
  } finally {
    await services.close();
  }
}

export function logFor(config: Config, options: SessionOptions): Log {
  const quiet = options.stays !== true && !process.env['RECOUP_LOG_LEVEL'];
  const level = options.debug === true ? 'debug' : quiet ? 'error' : config.logLevel;
  return createLog(level, options.name === undefined ? {} : { process: options.name });
}

const connectMs = 3_000;

/** A pool would keep trying for ten seconds what one look can tell. */
export async function assertListening(
  url: string,
  defaultPort: number,
  what: string,
): Promise<void> {
  const { hostname, port } = new URL(url);
  const at = { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port) || defaultPort };
  const why = await new Promise<string | null>((resolve) => {
    const socket = connect({ ...at, timeout: connectMs });
    const end = (answer: string | null): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => end(null));
    socket.once('timeout', () => end(`no answer within ${connectMs} ms`));
    socket.once('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
  });
  if (why === null) return;
  throw new CliError(
    'store_unavailable',
    `The ${what} at ${at.host}:${at.port} is out of reach: ${why}.`,
    `Start it, or correct RECOUP_${what.toUpperCase()}_URL; \`recoup doctor\` tells more.`,
    exitCodes.unavailable,
  );
}
