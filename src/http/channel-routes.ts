import type { z } from 'zod';
import { RecoupError } from '../errors.js';
import { isChannelId } from '../ids.js';
import type { HttpContext } from './context.js';
import type { Callbacks } from './ports.js';
import { callbackCounts } from './wire-channels.js';
import { callbackCountsQuery, idParams } from './wire-requests.js';
import type { App } from './zod-fastify.js';

/** What passed between us and the channels, for operators. */
export function channelRoutes(app: App, { services }: HttpContext): void {
  const { directory, callbacks } = services;

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
