/**
 * A whole process of Recoup that collects one repayment and posts it. At the boundaries it is told to,
 * Redis forgets everything, or it kills itself with SIGKILL, or both in this order. Nothing in the
 * product knows of this: the parts are wrapped.
 */
import { Redis } from 'ioredis';
import type { Services, Wrappers } from '../../src/composition/root.js';
import { aroundOutcome, collectOnce, type Told } from '../support/collect-once.js';

export const boundaries = [
  'before outcome',
  'after outcome',
  'before dispatch',
  'after dispatch',
  'before post',
  'after post',
  'before confirm',
  'after confirm',
] as const;
export type Boundary = (typeof boundaries)[number];

export interface Doom extends Told {
  /** Each is met once. */
  readonly flushAt: readonly Boundary[];
  readonly killAt: readonly Boundary[];
}

function wrappers(doom: Doom): Wrappers {
  const met = new Set<Boundary>();
  const reach = async (boundary: Boundary): Promise<void> => {
    if (met.has(boundary)) return;
    met.add(boundary);
    process.stdout.write(`${boundary}\n`);
    if (doom.flushAt.includes(boundary)) await flush(doom.env['RECOUP_REDIS_URL'] ?? '');
    if (doom.killAt.includes(boundary)) process.kill(process.pid, 'SIGKILL');
  };
  const around = async <T>(
    what: 'outcome' | 'dispatch' | 'post' | 'confirm',
    act: () => Promise<T>,
  ) => {
    await reach(`before ${what}`);
    const result = await act();
    await reach(`after ${what}`);
    return result;
  };
  return {
    ...aroundOutcome((settle) => around('outcome', settle)),
    ledger: {
      outbox: (inner) => ({
        claimDue: (claim) => inner.claimDue(claim),
        release: (ids, nowMs) => inner.release(ids, nowMs),
        unsettled: (ids) => inner.unsettled(ids),
        purgeDelivered: (beforeMs, limit) => inner.purgeDelivered(beforeMs, limit),
        confirm: (verdicts, nowMs) => around('confirm', () => inner.confirm(verdicts, nowMs)),
      }),
      queue: (inner) => ({
        hasRoom: () => inner.hasRoom(),
        add: (batches) => around('dispatch', () => inner.add(batches)),
      }),
      ledger: (inner) => ({ post: (entries) => around('post', () => inner.post(entries)) }),
    },
  };
}

/** Not before the outcome: what others left would take it to its boundary before it has done anything. */
async function post({ ledger, clock }: Services): Promise<void> {
  ledger.start();
  while ((await ledger.reads.trialBalance()).undelivered.messages > 0) await clock.sleep(20);
}

async function flush(url: string): Promise<void> {
  const redis = new Redis(url);
  await redis.flushdb();
  redis.disconnect();
}

// Imported for its types and names, too.
if (process.argv[1] === import.meta.filename) await collectOnce(wrappers, post);
