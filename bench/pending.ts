/** Many orders pending at one asynchronous channel that can be asked about many at once. */
import { number, table } from './figures.js';
import type { Section } from './sections.js';
import type { Stage } from './stage.js';
import type { Settings } from './throughput.js';

export async function pending(stage: Stage, { smoke }: Settings, orders: number): Promise<Section> {
  const count = smoke ? 50 : orders;
  const running = await stage.start('pending', [], await stage.ownStores('pending'));
  try {
    const { seconds, cpuMs, peakMib, extra, stores } = await running.measure({
      inFlight: 1,
      count,
    });
    const figures = {
      orders: count,
      seconds,
      per_second: count / seconds,
      calls: extra['calls'] ?? 0,
      orders_a_call: (extra['asked'] ?? 0) / (extra['calls'] ?? 1),
      redis_keys_when_all_were_pending: extra['redis_keys'] ?? 0,
      redis_mib_when_all_were_pending: extra['redis_mib'] ?? 0,
      peak_mib_when_all_were_pending: extra['placed_mib'] ?? 0,
      peak_mib: peakMib,
      node_cpu_us_each: (cpuMs * 1_000) / count,
      database_cpu_us_each: (stores.databaseCpuMs * 1_000) / count,
      redis_commands_each: stores.redisCommands / count,
    };
    return {
      figures,
      text: table(
        [`${number(count)} orders pending`, ''],
        Object.entries(figures).map(([name, value]) => [name, number(value)]),
      ),
    };
  } finally {
    await running.end();
  }
}
