import type { AddressInfo } from 'node:net';
import type { Command } from 'commander';
import type { Services } from '../composition/root.js';
import { createHttpServer } from '../http/server.js';
import { asWhole, command, print, run, tell, type CommonOptions } from './command.js';
import { exitCodes } from './exit-codes.js';
import { cannotListen, exposeMetrics } from './expose-metrics.js';
import { openServices } from './session.js';
import { stopSignal, within } from './shutdown.js';

interface ServeOptions extends CommonOptions {
  readonly host?: string;
  readonly port?: number;
  readonly worker?: boolean;
  readonly drain: number;
}

type Server = ReturnType<typeof createHttpServer>;

export function serveCommand(): Command {
  return command('serve', 'the HTTP API, and the address that channels call back')
    .option('--host <host>', 'where to listen; RECOUP_HTTP_HOST unless given')
    .option('--port <port>', 'RECOUP_HTTP_PORT unless given; 0: any', asWhole(0, 65_535))
    .option('--worker', 'collect batches, ask and resume in the same process')
    .option('--drain <seconds>', 'how long to finish what is under way', asWhole(0, 600), 30)
    .action(
      run<ServeOptions>(async (options) => {
        const services = await openServices({ ...options, name: 'api', stays: true });
        const metrics = await exposeMetrics(services);
        const server = createHttpServer(services);
        const url = await listen(server, services, options);
        if (options.worker === true) services.startWork();
        const ready = { ready: true, url, docs: `${url}/docs`, pid: process.pid, ...metrics };
        if (options.json === true) {
          await print(JSON.stringify({ ...ready, instance_id: services.instanceId }));
        } else tell(`Recoup listens at ${url}; the API is described at ${url}/docs`);
        const signal = await stopSignal();
        const closed = server.close().then(() => services.close());
        const drained = await within(options.drain * 1_000, closed);
        return {
          json: { stopped: true, signal, drained },
          text: drained ? 'stopped' : 'stopped; what was under way is resumed by others',
          exitCode: drained ? exitCodes.done : exitCodes.open,
        };
      }),
    );
}

/** Connections that come at once wait to be accepted; Node's 511 is less than one batch of callers. */
const backlog = 4_096;

async function listen(server: Server, services: Services, options: ServeOptions): Promise<string> {
  const { config } = services;
  const host = options.host ?? config.httpHost;
  const port = options.port ?? config.httpPort;
  try {
    await server.listen({ host, port, backlog });
  } catch (error) {
    await server.close();
    await services.close();
    throw cannotListen(error, { host, port, choose: '--port or RECOUP_HTTP_PORT' });
  }
  const bound = server.server.address() as AddressInfo;
  const name = bound.family === 'IPv6' ? `[${bound.address}]` : bound.address;
  return `http://${name}:${bound.port}`;
}
