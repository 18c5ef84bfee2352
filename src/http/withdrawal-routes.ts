/** `POST /v1/withdrawals`: idempotent, and synchronous for as long as the caller likes to wait. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { RecoupError } from '../errors.js';
import { channelId, isTaskId } from '../ids.js';
import { balanceBank, type WithdrawalRecord } from '../intake/withdrawal.js';
import type { WithdrawalRequest, WithdrawalStarted } from '../intake/withdrawal-desk.js';
import { amountMinor } from '../money.js';
import { callerOf, type HttpContext } from './context.js';
import { cursorOf, fromCursor, nextPage } from './cursor.js';
import { OutcomeWatch } from './outcome-watch.js';
import { digestOf, idempotencyKey, preferredWaitS, requestKeyOf } from './request-headers.js';
import { attemptView, caseView, logEntryView } from './views.js';
import { waited } from './waiting.js';
import * as requests from './wire-requests.js';
import * as wire from './withdrawal-wire.js';
import type { App } from './zod-fastify.js';

export function withdrawalRoutes(app: App, context: HttpContext): void {
  startWithdrawal(app, context);
  listWithdrawals(app, context);
  readWithdrawal(app, context);
  askAgain(app, context);
}

function startWithdrawal(app: App, context: HttpContext): void {
  const { flows, clock, log } = context.services;
  const watch = new OutcomeWatch(flows.withdrawals, clock, log);
  app.route({
    method: 'POST',
    url: '/v1/withdrawals',
    schema: {
      summary: 'Pay out of a balance',
      body: wire.withdrawalBody,
      response: { 200: wire.withdrawal, 202: wire.withdrawal },
    },
    config: { docs },
    handler: async (request, reply) => {
      const asked = requestOf(request, request.body);
      const waitS = preferredWaitS(request.headers['prefer']);
      const { withdrawalId: id, finished } = await start(context, asked);
      if (finished === null) return replay(await find(context, id), reply);
      if (waitS !== null) reply.header('preference-applied', `wait=${waitS}`);
      const waitMs = (waitS ?? 0) * 1_000;
      const result = await waited({ id, finished, waitMs }, reply, watch, context);
      return answer(result ?? (await find(context, id)), reply);
    },
  });
}

/** @throws RecoupError for a header or a field that will not do */
function requestOf(request: FastifyRequest, body: wire.WithdrawalBody): WithdrawalRequest {
  const key = idempotencyKey(request.headers['idempotency-key']);
  const { member_id: memberId, amount_minor: amount, currency, account_service: service } = body;
  if (amount <= 0) throw new RecoupError('amount_not_positive');
  const { bank_code: bankCode, account_token: token, account_last4: last4 } = body;
  const from = service === undefined ? [null] : [service.id, service.account_token];
  return {
    memberId,
    amountMinor: amountMinor(amount),
    currency,
    account: { token, bankCode, last4 },
    accountService:
      service === undefined
        ? null
        : {
            id: channelId(service.id),
            account: {
              token: service.account_token,
              bankCode: balanceBank,
              last4: service.account_last4,
            },
          },
    requestKey: requestKeyOf(callerOf(request).id, key),
    requestDigest: digestOf([memberId, amount, currency, bankCode, token, last4, ...from]),
  };
}

/** Within the bound on what is under way. */
async function start(
  { services, gate }: HttpContext,
  asked: WithdrawalRequest,
): Promise<WithdrawalStarted> {
  const leave = gate.enter();
  try {
    const started = await services.flows.withdrawalDesk.start(asked);
    const { withdrawalId: task_id, finished } = started;
    if (finished === null) leave();
    else {
      finished
        .catch((error: unknown) => {
          // It is accepted and in the in-flight log: the compensator goes on with it.
          const why = error instanceof RecoupError ? error.code : 'internal';
          services.log.warn('withdrawal interrupted', { task_id, why });
        })
        .finally(leave);
    }
    return started;
  } catch (error) {
    leave();
    throw error;
  }
}

function replay(first: WithdrawalRecord, reply: FastifyReply) {
  if (first.endedAt === null) {
    const details = { withdrawal_id: first.id, withdrawal_status: first.status };
    throw new RecoupError('idempotency_in_progress', details);
  }
  reply.header('idempotency-replayed', 'true');
  return answer(first, reply);
}

/** What the row says: 200 when it is final, 202 when it is not. */
function answer(record: WithdrawalRecord, reply: FastifyReply) {
  reply
    .code(record.endedAt === null ? 202 : 200)
    .header('location', `/v1/withdrawals/${record.id}`);
  return wire.withdrawalView(record);
}

/** @throws RecoupError `withdrawal_unknown` */
async function find({ services }: HttpContext, id: string): Promise<WithdrawalRecord> {
  const record = isTaskId(id) ? await services.flows.withdrawals.find(id) : null;
  if (record === null) throw new RecoupError('withdrawal_unknown');
  return record;
}

function listWithdrawals(app: App, { services: { flows } }: HttpContext): void {
  app.route({
    method: 'GET',
    url: '/v1/withdrawals',
    schema: {
      summary: 'List withdrawals, newest first',
      querystring: wire.withdrawalsQuery,
      response: { 200: wire.withdrawalPage },
    },
    config: { docs: { problems: ['invalid_request'] } },
    handler: async (request) => {
      const { limit, cursor, status, member_id: memberId } = request.query;
      const before = cursor === undefined ? undefined : fromCursor(cursor);
      const rows = await flows.withdrawals.list({ status, memberId, before, limit: limit + 1 });
      const page = rows.slice(0, limit);
      const last = page.at(-1);
      const next = rows.length > limit && last !== undefined ? cursorOf(last.id) : null;
      const query = { ...request.query, cursor: next ?? undefined };
      return {
        withdrawals: page.map(wire.withdrawalView),
        next_cursor: next,
        next: next === null ? null : nextPage('/v1/withdrawals', query),
      };
    },
  });
}

function readWithdrawal(app: App, context: HttpContext): void {
  const { deductions: tasks } = context.services;
  app.route({
    method: 'GET',
    url: '/v1/withdrawals/:id',
    schema: {
      summary: 'Read a withdrawal with its attempts, its log and its cases',
      params: requests.idParams,
      response: { 200: wire.withdrawalDetail },
    },
    config: { docs: { problems: ['withdrawal_unknown'] } },
    handler: async (request) => {
      const record = await find(context, request.params.id);
      const { id } = record;
      const [attempts, log, cases] = await Promise.all([
        tasks.attempts(id),
        tasks.log(id),
        tasks.cases({ deductionId: id, limit: 500 }),
      ]);
      return {
        ...wire.withdrawalView(record),
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
    url: '/v1/withdrawals/:id/ask',
    schema: {
      summary: 'Have the channel asked again',
      params: requests.idParams,
      response: { 202: wire.withdrawal },
    },
    config: {
      docs: {
        description:
          'Starts the poll schedule of an unfinished withdrawal anew and asks the channel at once. ' +
          'It never pays what may have been paid.',
        problems: ['withdrawal_unknown', 'withdrawal_ended', 'busy', 'journal_unavailable'],
      },
    },
    handler: async (request, reply) => {
      const { id, endedAt, status } = await find(context, request.params.id);
      if (endedAt !== null)
        throw new RecoupError('withdrawal_ended', { withdrawal_status: status });
      const caller = callerOf(request);
      await context.audit(caller, 'ask_requested', id);
      await context.submit(id, { kind: 'ask', by: caller.name });
      reply.code(202).header('location', `/v1/withdrawals/${id}`);
      return wire.withdrawalView(await find(context, id));
    },
  });
}

const docs = {
  description:
    'The balance is taken in the transaction that accepts the withdrawal, and is never below zero. ' +
    'Answers 202 as soon as it is durably accepted; with `Prefer: wait=N`, within N seconds (60 at ' +
    'most), 200 with the final result where there is one by then. The same key and body again replay ' +
    'the final result (`Idempotency-Replayed: true`). A withdrawal that fails has given back what it ' +
    'took, once; one whose outcome is not known gives nothing back.',
  headers: requests.createHeaders,
  problems: [
    'idempotency_key_missing',
    'idempotency_key_invalid',
    'idempotency_key_reused',
    'idempotency_in_progress',
    'malformed_body',
    'invalid_request',
    'amount_not_positive',
    'member_unknown',
    'balance_too_low',
    'account_service_unknown',
    'bank_unknown',
    'no_eligible_channel',
    'overloaded',
    'busy',
    'journal_unavailable',
  ],
} as const;
