/** `POST /v1/withdrawals`: idempotent, and synchronous for as long as the caller likes to wait. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { RecoupError } from '../errors.js';
import { channelId, isTaskId } from '../ids.js';
import { balanceBank, type WithdrawalRecord } from '../intake/withdrawal.js';
import type { WithdrawalRequest } from '../intake/withdrawal-desk.js';
import { storyOf } from '../intake/task-story.js';
import { amountMinor } from '../money.js';
import { digestOf } from '../request-key.js';
import { callerOf, type HttpContext } from './context.js';
import { fromCursor, pageOf } from './cursor.js';
import { OutcomeWatch } from './outcome-watch.js';
import { idempotencyKey, preferredWaitS } from './request-headers.js';
import { askNow, locate, markReplayed, startWithinBound } from './task-routes.js';
import { storyView } from './views.js';
import { waited } from './waiting.js';
import * as requests from './wire-requests.js';
import * as wire from './withdrawal-wire.js';
import type { App } from './zod-fastify.js';

const path = '/v1/withdrawals';

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
    url: path,
    schema: {
      summary: 'Pay out of a balance',
      body: wire.withdrawalBody,
      response: { 200: wire.withdrawal, 202: wire.withdrawal },
    },
    config: { docs },
    handler: async (request, reply) => {
      const asked = requestOf(request, request.body);
      const waitS = preferredWaitS(request.headers['prefer']);
      const { withdrawalId: id, finished } = await startWithinBound(
        context,
        'withdrawal',
        () => flows.withdrawalDesk.start(asked),
        (started) => started.withdrawalId,
      );
      if (finished === null) return replay(await find(context, id), reply);
      const result = await waited({ id, finished, waitS }, reply, watch, context);
      return answer(result ?? (await find(context, id)), reply);
    },
  });
}

/** @throws RecoupError for a header or a field that will not do */
function requestOf(request: FastifyRequest, body: wire.WithdrawalBody): WithdrawalRequest {
  const requestKey = idempotencyKey(request.headers['idempotency-key'], callerOf(request).id);
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
    requestKey,
    requestDigest: digestOf([memberId, amount, currency, bankCode, token, last4, ...from]),
  };
}

function replay(first: WithdrawalRecord, reply: FastifyReply) {
  markReplayed(first, 'withdrawal', reply);
  return answer(first, reply);
}

function answer(record: WithdrawalRecord, reply: FastifyReply) {
  locate(record, path, reply);
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
    url: path,
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
      const { page, ...next } = pageOf(rows, path, request.query);
      return { withdrawals: page.map(wire.withdrawalView), ...next };
    },
  });
}

function readWithdrawal(app: App, context: HttpContext): void {
  const { deductions: tasks } = context.services;
  app.route({
    method: 'GET',
    url: `${path}/:id`,
    schema: {
      summary: 'Read a withdrawal with its attempts, its log and its cases',
      params: requests.idParams,
      response: { 200: wire.withdrawalDetail },
    },
    config: { docs: { problems: ['withdrawal_unknown'] } },
    handler: async (request) => {
      const record = await find(context, request.params.id);
      return { ...wire.withdrawalView(record), ...storyView(await storyOf(tasks, record.id)) };
    },
  });
}

function askAgain(app: App, context: HttpContext): void {
  app.route({
    method: 'POST',
    url: `${path}/:id/ask`,
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
      await askNow(context, request, id);
      reply.code(202).header('location', `${path}/${id}`);
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
