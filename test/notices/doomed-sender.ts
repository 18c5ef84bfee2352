/**
 * A whole process of Recoup that sends notices, and kills itself with SIGKILL at the boundary it is
 * told to. Nothing in the product knows of this: the parts are wrapped.
 *
 * It waits for one line of JSON on stdin, so that it can be started ahead of its turn.
 */
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { compose, type Services } from '../../src/composition/root.js';
import { loadConfig } from '../../src/config.js';
import { repaymentId } from '../../src/ids.js';
import { silentLog } from '../../src/log.js';

/** What lies before each is where the one above it has left off. */
export const boundaries = ['after outcome', 'after fan-out', 'after claim', 'after send'] as const;
export type Boundary = (typeof boundaries)[number];

export interface Doom {
  readonly env: Record<string, string>;
  readonly repayment: string;
  readonly killAt: Boundary;
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
  for (let rounds = 0; rounds < 200; rounds += 1) {
    await services.notices.relay.tick();
    await services.notices.relay.idle();
    await services.clock.sleep(20);
  }
  await services.close();
}

function composeDoomed(doom: Doom): Services {
  const around = async <T>(
    what: string,
    act: () => Promise<T>,
    counts: (result: T) => boolean = () => true,
  ): Promise<T> => {
    const result = await act();
    if (doom.killAt === `after ${what}` && counts(result)) process.kill(process.pid, 'SIGKILL');
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
      notices: {
        deliveries: (inner) => ({
          fanOut: (limit, nowMs) =>
            around(
              'fan-out',
              () => inner.fanOut(limit, nowMs),
              (found) => found > 0,
            ),
          claim: (claim) =>
            around(
              'claim',
              () => inner.claim(claim),
              (found) => found.length > 0,
            ),
          record: (...args) => around('mark', () => inner.record(...args)),
          purge: (beforeMs, limit) => inner.purge(beforeMs, limit),
        }),
        poster: (inner) => ({
          post: (request) => around('send', () => inner.post(request)),
          close: () => inner.close(),
        }),
      },
    },
  });
}

// Imported for its types and names, too.
if (process.argv[1] === import.meta.filename) await main();
