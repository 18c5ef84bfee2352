import { RecoupError } from '../errors.js';
import { storyOf } from '../intake/task-story.js';
import { findDeduction, type HttpContext } from './context.js';
import { fromCursor, pageOf } from './cursor.js';
import { askNow } from './task-routes.js';
import { deductionView, storyView } from './views.js';
import * as replies from './wire-replies.js';
import * as requests from './wire-requests.js';
import type { App } from './zod-fastify.js';

export function listDeductions(app: App, { services: { deductions } }: HttpContext): void {
  app.route({
    method: 'GET',
    url: '/v1/deductions',
    schema: {
      summary: 'List deductions, newest first',
      querystring: requests.deductionsQuery,
      response: { 200: replies.deductionPage },
    },
    config: { docs: { problems: ['invalid_request'] } },
    handler: async (request) => {
      const { limit, cursor, status, repayment_id, batch_id } = request.query;
      const rows = await deductions.list({
        status,
        repaymentId: repayment_id,
        batchId: batch_id,
        before: cursor === undefined ? undefined : fromCursor(cursor),
        limit: limit + 1,
      });
      const { page, ...next } = pageOf(rows, '/v1/deductions', request.query);
      return { deductions: page.map(deductionView), ...next };
    },
  });
}

export function readDeduction(app: App, { services: { deductions } }: HttpContext): void {
  app.route({
    method: 'GET',
    url: '/v1/deductions/:id',
    schema: {
      summary: 'Read a deduction with its attempts, its log and its cases',
      params: requests.idParams,
      response: { 200: replies.deductionDetail },
    },
    config: { docs: { problems: ['deduction_unknown'] } },
    handler: async (request) => {
      const record = await findDeduction(deductions, request.params.id);
      return { ...deductionView(record), ...storyView(await storyOf(deductions, record.id)) };
    },
  });
}

export function askAgain(app: App, context: HttpContext): void {
  const { deductions } = context.services;
  app.route({
    method: 'POST',
    url: '/v1/deductions/:id/ask',
    schema: {
      summary: 'Have the channel asked again',
      params: requests.idParams,
      response: { 202: replies.deduction },
    },
    config: {
      docs: {
        description:
          'Starts the poll schedule of an unfinished deduction anew and asks the channel at once. ' +
          'It never charges what may have been charged.',
        problems: ['deduction_unknown', 'deduction_ended', 'busy', 'journal_unavailable'],
      },
    },
    handler: async (request, reply) => {
      const record = await findDeduction(deductions, request.params.id);
      if (record.endedAt !== null) {
        throw new RecoupError('deduction_ended', { deduction_status: record.status });
      }
      await askNow(context, request, record.id);
      reply.code(202).header('location', `/v1/deductions/${record.id}`);
      return deductionView(await findDeduction(deductions, record.id));
    },
  });
}
