/**
 * A whole process of Recoup that collects one repayment and does what follows from it, with parts
 * wrapped by whoever kills it. It waits for one line of JSON on stdin, so that it can be started ahead of
 * its turn.
 */
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { compose, type Services, type Wrappers } from '../../src/composition/root.js';
import { loadConfig } from '../../src/config.js';
import { repaymentId } from '../../src/ids.js';
import { silentLog } from '../../src/log.js';

export interface Told {
  readonly env: Record<string, string>;
  readonly repayment: string;
}

/** @param wrap given what stdin said: `Told`, and what else the test has to say. */
export async function collectOnce(
  wrap: (told: never) => Wrappers,
  then: (services: Services) => Promise<void>,
): Promise<void> {
  process.stdout.write('ready\n');
  const [line] = (await once(createInterface(process.stdin), 'line')) as [string];
  const told = JSON.parse(line) as Told;
  const { env, repayment } = told;
  const services = compose({
    config: loadConfig(env),
    env,
    log: silentLog,
    wrappers: wrap(told as never),
  });
  await services.directory.refresh();
  const { finished } = await services.desk.start({
    source: 'app',
    repaymentId: repaymentId(repayment),
    amountMinor: null,
    requestKey: `doomed:${repayment}`,
    requestDigest: '0'.repeat(64),
    batchId: null,
    agent: null,
  });
  await finished;
  await then(services);
  await services.close();
}

/** The journal, with something around the commit that settles. */
export const aroundOutcome = (
  around: (settle: () => Promise<void>) => Promise<void>,
): Required<Pick<Wrappers, 'journal'>> => ({
  journal: (inner) => ({
    load: (task) => inner.load(task),
    loadAfter: (task, seq) => inner.loadAfter(task, seq),
    async append(append) {
      const settles = append.entries.some(({ kind }) => kind === 'settled');
      await (settles ? around(() => inner.append(append)) : inner.append(append));
    },
  }),
});
