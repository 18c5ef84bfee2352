import type { FastifyInstance, FastifyRequest } from 'fastify';
import { RecoupError } from '../errors.js';
import { isChannelId, type ChannelId } from '../ids.js';
import { CallbackIntake } from './callback-intake.js';
import type { HttpContext } from './context.js';

/** No channel has so much to say about one order. */
const callbackBytesMax = 64 * 1024;

interface CallbackRoute {
  Params: { channelId: string };
}

/**
 * Where channels tell how an order ended. There is no API key here: the signature over the raw bytes
 * is what is believed, and it is verified before anything else is read. A channel gets the word that
 * stops its repeating only when what it said is in the log; otherwise it is asked, by a status, to
 * say it again.
 */
export function callbackRoutes(app: FastifyInstance, context: HttpContext): void {
  const { directory, callbacks, clock } = context.services;
  const intake = new CallbackIntake({
    services: context.services,
    submit: async (task, evidence) => context.submit(task, evidence),
  });

  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    '*',
    { parseAs: 'buffer', bodyLimit: callbackBytesMax },
    (_request, body, done) => done(null, body),
  );

  const channelOf = (request: FastifyRequest): ChannelId | null => {
    const { channelId } = request.params as CallbackRoute['Params'];
    return isChannelId(channelId) && directory.get(channelId) !== undefined ? channelId : null;
  };

  app.addHook('onError', async (request, _reply, error) => {
    const channelId = channelOf(request);
    if (channelId === null || error.code !== 'FST_ERR_CTP_BODY_TOO_LARGE') return;
    callbacks.count(channelId, 'too_large', clock.nowMs());
  });

  for (const url of ['/v1/callbacks/:channelId', '/callbacks/:channelId']) {
    app.route<CallbackRoute>({
      method: 'POST',
      url,
      bodyLimit: callbackBytesMax,
      schema: { summary: 'A channel tells how an order ended' },
      config: { docs: callbackDocs },
      handler: async (request, reply) => {
        const channelId = channelOf(request);
        if (channelId === null) throw new RecoupError('channel_unknown');
        const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
        const about = { channel_id: channelId, request_id: request.id };
        const raw = { headers: request.headers, body };
        const acknowledgement = await intake.take(channelId, raw, about);
        return await reply.type(acknowledgement.contentType).send(acknowledgement.body);
      },
    });
  }
}

const callbackDocs = {
  description:
    "The channel's own form and signature. Answered with the word the channel waits for, once what " +
    'it says is durably recorded; with 503 when it should say it again.',
  problems: [
    'callback_rejected',
    'callback_stale',
    'callback_malformed',
    'channel_unknown',
    'order_unknown',
    'body_too_large',
    'busy',
    'overloaded',
    'journal_unavailable',
  ],
} as const;
