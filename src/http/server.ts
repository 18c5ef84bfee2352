import { randomUUID } from 'node:crypto';
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { RecoupError } from '../errors.js';
import { Keyring, rolesFor } from './access.js';
import { batchRoutes } from './batch-routes.js';
import { callbackRoutes } from './callback-routes.js';
import { channelRoutes } from './channel-routes.js';
import { caseRoutes } from './case-routes.js';
import { Closing } from './closing.js';
import { HttpContext } from './context.js';
import { deductionRoutes } from './deduction-routes.js';
import { refundRoutes } from './refund-routes.js';
import { healthRoutes } from './health-routes.js';
import { openapiInfo, openapiTransforms } from './openapi.js';
import { operationRoutes } from './operation-routes.js';
import { ledgerRoutes } from './ledger-routes.js';
import { noticeRoutes } from './notice-routes.js';
import { OutcomeWatch } from './outcome-watch.js';
import type { HttpServices } from './ports.js';
import { codedError, problemHeaders, problemOf, rawProblem, traceOf } from './problems.js';
import { reconciliationRoutes } from './reconciliation-routes.js';
import { repaymentRoutes } from './repayment-routes.js';
import { RunGate } from './run-gate.js';
import { memberRoutes } from './member-routes.js';
import { topUpRoutes } from './top-up-routes.js';
import { withdrawalRoutes } from './withdrawal-routes.js';
import { serializerCompiler, validatorCompiler, type App } from './zod-fastify.js';

export interface HttpOptions {
  /** Deductions under way in this process that HTTP has started, at most. */
  readonly runsMax?: number;
  /** Callers who wait for the result of a deduction that waits for its channel, at most. */
  readonly waitingMax?: number;
}

const runsMaxUsual = 512;
const headerBytesMax = 16 * 1024;
/** A request must have arrived, body and all, within this; a large file on a slow line takes long. */
const requestMs = 300_000;
const headersMs = 15_000;

/**
 * The HTTP API and the channels' callbacks. The instance is returned before it is ready: `listen` it
 * (do not `await` it: it is thenable). `close` stops taking requests, lets those under way be
 * answered, waits for the runs they started, and leaves the services open.
 */
export function createHttpServer(
  services: HttpServices,
  { runsMax = runsMaxUsual, waitingMax }: HttpOptions = {},
): FastifyInstance {
  const closing = new Closing();
  const gate = new RunGate(runsMax);
  const watch = new OutcomeWatch(services.deductions, services.clock, services.log, waitingMax);
  const context = new HttpContext(services, gate, watch, closing);
  const app = fastify({
    logger: false,
    trustProxy: false,
    bodyLimit: services.config.bodyLimitBytes,
    requestTimeout: requestMs,
    keepAliveTimeout: 65_000,
    return503OnClosing: false,
    routerOptions: { maxParamLength: 200 },
    genReqId: () => randomUUID(),
    http: { maxHeaderSize: headerBytesMax, headersTimeout: headersMs },
    frameworkErrors: (error, request, reply) => {
      refuse(error, request, reply, services);
    },
    clientErrorHandler: (error, socket) => {
      if (error.code === 'ECONNRESET' || !socket.writable) return;
      socket.end(rawProblem(clientErrorCode(error.code), randomUUID()));
    },
  });
  app.decorateRequest('caller', null);
  app.setValidatorCompiler(validatorCompiler as never);
  app.setSerializerCompiler(serializerCompiler(services.log) as never);
  acceptJson(app);
  app.setErrorHandler((error, request, reply) => refuse(error, request, reply, services));
  app.setNotFoundHandler((request, reply) =>
    refuse(new RecoupError('not_found'), request, reply, services),
  );
  hooks(app, context);
  const methodsOf = collectMethods(app);
  const { transform, transformObject } = openapiTransforms();
  app.register(swagger, { openapi: openapiInfo, transform, transformObject });
  app.register(swaggerUi, { routePrefix: '/docs' });
  app.register(async (scope) => routes(scope, context));
  app.register(async (scope) => refuseOtherMethods(scope, methodsOf));
  app.addHook('preClose', async () => closing.begin());
  app.addHook('onClose', async () => await gate.drained());
  return app;
}

async function routes(app: FastifyInstance, context: HttpContext): Promise<void> {
  app.register(async (scope) => healthRoutes(scope as unknown as App, context));
  app.register(async (scope) => callbackRoutes(scope, context));
  app.register(async (scope) => {
    const v1 = scope as unknown as App;
    const keyring = new Keyring(context.services.access, context.services.clock);
    scope.addHook('onRequest', async (request, reply) => {
      request.caller = await keyring.identify(request.headers.authorization);
      const roles = rolesFor(request.method, request.routeOptions.url ?? '');
      if (roles?.includes(request.caller.role) !== true) {
        throw new RecoupError('forbidden', { role: request.caller.role, roles: roles ?? [] });
      }
      reply.header('cache-control', 'no-store');
    });
    scope.addHook('onRoute', ({ method, url }) => {
      for (const one of [method].flat()) {
        if (rolesFor(one, url) === undefined) throw new Error(`no roles for ${one} ${url}`);
      }
    });
    deductionRoutes(v1, context);
    refundRoutes(v1, context);
    withdrawalRoutes(v1, context);
    topUpRoutes(v1, context);
    memberRoutes(v1, context);
    repaymentRoutes(v1, context);
    operationRoutes(v1, context);
    ledgerRoutes(v1, context);
    channelRoutes(v1, context);
    scope.register(async (inner) => reconciliationRoutes(inner as unknown as App, context));
    caseRoutes(v1, context);
    noticeRoutes(v1, context);
    // In a scope of its own: only there is a CSV a body.
    scope.register(async (inner) => batchRoutes(inner as unknown as App, context));
  });
}

/** JSON in UTF-8 and nothing else. An empty body is no body: for `pause` and its like. */
function acceptJson(app: FastifyInstance): void {
  const utf8 = new TextDecoder('utf-8', { fatal: true });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => {
    if (body.length === 0) return done(null, undefined);
    try {
      done(null, JSON.parse(utf8.decode(body as Buffer)));
    } catch {
      done(new RecoupError('malformed_body'));
    }
  });
}

function hooks(app: FastifyInstance, { services, closing }: HttpContext): void {
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id).header('x-content-type-options', 'nosniff');
    if (closing.begun) {
      throw new RecoupError('overloaded', { detail: 'This process is closing.' });
    }
    const encoding = request.headers['content-encoding'] ?? 'identity';
    if (encoding !== 'identity') {
      throw new RecoupError('unsupported_media_type', { detail: 'Send the body uncompressed.' });
    }
  });
  app.addHook('onSend', async (_request, reply) => {
    // A connection kept alive would keep the closing server, too.
    if (closing.begun) reply.header('connection', 'close');
  });
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'none';
    services.httpObserver?.answered(request.method, route, reply.statusCode, reply.elapsedTime);
    const probe = route === '/healthz' || route === '/readyz';
    services.log[probe ? 'debug' : 'info']('request', {
      request_id: request.id,
      method: request.method,
      // The route's pattern, not the address: an address may hold anything.
      route,
      status: reply.statusCode,
      ms: Math.round(reply.elapsedTime),
      key_id: request.caller?.id,
    });
  });
}

function refuse(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  { log, httpObserver }: Pick<HttpServices, 'log' | 'httpObserver'>,
): void {
  const coded = codedError(error);
  httpObserver?.refused(coded.code);
  if (coded.status >= 500) {
    const expected = coded.code === 'overloaded' || coded.code === 'busy';
    const about = { request_id: request.id, code: coded.code };
    if (expected) log.info('request put off', about);
    else if (coded.code === 'journal_unavailable') log.warn('request put off', about);
    else log.error('request failed', { ...about, ...traceOf(coded.cause ?? coded) });
  }
  reply
    .code(coded.status)
    .headers({ ...problemHeaders(coded), 'x-request-id': request.id })
    .serializer((text: string) => text)
    .send(JSON.stringify(problemOf(coded, request.id)));
}

function clientErrorCode(code: string | undefined) {
  if (code === 'HPE_HEADER_OVERFLOW') return 'headers_too_large';
  return code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 'request_timeout' : 'malformed_request';
}

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const;
type Method = (typeof methods)[number];

function collectMethods(app: FastifyInstance): ReadonlyMap<string, ReadonlySet<string>> {
  const methodsOf = new Map<string, Set<string>>();
  app.addHook('onRoute', ({ method, url }) => {
    if (url.startsWith('/docs')) return;
    const known = methodsOf.get(url) ?? new Set();
    for (const one of [method].flat()) known.add(one);
    methodsOf.set(url, known);
  });
  return methodsOf;
}

/** What is known under another method is 405, not 404; before a body is read. */
function refuseOtherMethods(
  app: FastifyInstance,
  methodsOf: ReadonlyMap<string, ReadonlySet<string>>,
): void {
  // A copy: the routes added here are collected, too.
  const routes = Array.from(methodsOf);
  for (const [url, known] of routes) {
    const allow = [...known].sort();
    const others: Method[] = methods.filter((method) => !known.has(method));
    app.route({
      method: others,
      url,
      schema: { hide: true },
      onRequest: async () => {
        throw new RecoupError('method_not_allowed', { allow });
      },
      handler: () => undefined,
    });
  }
}
