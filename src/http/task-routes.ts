/** What the routes of deductions, withdrawals and top-ups have in common. */
import type { FastifyReply } from 'fastify';
import type { z } from 'zod';
import { RecoupError } from '../errors.js';
import { isTaskId, type TaskId } from '../ids.js';
import type { TaskStarted } from '../intake/once.js';
import { storyOf } from '../intake/task-story.js';
import { callerOf, type HttpContext } from './context.js';
import type { OutcomeWatch, Watched } from './outcome-watch.js';
import { preferredWaitS } from './request-headers.js';
import { storyView } from './views.js';
import { waited } from './waiting.js';
import { idParams } from './wire-requests.js';
import type { App } from './zod-fastify.js';

interface TaskRow extends Watched {
  readonly endedAt: Date | null;
}

/** A kind of task with routes of its own. */
export interface RoutedKind<R extends TaskRow = TaskRow, View extends z.ZodType = z.ZodType> {
  readonly kind: 'deduction' | 'withdrawal' | 'top_up';
  readonly path: string;
  readonly reads: { find(id: TaskId): Promise<R | null> };
  readonly view: (record: R) => z.input<View>;
  readonly schema: View;
  readonly detail: z.ZodType;
  /** What its page says besides. */
  readonly beside?: (id: TaskId) => Promise<object>;
  /** What asking the channel again cannot do. */
  readonly asking: string;
}

/** Starts a task, and counts it as under way until its first run has ended. */
export async function startWithinBound<S extends { readonly finished: Promise<unknown> | null }>(
  { services, gate }: Pick<HttpContext, 'services' | 'gate'>,
  kind: RoutedKind['kind'],
  start: () => Promise<S>,
  idOf: (started: S) => TaskId,
): Promise<S> {
  const leave = gate.enter();
  try {
    const started = await start();
    const { finished } = started;
    if (finished === null) leave();
    else {
      finished
        .catch((error: unknown) => {
          // It is accepted and in the in-flight log: the compensator goes on with it.
          const why = error instanceof RecoupError ? error.code : 'internal';
          services.log.warn(`${nounOf(kind)} interrupted`, { task_id: idOf(started), why });
        })
        .finally(leave);
    }
    return started;
  } catch (error) {
    leave();
    throw error;
  }
}

/** What a request to start one does: start it or find the first, wait as long as the caller likes, answer. */
export function starter<R extends TaskRow, View extends z.ZodType, Asked>(
  context: HttpContext,
  routed: RoutedKind<R, View>,
  watch: OutcomeWatch<R>,
  start: (asked: Asked) => Promise<TaskStarted>,
) {
  return async (
    asked: Asked,
    prefer: string | string[] | undefined,
    reply: FastifyReply,
  ): Promise<z.input<View>> => {
    const waitS = preferredWaitS(prefer);
    const { id, finished } = await startWithinBound(
      context,
      routed.kind,
      () => start(asked),
      (started) => started.id,
    );
    if (finished === null) return replay<R, View>(routed, await findTask(routed, id), reply);
    const result = await waited({ id, finished, waitS }, reply, watch, context);
    return answer(routed, result ?? (await findTask(routed, id)), reply);
  };
}

/** @throws RecoupError `deduction_unknown`, `withdrawal_unknown`, `top_up_unknown` */
export async function findTask<R extends TaskRow>(
  { kind, reads }: Pick<RoutedKind<R>, 'kind' | 'reads'>,
  id: string,
): Promise<R> {
  const record = isTaskId(id) ? await reads.find(id) : null;
  if (record === null) throw new RecoupError(`${kind}_unknown`);
  return record;
}

/** What the row says: 200 when it is final, 202 when it is not. */
export function answer<R extends TaskRow, View extends z.ZodType>(
  { path, view }: RoutedKind<R, View>,
  record: R,
  reply: FastifyReply,
): z.input<View> {
  reply.code(record.endedAt === null ? 202 : 200).header('location', `${path}/${record.id}`);
  return view(record);
}

/** @throws RecoupError `idempotency_in_progress`: there is no result to repeat yet */
export function replay<R extends TaskRow, View extends z.ZodType>(
  routed: RoutedKind<R, View>,
  first: R,
  reply: FastifyReply,
): z.input<View> {
  if (first.endedAt === null) {
    const { kind } = routed;
    const details = { [`${kind}_id`]: first.id, [`${kind}_status`]: first.status };
    throw new RecoupError('idempotency_in_progress', details);
  }
  reply.header('idempotency-replayed', 'true');
  return answer(routed, first, reply);
}

export function readTask<R extends TaskRow>(
  app: App,
  { services }: HttpContext,
  routed: RoutedKind<R>,
): void {
  const { kind, path, detail, view } = routed;
  app.route({
    method: 'GET',
    url: `${path}/:id`,
    schema: {
      summary: `Read a ${nounOf(kind)} with its attempts, its log and its cases`,
      params: idParams,
      response: { 200: detail },
    },
    config: { docs: { problems: [`${kind}_unknown`] } },
    handler: async (request) => {
      const record = await findTask(routed, request.params.id);
      const story = storyView(await storyOf(services.deductions, record.id));
      const beside = await routed.beside?.(record.id);
      return { ...(view(record) as object), ...story, ...beside };
    },
  });
}

/** Has the channel of an unfinished task asked at once, in the name of whoever wants it. */
export function askAgain<R extends TaskRow>(
  app: App,
  context: HttpContext,
  routed: RoutedKind<R>,
): void {
  const { kind, path, schema, view, asking } = routed;
  app.route({
    method: 'POST',
    url: `${path}/:id/ask`,
    schema: {
      summary: 'Have the channel asked again',
      params: idParams,
      response: { 202: schema },
    },
    config: {
      docs: {
        description:
          `Starts the poll schedule of an unfinished ${nounOf(kind)} anew and asks the channel at ` +
          `once. ${asking}`,
        problems: [`${kind}_unknown`, `${kind}_ended`, 'busy', 'journal_unavailable'],
      },
    },
    handler: async (request, reply) => {
      const { id, endedAt, status } = await findTask(routed, request.params.id);
      if (endedAt !== null) throw new RecoupError(`${kind}_ended`, { [`${kind}_status`]: status });
      const caller = callerOf(request);
      await context.audit(caller, 'ask_requested', id);
      await context.submit(id, { kind: 'ask', by: caller.name });
      reply.code(202).header('location', `${path}/${id}`);
      return view(await findTask(routed, id));
    },
  });
}

const nounOf = (kind: RoutedKind['kind']): string => kind.replace('_', '-');
