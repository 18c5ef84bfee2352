/** `POST /v1/top-ups`: idempotent, and synchronous for as long as the caller likes to wait. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { RecoupError } from '../errors.js';
import { channelId, isTaskId } from '../ids.js';
import { cardBank, type TopUpRecord } from '../intake/top-up.js';
import type { TopUpRequest, TopUpStarted } from '../intake/top-up-desk.js';
import { amountMinor } from '../money.js';
import { callerOf, type HttpContext } from './context.js';
import { cursorOf, fromCursor, nextPage } from './cursor.js';
import { OutcomeWatch } from './outcome-watch.js';
import { digestOf, idempotencyKey, preferredWaitS, requestKeyOf } from './request-headers.js';
import { attemptView, caseView, logEntryView } from './views.js';
import { waited } from './waiting.js';
import * as requests from './wire-requests.js';
import * as wire from './top-up-wire.js';
import type { App } from './zod-fastify.js';

export function topUpRoutes(app: App, context: HttpContext): void {
  startTopUp(app, context);
  listTopUps(app, context);
  readTopUp(app, context);
  askAgain(app, context);
}

function startTopUp(app: App, context: HttpContext): void {
  const { flows, clock, log } = context.services;
  const watch = new OutcomeWatch(flows.topUps, clock, log);
  app.route({
    method: 'POST',
    url: '/v1/top-ups',
    schema: {
      summary: 'Top up a stored-value card',
      body: wire.topUpBody,
      response: { 200: wire.topUp, 202: wire.topUp },
    },
    config: { docs },
    handler: async (request, reply) => {
      const asked = requestOf(request, request.body);
      const waitS = preferredWaitS(request.headers['prefer']);
      const { topUpId: id, finished } = await start(context, asked);
      if (finished === null) return replay(await find(context, id), reply);
      if (waitS !== null) reply.header('preference-applied', `wait=${waitS}`);
      const waitMs = (waitS ?? 0) * 1_000;
      const result = await waited({ id, finished, waitMs }, reply, watch, context);
      return answer(result ?? (await find(context, id)), reply);
    },
  });
}

/** @throws RecoupError for a header or a field that will not do */
function requestOf(request: FastifyRequest, body: wire.TopUpBody): TopUpRequest {
  const key = idempotencyKey(request.headers['idempotency-key']);
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
    requestKey: requestKeyOf(callerOf(request).id, key),
    requestDigest: digestOf([...says, ...accounts]),
  };
}

/** Within the bound on what is under way. */
async function start({ services, gate }: HttpContext, asked: TopUpRequest): Promise<TopUpStarted> {
  const leave = gate.enter();
  try {
    const started = await services.flows.topUpDesk.start(asked);
    const { topUpId: task_id, finished } = started;
    if (finished === null) leave();
    else {
      finished
        .catch((error: unknown) => {
          // It is accepted and in the in-flight log: the compensator goes on with it.
          const why = error instanceof RecoupError ? error.code : 'internal';
          services.log.warn('top-up interrupted', { task_id, why });
        })
        .finally(leave);
    }
    return started;
  } catch (error) {
    leave();
    throw error;
  }
}

function replay(first: TopUpRecord, reply: FastifyReply) {
  if (first.endedAt === null) {
    const details = { top_up_id: first.id, top_up_status: first.status };
    throw new RecoupError('idempotency_in_progress', details);
  }
  reply.header('idempotency-replayed', 'true');
  return answer(first, reply);
}

/** What the row says: 200 when it is final, 202 when it is not. */
function answer(record: TopUpRecord, reply: FastifyReply) {
  reply.code(record.endedAt === null ? 202 : 200).header('location', `/v1/top-ups/${record.id}`);
  return wire.topUpView(record);
}

/** @throws RecoupError `top_up_unknown` */
async function find({ services }: HttpContext, id: string): Promise<TopUpRecord> {
  const record = isTaskId(id) ? await services.flows.topUps.find(id) : null;
  if (record === null) throw new RecoupError('top_up_unknown');
  return record;
}

function listTopUps(app: App, { services: { flows } }: HttpContext): void {
  app.route({
    method: 'GET',
    url: '/v1/top-ups',
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
      const page = rows.slice(0, limit);
      const last = page.at(-1);
      const next = rows.length > limit && last !== undefined ? cursorOf(last.id) : null;
      const query = { ...request.query, cursor: next ?? undefined };
      return {
        top_ups: page.map(wire.topUpView),
        next_cursor: next,
        next: next === null ? null : nextPage('/v1/top-ups', query),
      };
    },
  });
}

function readTopUp(app: App, context: HttpContext): void {
  const { deductions: tasks } = context.services;
  app.route({
    method: 'GET',
    url: '/v1/top-ups/:id',
    schema: {
      summary: 'Read a top-up with its attempts, its log and its cases',
      params: requests.idParams,
      response: { 200: wire.topUpDetail },
    },
    config: { docs: { problems: ['top_up_unknown'] } },
    handler: async (request) => {
      const record = await find(context, request.params.id);
      const { id } = record;
      const [attempts, log, cases] = await Promise.all([
        tasks.attempts(id),
        tasks.log(id),
        tasks.cases({ deductionId: id, limit: 500 }),
      ]);
      return {
        ...wire.topUpView(record),
        attempts: attempts.map(attemptView),
        log: log.map(logEntryView),
        cases: cases.map(caseView),
      };
    },
  });
}

function askAgain(app: App, context: HttpContext): void {
  app.route({
    method: 'POST',
    url: '/v1/top-ups/:id/ask',
    schema: {
      summary: 'Have the channel asked again',
      params: requests.idParams,
      response: { 202: wire.topUp },
    },
    config: {
      docs: {
        description:
          'Starts the poll schedule of an unfinished top-up anew and asks the channel at once. ' +
          'It takes no second payment and credits nothing twice.',
        problems: ['top_up_unknown', 'top_up_ended', 'busy', 'journal_unavailable'],
      },
    },
    handler: async (request, reply) => {
      const { id, endedAt, status } = await find(context, request.params.id);
      if (endedAt !== null) throw new RecoupError('top_up_ended', { top_up_status: status });
      const caller = callerOf(request);
      await context.audit(caller, 'ask_requested', id);
      await context.submit(id, { kind: 'ask', by: caller.name });
      reply.code(202).header('location', `/v1/top-ups/${id}`);
      return wire.topUpView(await find(context, id));
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
