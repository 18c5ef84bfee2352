import type { TaskId } from '../ids.js';
import type { HttpContext } from './context.js';
import { fromCursor, pageOf } from './cursor.js';
import type { HttpServices } from './ports.js';
import { moneyBackView } from './refund-wire.js';
import { startDeduction, type RoutedDeductions } from './start-deduction.js';
import { askAgain, readTask } from './task-routes.js';
import { deductionView } from './views.js';
import * as replies from './wire-replies.js';
import * as requests from './wire-requests.js';
import type { App } from './zod-fastify.js';

const path = '/v1/deductions';

export function deductionRoutes(app: App, context: HttpContext): void {
  const routed: RoutedDeductions = {
    kind: 'deduction',
    path,
    reads: context.services.deductions,
    view: deductionView,
    schema: replies.deduction,
    detail: replies.deductionDetail,
    asking: 'It never charges what may have been charged.',
    beside: async (id) => await moneyBackOf(context.services, id),
  };
  startDeduction(app, context, routed);
  listDeductions(app, context);
  readTask(app, context, routed);
  askAgain(app, context, routed);
}

const refundsMax = 100;

/** Money of a deduction that goes back, or that somebody has asked for. */
export async function moneyBackOf(
  { cases, refunds }: Pick<HttpServices, 'cases' | 'refunds'>,
  deductionId: TaskId,
): Promise<ReturnType<typeof moneyBackView>> {
  const [asked, given] = await Promise.all([
    cases.refundRequests.ofDeduction(deductionId),
    refunds.list({ deductionId, limit: refundsMax }),
  ]);
  return moneyBackView(asked, given);
}

function listDeductions(app: App, { services: { deductions } }: HttpContext): void {
  app.route({
    method: 'GET',
    url: path,
    schema: {
      summary: 'List deductions, newest first',
      querystring: requests.deductionsQuery,
      response: { 200: replies.deductionPage },
    },
    config: { docs: { problems: ['invalid_request'] } },
    handler: async (request) => {
      const { limit, cursor, created_from, created_before, ...by } = request.query;
      const rows = await deductions.list({
        status: by.status,
        repaymentId: by.repayment_id,
        batchId: by.batch_id,
        borrowerId: by.borrower_id,
        orderNo: by.order_no,
        from: created_from === undefined ? undefined : new Date(created_from),
        until: created_before === undefined ? undefined : new Date(created_before),
        before: cursor === undefined ? undefined : fromCursor(cursor),
        limit: limit + 1,
      });
      const { page, ...next } = pageOf(rows, path, request.query);
      return { deductions: page.map(deductionView), ...next };
    },
  });
}
