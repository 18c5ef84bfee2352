/** Many orders pending at one asynchronous channel that can be asked about many at once. */
import { Redis } from 'ioredis';
import { number, table } from './figures.js';
import type { Section } from './sections.js';
import type { Result, Stage } from './stage.js';
import type { Settings } from './throughput.js';

export async function pending(
  stage: Stage,
  { smoke, progress }: Settings,
  orders: number,
): Promise<Section> {
  const count = smoke ? 50 : orders;
  const env = await stage.ownStores('pending');
  const placed = await measured(stage, 'placer', env, count);
  progress(`${number(count)} orders are pending after ${number(placed.seconds)} s`);
  const before = await redisOf(env);
  const asked = await measured(stage, 'asker', env, count);
  const after = await redisOf(env);
  const { calls = 0, asked: questions = 0 } = asked.extra;
  const figures = {
    orders: count,
    seconds: asked.seconds,
    per_second: count / asked.seconds,
    calls,
    orders_a_call: questions / Math.max(1, calls),
    peak_mib: asked.peakMib,
    redis_keys_when_all_were_pending: before.keys,
    redis_mib_when_all_were_pending: before.mib,
    redis_keys_when_none_was: after.keys,
    node_cpu_us_each: (asked.cpuMs * 1_000) / count,
    database_cpu_us_each: (asked.stores.databaseCpuMs * 1_000) / count,
    redis_cpu_us_each: (asked.stores.redisCpuMs * 1_000) / count,
    redis_commands_each: asked.stores.redisCommands / count,
    seconds_placing: placed.seconds,
    peak_mib_placing: placed.peakMib,
  };
  return {
    figures,
    text: table(
      [`${number(count)} orders pending`, ''],
      Object.entries(figures).map(([name, value]) => [name, number(value)]),
    ),
  };
}

async function measured(
  stage: Stage,
  what: 'placer' | 'asker',
  env: Record<string, string>,
  count: number,
): Promise<Result> {
  const running = await stage.start('pending', [what], env);
  try {
    return await running.measure({ inFlight: 1, count });
  } finally {
    await running.end();
  }
}

async function redisOf(env: Readonly<Record<string, string>>) {
  const redis = new Redis(env['RECOUP_REDIS_URL'] ?? '');
  try {
    const used = /used_memory:(\d+)/.exec(await redis.info('memory'))?.[1];
    return { keys: await redis.dbsize(), mib: Number(used) / 2 ** 20 };
  } finally {
    redis.disconnect();
  }
}
