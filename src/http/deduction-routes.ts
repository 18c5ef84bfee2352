import type { FastifyReply, FastifyRequest } from 'fastify';
import { RecoupError } from '../errors.js';
import { isTaskId, type TaskId } from '../ids.js';
import type { DeductionRequest, Started } from '../intake/deduction-desk.js';
import type { DeductionRecord } from '../intake/records.js';
import { amountMinor } from '../money.js';
import { AgentDesk } from './agent-desk.js';
import { callerOf, type HttpContext } from './context.js';
import { cursorOf, fromCursor } from './cursor.js';
import type { ApiKey } from './ports.js';
import { digestOf, idempotencyKey, preferredWaitS, requestKeyOf } from './request-headers.js';
import { attemptView, caseView, deductionView, logEntryView } from './views.js';
import * as replies from './wire-replies.js';
import * as requests from './wire-requests.js';
import type { App } from './zod-fastify.js';

export function deductionRoutes(app: App, context: HttpContext): void {
  const { services, watch } = context;
  const { deductions } = services;
  const start = starter(context);

  const find = async (id: string): Promise<DeductionRecord> => {
    const record = isTaskId(id) ? await deductions.find(id) : null;
    if (record === null) throw new RecoupError('deduction_unknown');
    return record;
  };

  app.route({
    method: 'POST',
    url: '/v1/deductions',
    schema: {
      summary: 'Collect from a repayment',
      body: requests.deductionBody,
      response: { 200: replies.deduction, 202: replies.deduction },
    },
    config: { docs: createDocs },
    handler: async (request, reply) => {
      const asked = requestOf(request, request.body);
      const waitS = preferredWaitS(request.headers['prefer']);
      const known = await deductions.findByRequest(asked.requestKey);
      if (known !== null) return replay(known, asked, reply);
      let started: Started;
      try {
        started = await start(asked, callerOf(request));
      } catch (error) {
        if (!(error instanceof RecoupError) || error.code !== 'request_repeated') throw error;
        // Two with the same key at once: the other was first.
        return replay(await find(String(error.details['deduction_id'])), asked, reply);
      }
      if (waitS !== null) reply.header('preference-applied', `wait=${waitS}`);
      const result =
        waitS === null || waitS === 0 ? null : await waited(started, waitS * 1_000, reply);
      return answer(result ?? (await find(started.deductionId)), reply);
    },
  });

  /** Null: read the row. The wait is over, the first run has ended it, or nobody listens. */
  async function waited(
    { deductionId, finished }: Started,
    waitMs: number,
    reply: FastifyReply,
  ): Promise<DeductionRecord | null> {
    const over = new AbortController();
    const end = (): void => over.abort();
    reply.raw.once('close', end);
    context.closing.addEventListener('abort', end, { once: true });
    const timer = services.clock.sleep(waitMs, over.signal).then(end);
    try {
      // While this process works on it nobody else has news; afterwards the row tells.
      const firstRun = finished.then(
        ({ outcome }) => outcome,
        () => null,
      );
      const outcome = await Promise.race([firstRun, timer]);
      if (outcome === 'ended' || outcome === 'review') return null;
      return await watch.until(deductionId, over.signal);
    } finally {
      end();
      reply.raw.off('close', end);
      context.closing.removeEventListener('abort', end);
    }
  }

  app.route({
    method: 'GET',
    url: '/v1/deductions',
    schema: {
      summary: 'List deductions, newest first',
      querystring: requests.deductionsQuery,
      response: { 200: replies.deductionPage },
    },
    config: { docs: { problems: ['invalid_request'] } },
    handler: async (request) => {
      const { limit, cursor, status, repayment_id, batch_id } = request.query;
      const rows = await deductions.list({
        status,
        repaymentId: repayment_id,
        batchId: batch_id,
        before: cursor === undefined ? undefined : fromCursor(cursor),
        limit: limit + 1,
      });
      const page = rows.slice(0, limit);
      const last = page.at(-1);
      const next = rows.length > limit && last !== undefined ? cursorOf(last.id) : null;
      return {
        deductions: page.map(deductionView),
        next_cursor: next,
        next: next === null ? null : nextPage({ ...request.query, cursor: next }),
      };
    },
  });

  app.route({
    method: 'GET',
    url: '/v1/deductions/:id',
    schema: {
      summary: 'Read a deduction with its attempts, its log and its cases',
      params: requests.idParams,
      response: { 200: replies.deductionDetail },
    },
    config: { docs: { problems: ['deduction_unknown'] } },
    handler: async (request) => {
      const record = await find(request.params.id);
      const [attempts, log, cases] = await Promise.all([
        deductions.attempts(record.id),
        deductions.log(record.id),
        deductions.cases({ deductionId: record.id, limit: 500 }),
      ]);
      return {
        ...deductionView(record),
        attempts: attempts.map(attemptView),
        log: log.map(logEntryView),
        cases: cases.map(caseView),
      };
    },
  });

  app.route({
    method: 'POST',
    url: '/v1/deductions/:id/ask',
    schema: {
      summary: 'Have the channel asked again',
      params: requests.idParams,
      response: { 202: replies.deduction },
    },
    config: {
      docs: {
        description:
          'Starts the poll schedule of an unfinished deduction anew and asks the channel at once. ' +
          'It never charges what may have been charged.',
        problems: ['deduction_unknown', 'deduction_ended', 'busy', 'journal_unavailable'],
      },
    },
    handler: async (request, reply) => {
      const record = await find(request.params.id);
      if (record.endedAt !== null) {
        throw new RecoupError('deduction_ended', { deduction_status: record.status });
      }
      const caller = callerOf(request);
      await ask(record.id, caller);
      reply.code(202).header('location', locationOf(record.id));
      return deductionView(await find(record.id));
    },
  });

  async function ask(id: TaskId, caller: ApiKey): Promise<void> {
    const { access, clock } = services;
    const actor = `${caller.name} (${caller.id})`;
    await access.audit({ actor, action: 'ask_requested', subject: id, detail: '' }, clock.nowMs());
    await context.submit(id, { kind: 'ask', by: caller.name });
  }
}

/** Starts a deduction as its source does, within the bound on what is under way. */
function starter({ services, gate }: HttpContext) {
  const agents = new AgentDesk(services, services.config.agentPerBorrowerHour);
  return async (asked: DeductionRequest, caller: ApiKey): Promise<Started> => {
    const leave = gate.enter();
    try {
      const started =
        asked.agent === null ? await services.desk.start(asked) : await agents.start(asked, caller);
      started.finished
        .catch((error: unknown) => {
          // It is accepted and in the in-flight log: the compensator goes on with it.
          const why = error instanceof RecoupError ? error.code : 'internal';
          services.log.warn('deduction interrupted', { task_id: started.deductionId, why });
        })
        .finally(leave);
      return started;
    } catch (error) {
      leave();
      throw error;
    }
  };
}

interface AskedBody {
  readonly repayment_id: DeductionRequest['repaymentId'];
  readonly amount_minor?: number | undefined;
  readonly reason?: string | undefined;
}

/** @throws RecoupError for a header or a field that will not do */
function requestOf(request: FastifyRequest, body: AskedBody): DeductionRequest {
  const { id, name, role } = callerOf(request);
  const key = idempotencyKey(request.headers['idempotency-key']);
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
    requestKey: requestKeyOf(id, key),
    requestDigest: digestOf([repaymentId, amount ?? null, reason]),
    batchId: null,
    agent: reason === null ? null : { name, reason },
  };
}

/** Fifteen digits and more, however they are spaced: an account's number, or a person's. */
const longNumber = /\d(?:[ -]?\d){14,}/;

function agentReason(text = ''): string {
  const reason = text.trim();
  if (reason.length < 4 || reason.length > 500) throw new RecoupError('agent_reason_missing');
  if (longNumber.test(reason)) throw invalidReason('no account, card or identity number, please');
  return reason;
}

const invalidReason = (message: string): RecoupError =>
  new RecoupError('invalid_request', { problems: [{ in: 'body', field: 'reason', message }] });

function replay(first: DeductionRecord, asked: DeductionRequest, reply: FastifyReply) {
  if (first.requestDigest !== asked.requestDigest) throw new RecoupError('idempotency_key_reused');
  if (first.endedAt === null) {
    const details = { deduction_id: first.id, deduction_status: first.status };
    throw new RecoupError('idempotency_in_progress', details);
  }
  reply.header('idempotency-replayed', 'true');
  return answer(first, reply);
}

function answer(record: DeductionRecord, reply: FastifyReply) {
  reply.code(record.endedAt === null ? 202 : 200).header('location', locationOf(record.id));
  return deductionView(record);
}

const locationOf = (id: TaskId): string => `/v1/deductions/${id}`;

function nextPage(query: Readonly<Record<string, string | number | undefined>>): string {
  const given = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) given.set(name, String(value));
  }
  return `/v1/deductions?${given.toString()}`;
}

const createDocs = {
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
