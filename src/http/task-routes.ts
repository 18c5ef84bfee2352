/** What the routes of deductions, withdrawals and top-ups have in common. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { RecoupError } from '../errors.js';
import type { TaskId } from '../ids.js';
import { callerOf, type HttpContext } from './context.js';

interface TaskRow {
  readonly id: TaskId;
  readonly status: string;
  readonly endedAt: Date | null;
}

/** Starts a task, and counts it as under way until its first run has ended. */
export async function startWithinBound<S extends { readonly finished: Promise<unknown> | null }>(
  { services, gate }: Pick<HttpContext, 'services' | 'gate'>,
  kind: 'deduction' | 'withdrawal' | 'top-up',
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
          services.log.warn(`${kind} interrupted`, { task_id: idOf(started), why });
        })
        .finally(leave);
    }
    return started;
  } catch (error) {
    leave();
    throw error;
  }
}

/** @throws RecoupError `idempotency_in_progress`: there is no result to repeat yet */
export function markReplayed(
  first: TaskRow,
  kind: 'deduction' | 'withdrawal' | 'top_up',
  reply: FastifyReply,
): void {
  if (first.endedAt === null) {
    const details = { [`${kind}_id`]: first.id, [`${kind}_status`]: first.status };
    throw new RecoupError('idempotency_in_progress', details);
  }
  reply.header('idempotency-replayed', 'true');
}

/** What the row says: 200 when it is final, 202 when it is not. */
export function locate({ id, endedAt }: TaskRow, path: string, reply: FastifyReply): void {
  reply.code(endedAt === null ? 202 : 200).header('location', `${path}/${id}`);
}

/** Has the channel of an unfinished task asked at once, in the name of whoever wants it. */
export async function askNow(
  context: HttpContext,
  request: FastifyRequest,
  id: TaskId,
): Promise<void> {
  const caller = callerOf(request);
  await context.audit(caller, 'ask_requested', id);
  await context.submit(id, { kind: 'ask', by: caller.name });
}
