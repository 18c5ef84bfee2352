/** `POST /v1/deductions`: idempotent, and synchronous for as long as the caller likes to wait. */
import type { FastifyRequest } from 'fastify';
import type { Task } from '../engine/tasks.js';
import { RecoupError } from '../errors.js';
import type { DeductionRequest, Started } from '../intake/deduction-desk.js';
import { recordOf } from '../intake/deduction-record.js';
import type { DeductionRecord } from '../intake/records.js';
import { amountMinor } from '../money.js';
import { namesSomebody } from '../personal.js';
import { digestOf } from '../request-key.js';
import { AgentDesk } from './agent-desk.js';
import { callerOf, type HttpContext } from './context.js';
import type { ApiKey } from './ports.js';
import { idempotencyKey, preferredWaitS } from './request-headers.js';
import { answer, findTask, replay, startWithinBound, type RoutedKind } from './task-routes.js';
import { waited } from './waiting.js';
import type * as replies from './wire-replies.js';
import * as requests from './wire-requests.js';
import type { App } from './zod-fastify.js';

export type RoutedDeductions = RoutedKind<DeductionRecord, typeof replies.deduction>;

export function startDeduction(app: App, context: HttpContext, routed: RoutedDeductions): void {
  const begin = beginner(context, routed);

  app.route({
    method: 'POST',
    url: routed.path,
    schema: {
      summary: 'Collect from a repayment',
      body: requests.deductionBody,
      response: { 200: routed.schema, 202: routed.schema },
    },
    config: { docs },
    handler: async (request, reply) => {
      const asked = requestOf(request, request.body);
      const waitS = preferredWaitS(request.headers['prefer']);
      const begun = await begin(asked, callerOf(request));
      if (begun.finished === null) {
        const { first } = begun;
        if (first.requestDigest !== asked.requestDigest) {
          throw new RecoupError('idempotency_key_reused');
        }
        return replay(routed, first, reply);
      }
      const { deductionId: id, finished } = begun;
      const waiting = { id, finished, recordOf: recordOfTask, waitS };
      const result = await waited(waiting, reply, context.watch, context);
      return answer(routed, result ?? (await findTask(routed, id)), reply);
    },
  });
}

interface AskedBody {
  readonly repayment_id: DeductionRequest['repaymentId'];
  readonly amount_minor?: number | undefined;
  readonly reason?: string | undefined;
}

/** @throws RecoupError for a header or a field that will not do */
function requestOf(request: FastifyRequest, body: AskedBody): DeductionRequest {
  const { id, name, role } = callerOf(request);
  const requestKey = idempotencyKey(request.headers['idempotency-key'], id);
  const { repayment_id: repaymentId, amount_minor: amount } = body;
  if (amount !== undefined && amount <= 0) throw new RecoupError('amount_not_positive');
  const reason = role === 'agent' ? agentReason(body.reason) : null;
  if (reason === null && body.reason !== undefined) {
    throw invalidReason('only a deduction by an agent has a reason');
  }
  return {
    source: role === 'agent' ? 'agent' : 'app',
    repaymentId,
    amountMinor: amount === undefined ? null : amountMinor(amount),
    requestKey,
    requestDigest: digestOf([repaymentId, amount ?? null, reason]),
    batchId: null,
    agent: reason === null ? null : { name, reason },
  };
}

function agentReason(text = ''): string {
  const reason = text.trim();
  if (reason.length < 4 || reason.length > 500) throw new RecoupError('agent_reason_missing');
  if (namesSomebody(reason)) {
    throw invalidReason('no account, card, identity or telephone number, please');
  }
  return reason;
}

const invalidReason = (message: string): RecoupError =>
  new RecoupError('invalid_request', { problems: [{ in: 'body', field: 'reason', message }] });

const recordOfTask = (state: Task): DeductionRecord | null =>
  state.kind === 'deduction' ? recordOf(state) : null;

/** A deduction that was started now, or the first under the same key. */
type Begun = Started | { readonly first: DeductionRecord; readonly finished: null };

/** Starts a deduction as its source does, within the bound on what is under way: its reads, too. */
function beginner(context: HttpContext, routed: RoutedDeductions) {
  const { services } = context;
  const { deductions } = services;
  const agents = new AgentDesk(
    { ...services, audit: (...entry) => context.audit(...entry) },
    services.config.agentPerBorrowerHour,
  );
  const begin = async (asked: DeductionRequest, caller: ApiKey): Promise<Begun> => {
    const known = await deductions.findByRequest(asked.requestKey);
    if (known !== null) return { first: known, finished: null };
    try {
      return asked.agent === null
        ? await services.desk.start(asked)
        : await agents.start(asked, caller);
    } catch (error) {
      if (!(error instanceof RecoupError) || error.code !== 'request_repeated') throw error;
      // Two with the same key at once: the other was first.
      const first = await findTask(routed, String(error.details['deduction_id']));
      return { first, finished: null };
    }
  };
  return async (asked: DeductionRequest, caller: ApiKey): Promise<Begun> =>
    await startWithinBound(
      context,
      'deduction',
      () => begin(asked, caller),
      (begun) => ('first' in begun ? begun.first.id : begun.deductionId),
    );
}

const docs = {
  description:
    'Answers 202 as soon as the deduction is durably accepted; with `Prefer: wait=N`, within N ' +
    'seconds (60 at most), 200 with the final result where there is one by then. The same key ' +
    'and body again replay the final result (`Idempotency-Replayed: true`).',
  headers: requests.createHeaders,
  problems: [
    'idempotency_key_missing',
    'idempotency_key_invalid',
    'idempotency_key_reused',
    'idempotency_in_progress',
    'malformed_body',
    'invalid_request',
    'agent_reason_missing',
    'amount_not_positive',
    'amount_exceeds_due',
    'repayment_unknown',
    'repayment_settled',
    'live_deduction_exists',
    'bank_unknown',
    'no_eligible_channel',
    'rate_limited',
    'overloaded',
    'busy',
    'journal_unavailable',
  ],
} as const;
