import { RecoupError } from '../errors.js';
import { taskId } from '../ids.js';
import { amountMinor } from '../money.js';
import type { HttpContext } from './context.js';
import { channelView, routeView } from './views.js';
import * as replies from './wire-operations.js';
import * as requests from './wire-requests.js';
import type { App } from './zod-fastify.js';

/** Whether a deduction probes is drawn from its id. This one does not: a preview is the usual plan. */
const previewTask = taskId('00000000-0000-7000-8000-000000000000');

export function operationRoutes(app: App, { services }: HttpContext): void {
  const { router, directory, workQueues } = services;

  app.route({
    method: 'POST',
    url: '/v1/routes/preview',
    schema: {
      summary: 'Show the plan a deduction or a payout would get now, with every reason',
      body: requests.previewBody,
      response: { 200: replies.routePlan },
    },
    config: {
      docs: {
        description:
          'Changes nothing. A few per cent of deductions try a losing channel first so that it can ' +
          'win again; the preview shows the plan of the others.',
        problems: ['invalid_request', 'amount_not_positive'],
      },
    },
    handler: async (request) => {
      const { bank_code, amount_minor, currency, operation, refundable } = request.body;
      if (amount_minor <= 0) throw new RecoupError('amount_not_positive');
      const route = await router.preview({
        taskId: previewTask,
        bankCode: bank_code,
        amountMinor: amountMinor(amount_minor),
        currency,
        ...(operation === 'payout' && { operation }),
        ...(refundable && { refundable }),
        exclude: [],
      });
      return routeView(route);
    },
  });

  app.route({
    method: 'GET',
    url: '/v1/channels',
    schema: {
      summary: 'List the channels this process has open',
      response: { 200: replies.channelList },
    },
    config: { docs: { problems: [] } },
    handler: async () => ({ channels: directory.profiles().map(channelView) }),
  });

  app.route({
    method: 'GET',
    url: '/v1/work-queues',
    schema: {
      summary: 'Show what waits to be woken up, by kind of task',
      response: { 200: replies.workQueues },
    },
    config: {
      docs: {
        description:
          '`due`: its time has come and nobody has taken it; `overflow`: what of that is beyond the bound of ' +
          'its kind, for any idle consumer; `later`: its time is yet to come. `queues` is null while ' +
          'Redis does not answer.',
        problems: [],
      },
    },
    handler: async () => {
      const queues = await workQueues.look();
      return { queues: queues?.map((one) => ({ ...one })) ?? null };
    },
  });
}
