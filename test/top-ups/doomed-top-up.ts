/**
 * A whole process of Recoup that tops up a card and kills itself with SIGKILL at a durable boundary:
 * around each commit, and before, while and after anything is asked of a channel or the card system.
 * It waits for one line of JSON on stdin, and prints the boundaries it passes.
 */
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { compose } from '../../src/composition-root.js';
import { loadConfig } from '../../src/config.js';
import { operations } from '../../src/engine/order.js';
import type { ChannelCalls } from '../../src/engine/ports.js';
import type { TopUpRequest } from '../../src/intake/top-up-desk.js';
import { silentLog } from '../../src/log.js';
import { amountMinor } from '../../src/money.js';

export interface DoomedTopUp {
  /** The boundary to die at, as it is printed ("after credit 1"); null: none. */
  readonly killAt: string | null;
  readonly env: Record<string, string>;
  readonly request: Omit<TopUpRequest, 'amountMinor'>;
  /** How long the other side needs at least to have a request, ms. */
  readonly inFlightMs: number;
}

process.stdout.write('ready\n');
const [line] = (await once(createInterface(process.stdin), 'line')) as [string];
const { killAt, env, request, inFlightMs } = JSON.parse(line) as DoomedTopUp;

const passed = new Map<string, number>();
// Named and not numbered through: a run that asks once more or less dies at the same place.
function boundary(name: string): void {
  const nth = (passed.get(name) ?? 0) + 1;
  passed.set(name, nth);
  process.stdout.write(`${name} ${nth}\n`);
  if (`${name} ${nth}` === killAt) process.kill(process.pid, 'SIGKILL');
}

async function around<A>(what: string, call: () => Promise<A>): Promise<A> {
  boundary(`before ${what}`);
  const answer = call();
  await new Promise((resolve) => void setTimeout(resolve, inFlightMs));
  boundary(`during ${what}`);
  const heard = await answer;
  boundary(`after ${what}`);
  return heard;
}

function doomed(channel: ChannelCalls): ChannelCalls {
  const calls = channel as unknown as Record<
    string,
    ((order: never) => Promise<never>) | undefined
  >;
  const wrapped = [...operations, 'query', 'close'].flatMap((name) => {
    const call = calls[name];
    return call ? [[name, (order: never) => around(name, () => call(order))] as const] : [];
  });
  return { ...channel, ...Object.fromEntries(wrapped) };
}

const services = compose({
  config: { ...loadConfig(env), settlementAgeMs: 500 },
  env,
  log: silentLog,
  wrappers: {
    journal: (inner) => ({
      load: async (task) => await inner.load(task),
      async append(append) {
        boundary('before commit');
        await inner.append(append);
        boundary('after commit');
      },
    }),
    channels: (inner) => ({
      get: (id) => {
        const channel = inner.get(id);
        return channel && doomed(channel);
      },
    }),
  },
});
await services.directory.refresh();
const asked = { ...request, amountMinor: amountMinor(100_000) };
const { topUpId, finished } = await services.flows.topUpDesk.start(asked);
await finished;
while ((await services.flows.topUps.find(topUpId))?.endedAt === null) {
  await services.clock.sleep(20);
  await services.resume(topUpId);
}
process.stdout.write('finished\n');
await services.close();
