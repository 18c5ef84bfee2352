import type { FastifyInstance } from 'fastify';
import { RecoupError } from '../errors.js';
import { isChannelId, type ChannelId, type OrderNo, type TaskId } from '../ids.js';
import type { HttpContext } from './context.js';

/** No channel has so much to say about one order. */
const callbackBytesMax = 64 * 1024;

/**
 * Where channels tell how an order ended. There is no API key here: the signature over the raw bytes
 * is what is believed, and it is verified before anything else is read. A channel gets the word that
 * stops its repeating only when what it said is in the log; otherwise it is asked, by a status, to
 * say it again.
 */
export function callbackRoutes(app: FastifyInstance, context: HttpContext): void {
  const { directory, deductions, log } = context.services;

  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    '*',
    { parseAs: 'buffer', bodyLimit: callbackBytesMax },
    (_request, body, done) => done(null, body),
  );

  /** A channel may speak of its own orders only, however well it signs. */
  async function taskOf(orderNo: OrderNo, channel: ChannelId): Promise<TaskId | null> {
    const id = await deductions.taskOfOrder(orderNo);
    if (id === null) return null;
    const attempts = await deductions.attempts(id);
    const own = attempts.some((one) => one.orderNo === orderNo && one.channelId === channel);
    return own ? id : null;
  }

  app.route<{ Params: { channelId: string } }>({
    method: 'POST',
    url: '/callbacks/:channelId',
    bodyLimit: callbackBytesMax,
    schema: { summary: 'A channel tells how an order ended' },
    config: { docs: callbackDocs },
    handler: async (request, reply) => {
      const { channelId } = request.params;
      const channel = isChannelId(channelId) ? directory.get(channelId) : undefined;
      if (!isChannelId(channelId) || channel === undefined) {
        throw new RecoupError('channel_unknown');
      }
      const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
      const reading = channel.parseCallback({ headers: request.headers, body });
      const about = { channel_id: channelId, request_id: request.id };
      if (reading.kind !== 'genuine') {
        log.warn(`${reading.kind} callback`, { ...about, why: reading.detail });
        throw new RecoupError(
          reading.kind === 'forged' ? 'callback_rejected' : 'callback_malformed',
        );
      }
      const { orderNo, against, acknowledgement } = reading;
      const task = await taskOf(orderNo, channelId);
      if (task === null) {
        log.warn('callback for no order of this channel', { ...about, order_no: orderNo });
        throw new RecoupError('order_unknown');
      }
      await context.submit(task, { kind: 'callback', orderNo, read: against });
      return await reply.type(acknowledgement.contentType).send(acknowledgement.body);
    },
  });
}

const callbackDocs = {
  description:
    "The channel's own form and signature. Answered with the word the channel waits for, once what " +
    'it says is durably recorded; with 503 when it should say it again.',
  problems: [
    'callback_rejected',
    'callback_malformed',
    'channel_unknown',
    'order_unknown',
    'body_too_large',
    'busy',
    'overloaded',
    'journal_unavailable',
  ],
} as const;
