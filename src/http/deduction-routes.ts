import { RecoupError } from '../errors.js';
import { callerOf, findDeduction, type HttpContext } from './context.js';
import { cursorOf, fromCursor, nextPage } from './cursor.js';
import { attemptView, caseView, deductionView, logEntryView } from './views.js';
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
      const page = rows.slice(0, limit);
      const last = page.at(-1);
      const next = rows.length > limit && last !== undefined ? cursorOf(last.id) : null;
      return {
        deductions: page.map(deductionView),
        next_cursor: next,
        next: next === null ? null : nextPage('/v1/deductions', { ...request.query, cursor: next }),
      };
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
      const [attempts, log, cases] = await Promise.all([
        deductions.attempts(record.id),
        deductions.log(record.id),
        deductions.cases({ deductionId: record.id, limit: 500 }),
      ]);
      return {
        ...deductionView(record),
        attempts: attempts.map(attemptView),
        log: log.map(logEntryView),
        cases: cases.map(caseView),
      };
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
      const caller = callerOf(request);
      await context.audit(caller, 'ask_requested', record.id);
      await context.submit(record.id, { kind: 'ask', by: caller.name });
      reply.code(202).header('location', `/v1/deductions/${record.id}`);
      return deductionView(await findDeduction(deductions, record.id));
    },
  });
}
