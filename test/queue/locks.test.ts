import { expect } from 'chai';
import { Redis } from 'ioredis';
import { systemClock, type Clock } from '../../src/clock.js';
import { loadConfig } from '../../src/config.js';
import { silentLog } from '../../src/log.js';
import { RedisLocks } from '../../src/queue/locks.js';
import { connectRedis, lockOptions } from '../../src/queue/redis.js';
import { until } from '../sandbox/sandbox-process.js';
import { patient } from './patience.js';

describe('a lock on Redis', () => {
  const { redisUrl } = loadConfig(process.env);
  const open: Redis[] = [];
  /** Much longer than a test takes: no key expires by itself. */
  const leaseMs = 60_000;
  /** As redlock reckons the drift of clocks. */
  const heldMs = 59_400;
  let nowMs = 0;
  const clock: Clock = {
    ...systemClock,
    monotonicMs: () => nowMs,
    sleep: async (ms) => {
      nowMs += ms;
      await systemClock.sleep(ms);
    },
  };

  function locks({ url = redisUrl, options = lockOptions } = {}): RedisLocks {
    const redis = connectRedis(url, options, silentLog, 'test');
    open.push(redis);
    return new RedisLocks(redis, leaseMs, clock, silentLog);
  }

  let admin: Redis;
  before(async () => {
    admin = new Redis(redisUrl);
    await admin.ping();
  });
  beforeEach(async () => {
    await admin.flushdb();
  });
  after(() => {
    for (const redis of open) redis.disconnect();
    admin.disconnect();
  });

  const ready = async (options = patient(lockOptions)): Promise<RedisLocks> => {
    const made = locks({ options });
    await until('redis', async () => open.at(-1)?.status === 'ready');
    return made;
  };

  it('is held by one at a time, and free after its release', async () => {
    const [a, b] = [await ready(), await ready()];
    const lease = await a.acquire('r1', 0);
    expect(lease?.remainingMs()).to.equal(heldMs);
    expect(await admin.pttl('recoup:lock:r1')).to.be.within(1, leaseMs);
    expect(await b.acquire('r1', 0)).to.equal(null);
    const waiting = b.acquire('r1', 2_000);
    await lease?.release();
    expect(await waiting).not.to.equal(null);
  });

  it('counts the lease on the monotonic clock', async () => {
    const lease = await (await ready()).acquire('r2', 0);
    nowMs += 50_000;
    expect(lease?.remainingMs()).to.equal(heldMs - 50_000);
    await lease?.extend();
    expect(lease?.remainingMs()).to.equal(heldMs);
  });

  it('is over when it was flushed: an extension fails, a release does not', async () => {
    const lease = await (await ready()).acquire('r3', 0);
    await admin.flushdb();
    await lease?.extend();
    expect(lease?.remainingMs()).to.be.at.most(0);
    await lease?.release();
  });

  it("does not release what has meanwhile become another's", async () => {
    const [a, b] = [await ready(), await ready()];
    const old = await a.acquire('r4', 0);
    await admin.flushdb();
    const fresh = await b.acquire('r4', 0);
    await old?.release();
    expect(await a.acquire('r4', 0)).to.equal(null);
    await fresh?.release();
  });

  it('is free once the locks are closed, though nobody waited for its release', async () => {
    const closing = await ready();
    const lease = await closing.acquire('r7', 0);
    void lease?.release();
    await closing.close();
    expect(await admin.exists('recoup:lock:r7')).to.equal(0);
  });

  it('is granted by the process itself when Redis is away', async () => {
    const lease = await locks({ url: 'redis://127.0.0.1:1/0' }).acquire('r5', 0);
    expect(lease?.remainingMs()).to.equal(leaseMs);
    await lease?.extend();
    await lease?.release();
    expect(lease?.remainingMs()).to.be.at.most(0);
  });

  it('does not hang on a Redis that is frozen', async () => {
    const frozen = await ready(lockOptions);
    // For longer than the test may take; all that a lock asks for is writing, and what ends it is not.
    await admin.call('CLIENT', 'PAUSE', '30000', 'WRITE');
    try {
      expect(await frozen.acquire('r6', 0)).not.to.equal(null);
      expect(await admin.exists('recoup:lock:r6'), 'Redis answered').to.equal(0);
    } finally {
      await admin.call('CLIENT', 'UNPAUSE');
    }
  });
});
