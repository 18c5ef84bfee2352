import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { RecoupError } from '../errors.js';
import { isTaskId, type TaskId } from '../ids.js';
import type { LoadedBatch } from '../intake/batch-desk.js';
import type { Batch } from '../intake/batch.js';
import { callerOf, type HttpContext } from './context.js';
import { RunGate } from './run-gate.js';
import { withUpload } from './upload.js';
import { batchView } from './views.js';
import * as replies from './wire-replies.js';
import * as requests from './wire-requests.js';
import type { App } from './zod-fastify.js';

/** Each writes rows as fast as the database takes them: a few at once are all it can do. */
const loadsMax = 4;

export function batchRoutes(app: App, { services }: HttpContext): void {
  const { batchDesk, batches, config } = services;
  const loads = new RunGate(loadsMax);
  // The body is read by the handler, after the key was checked.
  app.addContentTypeParser('text/csv', (_request, payload, done) => done(null, payload));

  const find = async (id: string): Promise<Batch> => {
    if (!isTaskId(id)) throw new RecoupError('batch_unknown');
    return await batchDesk.find(id);
  };

  const upload = async (request: FastifyRequest, body: Readable): Promise<LoadedBatch> => {
    const { name = 'upload', again } = request.query as { name?: string; again?: string };
    const declared = Number(request.headers['content-length'] ?? Number.NaN);
    const declaredBytes = Number.isFinite(declared) ? declared : null;
    const limits = { declaredBytes, bytesMax: config.uploadLimitBytes };
    return await withUpload(body, limits, (path) => batchDesk.load(path, name, again));
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
    config: { docs: createDocs },
    handler: async (request, reply) => {
      const { body } = request;
      const loaded = await loads.pass(async () => {
        if (body instanceof Readable) return await upload(request, body);
        const { business_date, again } = body as { business_date: string; again?: string };
        return await batchDesk.loadDue(business_date, again);
      });
      return await answer(loaded, reply);
    },
  });

  async function answer({ batch, known, notes }: LoadedBatch, reply: FastifyReply) {
    reply.code(known ? 200 : 202).header('location', `/v1/batches/${batch.id}`);
    const view = batchView(batch, await batches.progress(batch.id));
    return notes.length === 0 ? view : { ...view, notes: [...notes] };
  }

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
      const batch = await find(request.params.id);
      return batchView(batch, await batches.progress(batch.id));
    },
  });

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
      const { id } = await find(request.params.id);
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

  const move = (verb: 'pause' | 'resume', summary: string, description: string): void => {
    app.route({
      method: 'POST',
      url: `/v1/batches/:id/${verb}`,
      schema: { summary, params: requests.idParams, response: { 200: replies.batch } },
      config: { docs: { description, problems: ['batch_unknown', 'batch_state'] } },
      handler: async (request) => {
        const { id } = await find(request.params.id);
        await audit(request, `batch_${verb}`, id);
        const batch = await batchDesk[verb](id);
        return batchView(batch, await batches.progress(id));
      },
    });
  };

  async function audit(request: FastifyRequest, action: string, subject: TaskId): Promise<void> {
    const { id, name } = callerOf(request);
    const actor = `${name} (${id})`;
    const nowMs = services.clock.nowMs();
    await services.access.audit({ actor, action, subject, detail: '' }, nowMs);
  }

  move('pause', 'Pause a batch', 'Rows under way end; no further row is started.');
  move('resume', 'Go on with a paused batch', 'The rows that were not started are started.');
}

const createDocs = {
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
