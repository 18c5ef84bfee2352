/** `Prefer: wait=N`: an answer when the outcome is known, or when the time is over. */
import type { FastifyReply } from 'fastify';
import type { RunResult } from '../engine/executor.js';
import type { Task } from '../engine/tasks.js';
import type { TaskId } from '../ids.js';
import type { HttpContext } from './context.js';
import type { OutcomeWatch, Watched } from './outcome-watch.js';

export interface Waiting<R> {
  readonly id: TaskId;
  /** The first run of it, in this process. */
  readonly finished: Promise<RunResult<Task>>;
  /** What the row says after such a run; without it, or where it does not know, the row is read. */
  readonly recordOf?: (state: Task) => R | null;
  /** As the caller prefers it; null: not at all. */
  readonly waitS: number | null;
}

/** Given for every end, or an error with its stack would be made for each. */
const waitOver = Symbol('the wait is over');

/** Null: read the row. The wait is over, the first run has ended it, or nobody listens any more. */
export async function waited<R extends Watched>(
  { id, finished, recordOf, waitS }: Waiting<R>,
  reply: FastifyReply,
  watch: OutcomeWatch<R>,
  { services, closing }: Pick<HttpContext, 'services' | 'closing'>,
): Promise<R | null> {
  if (waitS !== null) reply.header('preference-applied', `wait=${waitS}`);
  if (waitS === null || waitS === 0) return null;
  const over = new AbortController();
  const end = (): void => over.abort(waitOver);
  reply.raw.once('close', end);
  const leave = closing.listen(end);
  if (reply.raw.destroyed || closing.begun) end();
  const timer = services.clock.sleep(waitS * 1_000, over.signal).then(end);
  try {
    // While this process works on it nobody else has news; afterwards the row tells.
    const firstRun = finished.catch(() => null);
    const result = await Promise.race([firstRun, timer]);
    const { outcome, state } = result ?? { outcome: null, state: null };
    if (outcome === 'ended' || outcome === 'review') {
      return state === null ? null : (recordOf?.(state) ?? null);
    }
    const known = await watch.until(id, over.signal);
    // Too many wait: this caller's preference is one that could not be followed.
    if (known === null && !over.signal.aborted) reply.removeHeader('preference-applied');
    return known;
  } finally {
    end();
    reply.raw.off('close', end);
    leave();
  }
}
