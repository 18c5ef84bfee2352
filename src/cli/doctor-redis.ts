import type { Services } from '../composition/root.js';
import { fail, ok, warn, type Finding } from './doctor-finding.js';

/** Redis keeps no money safe, but an evicted wake-up is a late one. */
export async function checkRedis(redis: Services['redis']): Promise<Finding[]> {
  if (redis.status !== 'ready') await connected(redis);
  const memory = await redis.info('memory');
  const persistence = await redis.info('persistence');
  const policy = field(memory, 'maxmemory_policy');
  const aof = field(persistence, 'aof_enabled');
  return [
    policy === 'noeviction'
      ? ok('redis', 'noeviction')
      : fail('redis', `maxmemory-policy ${policy}`, 'Set maxmemory-policy to noeviction.'),
    aof === '1'
      ? ok('redis', 'appendonly yes')
      : warn(
          'redis',
          'appendonly no: a restart forgets wake-ups until the compensator comes',
          'Set appendonly to yes.',
        ),
  ];
}

const field = (info: string, name: string): string =>
  new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1] ?? 'not told';

async function connected(redis: Services['redis']): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const late = setTimeout(() => reject(new Error('no answer within 3 s')), 3_000);
    redis.once('ready', () => {
      clearTimeout(late);
      resolve();
    });
  });
}
