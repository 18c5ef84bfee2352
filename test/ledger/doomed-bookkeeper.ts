/**
 * A whole process of Recoup that collects one repayment and posts it. At the boundaries it is told to,
 * Redis forgets everything, or it kills itself with SIGKILL, or both in this order. Nothing in the
 * product knows of this: the parts are wrapped.
 *
 * It waits for one line of JSON on stdin, so that it can be started ahead of its turn.
 */
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { Redis } from 'ioredis';
import { compose, type Services } from '../../src/composition/root.js';
import { loadConfig } from '../../src/config.js';
import { repaymentId } from '../../src/ids.js';
import { silentLog } from '../../src/log.js';

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

export interface Doom {
  readonly env: Record<string, string>;
  readonly repayment: string;
  /** Each is met once. */
  readonly flushAt: readonly Boundary[];
  readonly killAt: readonly Boundary[];
}

async function main(): Promise<void> {
  process.stdout.write('ready\n');
  const [line] = (await once(createInterface(process.stdin), 'line')) as [string];
  const doom = JSON.parse(line) as Doom;
  const services = composeDoomed(doom);
  await services.directory.refresh();
  const { finished } = await services.desk.start({
    source: 'app',
    repaymentId: repaymentId(doom.repayment),
    amountMinor: null,
    requestKey: `doomed:${doom.repayment}`,
    requestDigest: '0'.repeat(64),
    batchId: null,
    agent: null,
  });
  await finished;
  // Not before: what others left would take it to its boundary before it has done anything.
  services.ledger.start();
  while ((await services.ledger.reads.trialBalance()).undelivered.messages > 0) {
    await services.clock.sleep(20);
  }
  await services.close();
}

function composeDoomed(doom: Doom): Services {
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
  return compose({
    config: loadConfig(doom.env),
    env: doom.env,
    log: silentLog,
    wrappers: {
      journal: (inner) => ({
        load: (task) => inner.load(task),
        loadAfter: (task, seq) => inner.loadAfter(task, seq),
        async append(append) {
          const ends = append.entries.some(({ kind }) => kind === 'settled');
          if (ends) await around('outcome', () => inner.append(append));
          else await inner.append(append);
        },
      }),
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
    },
  });
}

async function flush(url: string): Promise<void> {
  const redis = new Redis(url);
  await redis.flushdb();
  redis.disconnect();
}

// Imported for its types and names, too.
if (process.argv[1] === import.meta.filename) await main();
