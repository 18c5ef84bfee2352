import type { HttpContext } from './context.js';
import * as replies from './wire-operations.js';
import type { App } from './zod-fastify.js';

/** A probe wants an answer before its own patience ends. */
const askMs = 2_000;

export function healthRoutes(app: App, { services, closing }: HttpContext): void {
  const { clock } = services;

  /** Undefined when it takes too long or fails. */
  async function soon<T>(ask: () => Promise<T>): Promise<T | undefined> {
    const answered = new AbortController();
    const late = clock.sleep(askMs, answered.signal).then(() => undefined);
    const answer = ask().catch(() => undefined);
    return await Promise.race([answer, late]).finally(() => answered.abort());
  }

  async function database(): Promise<'ok' | 'unreachable' | 'schema_outdated'> {
    const pending = await soon(() => services.pendingMigrations());
    if (pending === undefined) return 'unreachable';
    return pending.length === 0 ? 'ok' : 'schema_outdated';
  }

  app.route({
    method: 'GET',
    url: '/healthz',
    schema: { summary: 'The process is up', response: { 200: replies.health } },
    config: { docs: { problems: [] } },
    handler: () => ({ status: 'ok' as const }),
  });

  app.route({
    method: 'GET',
    url: '/readyz',
    schema: {
      summary: 'The process can serve',
      response: { 200: replies.readiness, 503: replies.readiness },
    },
    config: {
      docs: {
        description:
          'Not ready: the database does not answer, its schema is old, or the process is closing.',
        problems: [],
      },
    },
    handler: async (_request, reply) => {
      const [store, pong] = await Promise.all([database(), soon(() => services.redis.ping())]);
      const ready = store === 'ok' && !closing.begun;
      reply.code(ready ? 200 : 503);
      return {
        status: ready ? ('ready' as const) : ('not_ready' as const),
        database: store,
        redis: pong === undefined ? ('degraded' as const) : ('ok' as const),
        channels: services.directory.profiles().length,
      };
    },
  });
}
