import type { FastifyRequest } from 'fastify';
import { callerOf, type HttpContext } from './context.js';
import { nextPage } from './cursor.js';
import * as wire from './wire-notices.js';
import type { App } from './zod-fastify.js';

/** What business systems are told, and where: for operators. */
export function noticeRoutes(app: App, context: HttpContext): void {
  readNotices(app, context);
  readDestinations(app, context);
  changeDestinations(app, context);
}

const actorOf = (request: FastifyRequest): string => {
  const { name, id } = callerOf(request);
  return `${name} (${id})`;
};

function readNotices(app: App, { services: { notices } }: HttpContext): void {
  const { desk } = notices;

  app.route({
    method: 'GET',
    url: '/v1/notices',
    schema: {
      summary: 'List notices, newest first',
      querystring: wire.noticesQuery,
      response: { 200: wire.noticePage },
    },
    config: { docs: { problems: ['invalid_request'] } },
    handler: async (request) => {
      const { type, task_id, state, destination_id, before, limit } = request.query;
      const asked = { type, taskId: task_id, state, destinationId: destination_id, before };
      const rows = await desk.list({ ...asked, limit: limit + 1 });
      const page = rows.slice(0, limit);
      const next = rows.length > limit ? (page.at(-1)?.id ?? null) : null;
      return {
        notices: page.map(wire.noticeView),
        next_before: next,
        next: next === null ? null : nextPage('/v1/notices', { ...request.query, before: next }),
      };
    },
  });

  app.route({
    method: 'GET',
    url: '/v1/notices/:id',
    schema: {
      summary: 'Read a notice, what is sent, and every try',
      params: wire.noticeParams,
      response: { 200: wire.noticeDetail },
    },
    config: { docs: { problems: ['notice_unknown'] } },
    handler: async (request) => wire.storyView(await desk.show(request.params.id)),
  });

  app.route({
    method: 'POST',
    url: '/v1/notices/:id/redeliver',
    schema: {
      summary: 'Send a notice again',
      params: wire.noticeParams,
      querystring: wire.redeliverQuery,
      response: { 200: wire.noticeDetail },
    },
    config: {
      docs: {
        description:
          'Whether it was delivered or given up: at once, under the same `webhook-id` and with the ' +
          'same body, and its schedule starts anew.',
        problems: ['notice_unknown', 'destination_unknown', 'invalid_request'],
      },
    },
    handler: async (request) => {
      const { destination_id: to = null } = request.query;
      return wire.storyView(await desk.redeliver(request.params.id, to, actorOf(request)));
    },
  });
}

function readDestinations(app: App, { services: { notices } }: HttpContext): void {
  const { desk } = notices;

  app.route({
    method: 'GET',
    url: '/v1/notice-destinations',
    schema: {
      summary: 'List where notices go, and what waits there',
      response: { 200: wire.destinationList },
    },
    config: { docs: { problems: [] } },
    handler: async () => ({ destinations: (await desk.destinations()).map(wire.destinationView) }),
  });

  app.route({
    method: 'POST',
    url: '/v1/notice-destinations',
    schema: {
      summary: 'Add a destination',
      body: wire.destinationBody,
      response: { 200: wire.destination },
    },
    config: {
      docs: {
        description:
          'It is told of what happens from five seconds on. Its secrets are named, never sent: they ' +
          'are environment variables of the workers.',
        problems: ['malformed_body', 'invalid_request', 'destination_exists'],
      },
    },
    handler: async (request) => {
      const { id, url, types = '*', secret_envs: secretEnvs } = request.body;
      const added = await desk.add({ id, url, types, secretEnvs }, actorOf(request));
      return wire.destinationView(added);
    },
  });
}

function changeDestinations(app: App, { services: { notices } }: HttpContext): void {
  const { desk } = notices;

  for (const kind of ['pause', 'resume'] as const) {
    app.route({
      method: 'POST',
      url: `/v1/notice-destinations/:id/${kind}`,
      schema: {
        summary: kind === 'pause' ? 'Send nothing there for now' : 'Send there again',
        params: wire.noticeParams,
        response: { 200: wire.destination },
      },
      config: {
        docs: {
          description:
            'What happens meanwhile waits for it. Within five seconds, in every process.',
          problems: ['destination_unknown'],
        },
      },
      handler: async (request) =>
        wire.destinationView(await desk.change(request.params.id, { kind }, actorOf(request))),
    });
  }

  app.route({
    method: 'POST',
    url: '/v1/notice-destinations/:id/secrets',
    schema: {
      summary: 'Say what notices for a destination are signed with',
      params: wire.noticeParams,
      body: wire.secretsBody,
      response: { 200: wire.destination },
    },
    config: {
      docs: {
        description: 'To replace a secret name both, until the receiver knows the new one.',
        problems: ['malformed_body', 'invalid_request', 'destination_unknown'],
      },
    },
    handler: async (request) => {
      const change = { kind: 'secrets', secretEnvs: request.body.secret_envs } as const;
      const { id } = request.params;
      return wire.destinationView(await desk.change(id, change, actorOf(request)));
    },
  });

  app.route({
    method: 'DELETE',
    url: '/v1/notice-destinations/:id',
    schema: {
      summary: 'Remove a destination; what waits for it is dropped',
      params: wire.noticeParams,
      response: { 200: wire.removed },
    },
    config: { docs: { problems: ['destination_unknown'] } },
    handler: async (request) => {
      const { id } = request.params;
      await desk.remove(id, actorOf(request));
      return { id, removed: true as const };
    },
  });
}
