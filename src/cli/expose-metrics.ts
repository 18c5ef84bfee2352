import type { Services } from '../composition/root.js';
import { tell } from './command.js';
import { exitCodes } from './exit-codes.js';
import { CliError } from './failure.js';

/**
 * Answers scrapes, where a port is configured for them. A process that cannot does not start: without
 * metrics nobody would be paged, and nobody would know.
 *
 * @returns what the process says when it is ready.
 * @throws CliError `address_in_use`; the services are closed then.
 */
export async function exposeMetrics(
  services: Pick<Services, 'config' | 'metrics' | 'close'>,
): Promise<{ metrics?: string }> {
  if (services.metrics === null) return {};
  const { metricsHost: host, metricsPort } = services.config;
  try {
    const metrics = await services.metrics.listen();
    tell(`metrics at ${metrics}`);
    return { metrics };
  } catch (error) {
    await services.close();
    throw cannotListen(error, { host, port: metricsPort ?? 0, choose: 'RECOUP_METRICS_PORT' });
  }
}

/** What to throw when an address cannot be listened at. */
export function cannotListen(
  error: unknown,
  { host, port, choose }: { readonly host: string; readonly port: number; readonly choose: string },
): unknown {
  const { code = '' } = error as NodeJS.ErrnoException;
  if (!/^(EADDR|EACCES)/.test(code)) return error;
  return new CliError(
    'address_in_use',
    `Cannot listen at ${host}:${port}: ${code}.`,
    `Choose another with ${choose}; 0 takes any that is free.`,
    exitCodes.unavailable,
  );
}
