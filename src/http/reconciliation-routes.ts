import { Readable } from 'node:stream';
import type { FastifyRequest } from 'fastify';
import { RecoupError } from '../errors.js';
import { callerOf, type HttpContext } from './context.js';
import type { HttpServices } from './ports.js';
import {
  breakList,
  breaksQuery,
  breakView,
  reconcileQuery,
  reconciliation,
  reconciliationList,
  reconciliationView,
  runsQuery,
  statementBody,
} from './reconciliation-wire.js';
import { RunGate } from './run-gate.js';
import { withUpload } from './upload.js';
import * as requests from './wire-requests.js';
import type { App } from './zod-fastify.js';

/** Each reads and writes a day's rows: a few at once are all that the database can do. */
const runsMax = 2;

export function reconciliationRoutes(app: App, context: HttpContext): void {
  startReconciliation(app, context);
  readReconciliations(app, context.services);
  readBreaks(app, context.services);
}

function startReconciliation(app: App, context: HttpContext): void {
  const { reconciler, config } = context.services;
  const runs = new RunGate(runsMax);
  // The body is read by the handler, after the key was checked.
  app.addContentTypeParser('application/octet-stream', (_request, payload, done) =>
    done(null, payload),
  );

  app.route({
    method: 'POST',
    url: '/v1/reconciliations',
    schema: {
      summary: "Hold a channel's statement of a day against our book",
      querystring: reconcileQuery,
      body: { content: { 'application/octet-stream': { schema: statementBody } } },
      response: { 200: reconciliation },
    },
    config: { docs: startDocs },
    handler: async (request) => {
      const { channel_id: channelId, date, supersede } = request.query;
      const caller = callerOf(request);
      const by = `${caller.name} (${caller.id})`;
      const asked = { channelId, date, supersede: supersede === 'true', by };
      return await runs.pass(async () => {
        await context.audit(caller, 'reconcile', `${channelId} ${date}`, { supersede });
        const done = await withFile(request, config.uploadLimitBytes, (file) =>
          reconciler.run({ ...asked, file }),
        );
        return reconciliationView(done.run, done.breaksOpen);
      });
    },
  });
}

async function withFile<T>(
  request: FastifyRequest,
  bytesMax: number,
  use: (path: string | null) => Promise<T>,
): Promise<T> {
  const { body } = request;
  if (!(body instanceof Readable)) return await use(null);
  const declared = Number(request.headers['content-length'] ?? Number.NaN);
  const declaredBytes = Number.isFinite(declared) ? declared : null;
  return await withUpload(body, { declaredBytes, bytesMax }, use);
}

function readReconciliations(app: App, { breaks }: HttpServices): void {
  app.route({
    method: 'GET',
    url: '/v1/reconciliations',
    schema: {
      summary: 'List reconciliations, newest first',
      querystring: runsQuery,
      response: { 200: reconciliationList },
    },
    config: { docs: { problems: ['invalid_request'] } },
    handler: async (request) => {
      const { channel_id: channelId, date, limit } = request.query;
      const found = await breaks.runs({ channelId, date, limit });
      const views = found.map(async (run) =>
        reconciliationView(run, await breaks.openCount(run.channelId, run.date)),
      );
      return { reconciliations: await Promise.all(views) };
    },
  });

  app.route({
    method: 'GET',
    url: '/v1/reconciliations/:id',
    schema: {
      summary: 'Read a reconciliation and its report',
      params: requests.idParams,
      response: { 200: reconciliation },
    },
    config: { docs: { problems: ['reconciliation_unknown'] } },
    handler: async (request) => {
      const run = await breaks.run(request.params.id);
      if (run === null) throw new RecoupError('reconciliation_unknown');
      return reconciliationView(run, await breaks.openCount(run.channelId, run.date));
    },
  });
}

function readBreaks(app: App, { breaks }: HttpServices): void {
  app.route({
    method: 'GET',
    url: '/v1/breaks',
    schema: {
      summary: "List differences between channels' statements and our book, oldest first",
      querystring: breaksQuery,
      response: { 200: breakList },
    },
    config: { docs: { problems: ['invalid_request'] } },
    handler: async (request) => {
      const { channel_id: channelId, date, open, after, limit } = request.query;
      const isOpen = open === undefined ? undefined : open === 'true';
      const filter = { channelId, date, open: isOpen, afterId: after };
      const found = await breaks.list({ ...filter, limit: limit + 1 });
      const page = found.slice(0, limit);
      const next = found.length > limit ? (page.at(-1)?.id ?? null) : null;
      return { breaks: page.map(breakView), next };
    },
  });
}

const startDocs = {
  description:
    "The body is the statement's file as it came from the channel, as `application/octet-stream`; " +
    'without one, the statement that was brought before is matched anew. A file is taken whole or ' +
    'not at all; the same file again is harmless. Answers when the day is matched, what is provable ' +
    'is mended and the control totals are checked.',
  problems: [
    'invalid_request',
    'body_too_large',
    'unsupported_media_type',
    'channel_unknown',
    'statement_unsupported',
    'statement_missing',
    'statement_differs',
    'statement_head',
    'statement_row',
    'statement_encoding',
    'statement_line_end',
    'statement_truncated',
    'statement_trailer',
    'statement_totals',
    'statement_digest',
    'statement_too_large',
    'reconciliation_busy',
    'overloaded',
    'journal_unavailable',
  ],
} as const;
