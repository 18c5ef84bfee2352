/** `Prefer: wait=N`: an answer when the outcome is known, or when the time is over. */
import type { FastifyReply } from 'fastify';
import type { RunOutcome } from '../engine/executor.js';
import type { TaskId } from '../ids.js';
import type { HttpContext } from './context.js';
import type { OutcomeWatch, Watched } from './outcome-watch.js';

export interface Waiting {
  readonly id: TaskId;
  /** The first run of it, in this process. */
  readonly finished: Promise<{ readonly outcome: RunOutcome }>;
  /** As the caller prefers it; null: not at all. */
  readonly waitS: number | null;
}

/** Given for every end, or an error with its stack would be made for each. */
const waitOver = Symbol('the wait is over');

/** Null: read the row. The wait is over, the first run has ended it, or nobody listens any more. */
export async function waited<R extends Watched>(
  { id, finished, waitS }: Waiting,
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
    const firstRun = finished.then(
      ({ outcome }) => outcome,
      () => null,
    );
    const outcome = await Promise.race([firstRun, timer]);
    if (outcome === 'ended' || outcome === 'review') return null;
    return await watch.until(id, over.signal);
  } finally {
    end();
    reply.raw.off('close', end);
    leave();
  }
}
