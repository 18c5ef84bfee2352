/** A whole process of Recoup that is killed in the middle of top-ups (test/support/doomed.ts). */
import { compose } from '../../src/composition/root.js';
import { loadConfig } from '../../src/config.js';
import type { TopUpRequest } from '../../src/intake/top-up-desk.js';
import { silentLog } from '../../src/log.js';
import { amountMinor } from '../../src/money.js';
import { until } from '../sandbox/sandbox-process.js';
import { obey, type Life, type LifeOrders } from '../support/doomed.js';

export interface DoomedTopUp extends LifeOrders {
  readonly request: Omit<TopUpRequest, 'amountMinor'>;
}

async function live(
  { request }: DoomedTopUp,
  life: Life,
  env: Record<string, string>,
): Promise<void> {
  const services = compose({
    config: loadConfig(env),
    env,
    log: silentLog,
    wrappers: {
      journal: (inner) => life.journal(inner),
      channels: (inner) => life.channels(inner),
    },
  });
  await services.directory.refresh();
  const asked = { ...request, amountMinor: amountMinor(100_000) };
  const { id: topUpId, finished } = await services.flows.topUpDesk.start(asked);
  await finished;
  await until(`the end of top-up ${topUpId}`, async () => {
    await services.resume(topUpId);
    return (await services.flows.topUps.find(topUpId))?.endedAt !== null;
  });
  await services.close();
}

await obey(live);
