import type { z } from 'zod';
import { RecoupError } from '../errors.js';
import { isChannelId } from '../ids.js';
import type { HttpContext } from './context.js';
import type { Callbacks, JournalledCall } from './ports.js';
import { findTask } from './task-routes.js';
import { callbackCounts, callList } from './wire-channels.js';
import { callbackCountsQuery, callsQuery, idParams } from './wire-requests.js';
import type { App } from './zod-fastify.js';

/** What passed between us and the channels, for operators. */
export function channelRoutes(app: App, { services }: HttpContext): void {
  const { directory, callbacks, calls, deductions } = services;

  app.route({
    method: 'GET',
    url: '/v1/channels/:id/callbacks',
    schema: {
      summary: 'Count the callbacks of a channel by day and verdict',
      params: idParams,
      querystring: callbackCountsQuery,
      response: { 200: callbackCounts },
    },
    config: {
      docs: {
        description:
          '`accepted`, `mismatch`, `duplicate`, `put_off` (asked to say it again), `order_unknown`, ' +
          '`forged`, `stale`, `malformed`, `too_large`. Of all processes, and a second late.',
        problems: ['channel_unknown', 'invalid_request'],
      },
    },
    handler: async (request) => {
      const { id } = request.params;
      if (!isChannelId(id) || directory.get(id) === undefined) {
        throw new RecoupError('channel_unknown');
      }
      return countsView(id, await callbacks.counts(id, request.query.days));
    },
  });

  app.route({
    method: 'GET',
    url: '/v1/deductions/:id/calls',
    schema: {
      summary: 'Read what passed between us and the channels for a deduction',
      params: idParams,
      querystring: callsQuery,
      response: { 200: callList },
    },
    config: {
      docs: {
        description:
          'The call journal, oldest first: calls, answers and callbacks, masked by a list of fields. ' +
          'It is written behind the calls and may lack some after a crash; the log lacks nothing.',
        problems: ['deduction_unknown', 'invalid_request'],
      },
    },
    handler: async (request) => {
      const { id } = await findTask({ kind: 'deduction', reads: deductions }, request.params.id);
      return { calls: (await calls.ofTask(id, request.query.limit)).map(callView) };
    },
  });
}

function countsView(
  channelId: string,
  counts: Awaited<ReturnType<Callbacks['counts']>>,
): z.input<typeof callbackCounts> {
  const days = [...new Set(counts.map(({ day }) => day))];
  return {
    channel_id: channelId,
    days: days.map((day) => ({
      day,
      verdicts: Object.fromEntries(
        counts
          .filter((one) => one.day === day)
          .map(({ verdict, messages, lastAt }) => [
            verdict,
            { messages, last_at: lastAt.toISOString() },
          ]),
      ),
    })),
  };
}

export function callView(call: JournalledCall): z.input<typeof callList>['calls'][number] {
  return {
    started_at: call.startedAt.toISOString(),
    channel_id: call.channelId,
    order_no: call.orderNo,
    operation: call.operation,
    duration_ms: call.durationMs,
    http_status: call.httpStatus,
    verdict: call.verdict,
    detail: call.detail,
    sent: call.sent,
    received: call.received,
  };
}
