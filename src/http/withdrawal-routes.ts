/** `POST /v1/withdrawals`: idempotent, and synchronous for as long as the caller likes to wait. */
import type { FastifyRequest } from 'fastify';
import { RecoupError } from '../errors.js';
import { channelId } from '../ids.js';
import { balanceBank, type WithdrawalRecord } from '../intake/withdrawal.js';
import type { WithdrawalRequest } from '../intake/withdrawal-desk.js';
import { amountMinor } from '../money.js';
import { digestOf } from '../request-key.js';
import { callerOf, type HttpContext } from './context.js';
import { fromCursor, pageOf } from './cursor.js';
import { OutcomeWatch } from './outcome-watch.js';
import { idempotencyKey } from './request-headers.js';
import { askAgain, readTask, starter, type RoutedKind } from './task-routes.js';
import * as requests from './wire-requests.js';
import * as wire from './withdrawal-wire.js';
import type { App } from './zod-fastify.js';

const path = '/v1/withdrawals';

export function withdrawalRoutes(app: App, context: HttpContext): void {
  const routed: RoutedKind<WithdrawalRecord, typeof wire.withdrawal> = {
    kind: 'withdrawal',
    path,
    reads: context.services.flows.withdrawals,
    view: wire.withdrawalView,
    schema: wire.withdrawal,
    detail: wire.withdrawalDetail,
    asking: 'It never pays what may have been paid.',
  };
  startWithdrawal(app, context, routed);
  listWithdrawals(app, context);
  readTask(app, context, routed);
  askAgain(app, context, routed);
}

function startWithdrawal(
  app: App,
  context: HttpContext,
  routed: RoutedKind<WithdrawalRecord, typeof wire.withdrawal>,
): void {
  const { flows, clock, log } = context.services;
  const watch = new OutcomeWatch(flows.withdrawals, clock, log);
  const start = starter(context, routed, watch, (asked: WithdrawalRequest) =>
    flows.withdrawalDesk.start(asked),
  );
  app.route({
    method: 'POST',
    url: path,
    schema: {
      summary: 'Pay out of a balance',
      body: wire.withdrawalBody,
      response: { 200: wire.withdrawal, 202: wire.withdrawal },
    },
    config: { docs },
    handler: async (request, reply) =>
      await start(requestOf(request, request.body), request.headers['prefer'], reply),
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
