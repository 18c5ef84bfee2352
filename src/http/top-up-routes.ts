/** `POST /v1/top-ups`: idempotent, and synchronous for as long as the caller likes to wait. */
import type { FastifyRequest } from 'fastify';
import { RecoupError } from '../errors.js';
import { channelId } from '../ids.js';
import { cardBank, type TopUpRecord } from '../intake/top-up.js';
import type { TopUpRequest } from '../intake/top-up-desk.js';
import { amountMinor } from '../money.js';
import { digestOf } from '../request-key.js';
import { callerOf, type HttpContext } from './context.js';
import { fromCursor, pageOf } from './cursor.js';
import { OutcomeWatch } from './outcome-watch.js';
import { idempotencyKey } from './request-headers.js';
import { askAgain, readTask, starter, type RoutedKind } from './task-routes.js';
import * as requests from './wire-requests.js';
import * as wire from './top-up-wire.js';
import type { App } from './zod-fastify.js';

const path = '/v1/top-ups';

export function topUpRoutes(app: App, context: HttpContext): void {
  const routed: RoutedKind<TopUpRecord, typeof wire.topUp> = {
    kind: 'top_up',
    path,
    reads: context.services.flows.topUps,
    view: wire.topUpView,
    schema: wire.topUp,
    detail: wire.topUpDetail,
    asking: 'It takes no second payment and credits nothing twice.',
  };
  startTopUp(app, context, routed);
  listTopUps(app, context);
  readTask(app, context, routed);
  askAgain(app, context, routed);
}

function startTopUp(
  app: App,
  context: HttpContext,
  routed: RoutedKind<TopUpRecord, typeof wire.topUp>,
): void {
  const { flows, clock, log } = context.services;
  const watch = new OutcomeWatch(flows.topUps, clock, log);
  const start = starter(context, routed, watch, (asked: TopUpRequest) =>
    flows.topUpDesk.start(asked),
  );
  app.route({
    method: 'POST',
    url: path,
    schema: {
      summary: 'Top up a stored-value card',
      body: wire.topUpBody,
      response: { 200: wire.topUp, 202: wire.topUp },
    },
    config: { docs },
    handler: async (request, reply) =>
      await start(requestOf(request, request.body), request.headers['prefer'], reply),
  });
}

/** @throws RecoupError for a header or a field that will not do */
function requestOf(request: FastifyRequest, body: wire.TopUpBody): TopUpRequest {
  const requestKey = idempotencyKey(request.headers['idempotency-key'], callerOf(request).id);
  const { customer_id: customerId, amount_minor: amount, credit_minor: told, currency } = body;
  if (amount <= 0 || (told !== undefined && told <= 0))
    throw new RecoupError('amount_not_positive');
  const payer = {
    token: body.account_token,
    bankCode: body.bank_code,
    last4: body.account_last4,
  };
  const card = { token: body.card_token, bankCode: cardBank, last4: body.card_last4 };
  const { rule = null, cards = null } = body;
  const says = [customerId, amount, currency, rule, told ?? null, cards];
  const accounts = [payer.bankCode, payer.token, payer.last4, card.token, card.last4];
  return {
    customerId,
    amountMinor: amountMinor(amount),
    currency,
    rule,
    expectedCreditMinor: told === undefined ? null : amountMinor(told),
    payer,
    card,
    cards: cards === null ? null : channelId(cards),
    requestKey,
    requestDigest: digestOf([...says, ...accounts]),
  };
}

function listTopUps(app: App, { services: { flows } }: HttpContext): void {
  app.route({
    method: 'GET',
    url: path,
    schema: {
      summary: 'List top-ups, newest first',
      querystring: wire.topUpsQuery,
      response: { 200: wire.topUpPage },
    },
    config: { docs: { problems: ['invalid_request'] } },
    handler: async (request) => {
      const { limit, cursor, status, stage, customer_id: customerId } = request.query;
      const before = cursor === undefined ? undefined : fromCursor(cursor);
      const rows = await flows.topUps.list({ status, stage, customerId, before, limit: limit + 1 });
      const { page, ...next } = pageOf(rows, path, request.query);
      return { top_ups: page.map(wire.topUpView), ...next };
    },
  });
}

const docs = {
  description:
    'The rule and the amounts are fixed and recorded at the card system before anyone pays. Answers ' +
    '202 as soon as the top-up is durably accepted; with `Prefer: wait=N`, within N seconds (60 at ' +
    'most), 200 with the final result where there is one by then. The same key and body again replay ' +
    'the final result (`Idempotency-Replayed: true`). While the card system has not confirmed the ' +
    'credit it counts as credited (`stage: credit_unknown`): what was paid goes back only after the ' +
    'card system has promised that it will never be credited.',
  headers: requests.createHeaders,
  problems: [
    'idempotency_key_missing',
    'idempotency_key_invalid',
    'idempotency_key_reused',
    'idempotency_in_progress',
    'malformed_body',
    'invalid_request',
    'amount_not_positive',
    'top_up_rule_unknown',
    'top_up_not_allowed',
    'top_up_credit_differs',
    'cards_unavailable',
    'bank_unknown',
    'no_eligible_channel',
    'overloaded',
    'busy',
    'journal_unavailable',
  ],
} as const;
