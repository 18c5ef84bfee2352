import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { z } from 'zod';
import { RecoupError } from '../errors.js';
import { isTaskId } from '../ids.js';
import type { LoadedBatch } from '../intake/batch-desk.js';
import type { Batch } from '../intake/batch.js';
import { callerOf, type HttpContext } from './context.js';
import type { HttpServices } from './ports.js';
import { RunGate } from './run-gate.js';
import { withUpload } from './upload.js';
import { batchView } from './views.js';
import * as replies from './wire-replies.js';
import * as requests from './wire-requests.js';
import type { App } from './zod-fastify.js';

/** Each writes rows as fast as the database takes them: a few at once are all it can do. */
const loadsMax = 4;

export function batchRoutes(app: App, context: HttpContext): void {
  loadBatch(app, context.services);
  readBatch(app, context.services);
  readRejected(app, context.services);
  moveBatch(app, context, {
    verb: 'pause',
    summary: 'Pause a batch',
    description: 'Rows under way end; no further row is started.',
  });
  moveBatch(app, context, {
    verb: 'resume',
    summary: 'Go on with a paused batch',
    description: 'The rows that were not started are started.',
  });
}

function loadBatch(app: App, { batchDesk, batches, config }: HttpServices): void {
  const loads = new RunGate(loadsMax);
  // The body is read by the handler, after the key was checked.
  app.addContentTypeParser('text/csv', (_request, payload, done) => done(null, payload));

  const upload = async (request: FastifyRequest, body: Readable): Promise<LoadedBatch> => {
    const { name = 'upload', again } = request.query as { name?: string; again?: string };
    const declared = Number(request.headers['content-length'] ?? Number.NaN);
    const declaredBytes = Number.isFinite(declared) ? declared : null;
    const limits = { declaredBytes, bytesMax: config.uploadLimitBytes };
    return await withUpload(body, limits, (path) => batchDesk.load(path, name, again));
  };

  const answer = async ({ batch, known, notes }: LoadedBatch, reply: FastifyReply) => {
    reply.code(known ? 200 : 202).header('location', `/v1/batches/${batch.id}`);
    const view = batchView(batch, await batches.progress(batch.id));
    return notes.length === 0 ? view : { ...view, notes: [...notes] };
  };

  app.route({
    method: 'POST',
    url: '/v1/batches',
    schema: {
      summary: 'Load a batch and set it running',
      querystring: requests.batchQuery,
      body: {
        content: {
          'application/json': { schema: requests.batchBody },
          'text/csv': { schema: requests.csvBody },
        },
      },
      response: { 200: replies.batch, 202: replies.batch },
    },
    config: { docs: loadDocs },
    handler: async (request, reply) => {
      const { body } = request;
      const loaded = await loads.pass(async () => {
        if (body instanceof Readable) return await upload(request, body);
        const { business_date, again } = named(body);
        return await batchDesk.loadDue(business_date, again);
      });
      return await answer(loaded, reply);
    },
  });
}

/** Without a content type there is no body, and no schema that says so. */
function named(body: unknown): z.output<typeof requests.batchBody> {
  const parsed = requests.batchBody.safeParse(body);
  if (parsed.success) return parsed.data;
  const message = 'a JSON object, or a file as text/csv';
  throw new RecoupError('invalid_request', { problems: [{ in: 'body', field: '', message }] });
}

function readBatch(app: App, { batchDesk, batches }: HttpServices): void {
  app.route({
    method: 'GET',
    url: '/v1/batches/:id',
    schema: {
      summary: 'Read a batch and how far it is',
      params: requests.idParams,
      response: { 200: replies.batch },
    },
    config: { docs: { problems: ['batch_unknown'] } },
    handler: async (request) => {
      const batch = await find(batchDesk, request.params.id);
      return batchView(batch, await batches.progress(batch.id));
    },
  });
}

function readRejected(app: App, { batchDesk, batches }: HttpServices): void {
  app.route({
    method: 'GET',
    url: '/v1/batches/:id/rejected',
    schema: {
      summary: 'List the rows of a batch that were refused, by line',
      params: requests.idParams,
      querystring: requests.rejectedQuery,
      response: { 200: replies.rejectedPage },
    },
    config: { docs: { problems: ['batch_unknown', 'invalid_request'] } },
    handler: async (request) => {
      const { id } = await find(batchDesk, request.params.id);
      const { limit, after_line } = request.query;
      const rows = await batches.rejected(id, after_line, limit + 1);
      const page = rows.slice(0, limit);
      const last = page.at(-1);
      const more = rows.length > limit && last !== undefined;
      return {
        rejected: page.map(({ lineNo, code, detail }) => ({ line_no: lineNo, code, detail })),
        next: more ? `/v1/batches/${id}/rejected?after_line=${last.lineNo}&limit=${limit}` : null,
      };
    },
  });
}

interface Move {
  readonly verb: 'pause' | 'resume';
  readonly summary: string;
  readonly description: string;
}

function moveBatch(app: App, context: HttpContext, { verb, summary, description }: Move): void {
  const { batchDesk, batches } = context.services;
  app.route({
    method: 'POST',
    url: `/v1/batches/:id/${verb}`,
    schema: { summary, params: requests.idParams, response: { 200: replies.batch } },
    config: { docs: { description, problems: ['batch_unknown', 'batch_state'] } },
    handler: async (request) => {
      const { id } = await find(batchDesk, request.params.id);
      await context.audit(callerOf(request), `batch_${verb}`, id);
      const batch = await batchDesk[verb](id);
      return batchView(batch, await batches.progress(id));
    },
  });
}

async function find(batchDesk: HttpServices['batchDesk'], id: string): Promise<Batch> {
  if (!isTaskId(id)) throw new RecoupError('batch_unknown');
  return await batchDesk.find(id);
}

const loadDocs = {
  description:
    'A CSV file as `text/csv`, or JSON that names a business date: then all registered repayments ' +
    'due on it. Answers when every row is loaded, so that all of the file is reported at once; the ' +
    'deductions go on afterwards. The same file or date again is the same batch (200), unless ' +
    '`again` names another. A load that was cut off is gone on with by sending the file again.',
  problems: [
    'csv_headers',
    'csv_empty',
    'body_too_large',
    'unsupported_media_type',
    'malformed_body',
    'invalid_request',
    'overloaded',
    'journal_unavailable',
  ],
} as const;
