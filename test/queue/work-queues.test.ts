import { expect } from 'chai';
import { Redis } from 'ioredis';
import { systemClock } from '../../src/clock.js';
import { loadConfig } from '../../src/config.js';
import type { TaskKind } from '../../src/engine/entries.js';
import { newTaskId } from '../../src/ids.js';
import { silentLog } from '../../src/log.js';
import { Consumers } from '../../src/queue/consumers.js';
import { blockingOptions, connectRedis, failFastOptions } from '../../src/queue/redis.js';
import { QueuedWakeUps } from '../../src/queue/wake-ups.js';
import { until } from '../sandbox/sandbox-process.js';
import { patient, patientClock } from './patience.js';

const kinds: readonly TaskKind[] = ['deduction', 'withdrawal'];
const settings = { consumers: 4, waitingMax: 10, helpersMax: 3 };

/** A database of Redis that no environment takes: those go from 1 to 15 in turn. */
const redisUrl = `${loadConfig(process.env).redisUrl.replace(/\/\d*$/, '')}/0`;

describe('work queues', () => {
  const admin = new Redis(redisUrl);
  const client = connectRedis(redisUrl, patient(failFastOptions), silentLog, 'test');
  let queues: Awaited<ReturnType<typeof open>> | null = null;

  before(async () => until('redis', async () => client.status === 'ready'));
  beforeEach(async () => admin.flushdb());
  afterEach(async () => {
    await queues?.close();
    queues = null;
  });
  after(() => {
    for (const redis of [admin, client]) redis.disconnect();
  });

  /** Consumers whose work on withdrawals hangs until it is let go; deductions take 5 ms. */
  async function open() {
    const blocking = connectRedis(redisUrl, blockingOptions, silentLog, 'test');
    const wakeUps = new QueuedWakeUps(client, kinds, patientClock, silentLog);
    const hanging = new Set<() => void>();
    const seen = { deductions: 0, withdrawals: 0, hangingMost: 0 };
    let letGo = false;
    const wake = async (_task: string, kind: TaskKind): Promise<void> => {
      if (kind === 'deduction') {
        await systemClock.sleep(5);
        seen.deductions += 1;
        return;
      }
      seen.withdrawals += 1;
      if (letGo) return;
      await new Promise<void>((resolve) => {
        hanging.add(resolve);
        seen.hangingMost = Math.max(seen.hangingMost, hanging.size);
      });
    };
    const consumers = new Consumers(
      blocking,
      kinds,
      settings,
      wakeUps,
      wake,
      systemClock,
      silentLog,
    );
    const schedule = async (kind: TaskKind, count: number, inMs = 0): Promise<void> => {
      const atMs = Date.now() + inMs;
      const all = Array.from({ length: count }, () => wakeUps.schedule(newTaskId(), atMs, kind));
      await Promise.all(all);
    };
    const end = (): void => {
      letGo = true;
      for (const one of hanging) one();
      hanging.clear();
    };
    const close = async (): Promise<void> => {
      end();
      await consumers.close();
      await wakeUps.close();
      blocking.disconnect();
    };
    return { wakeUps, seen, hanging, schedule, end, close };
  }

  it('what is beyond the bound of its kind is taken by idle consumers of the others', async () => {
    queues = await open();
    const { seen, schedule, hanging, end } = queues;
    await schedule('withdrawal', 4 + 10);
    await until('its own consumers', async () => hanging.size === 4);
    await systemClock.sleep(1_200);
    expect(hanging.size, 'within the bound nobody helps').to.equal(4);
    await schedule('withdrawal', 10);
    await until('helpers', async () => hanging.size === 4 + 3);
    end();
    await until('all of them', async () => seen.withdrawals === 24);
  });

  it('a kind that hangs has its own consumers and a share of the others, never all', async () => {
    queues = await open();
    const { seen, schedule, hanging } = queues;
    await schedule('withdrawal', 300);
    await until('it to hang', async () => hanging.size === 4 + 3);
    for (let n = 1; n <= 3; n += 1) {
      await schedule('deduction', 40);
      await until('the others', async () => seen.deductions === n * 40);
      await systemClock.sleep(300);
    }
    expect(seen.hangingMost).to.equal(4 + 3);
  });

  it('what is due waits, also where nobody asks for it; what is delayed does not', async () => {
    queues = await open();
    const { wakeUps, schedule, hanging } = queues;
    await schedule('withdrawal', 4);
    await until('its own consumers', async () => hanging.size === 4);
    await schedule('withdrawal', 50, 3_600_000);
    expect((await wakeUps.depths())?.get('withdrawal')).to.deep.equal({ due: 0, later: 50 });
    await systemClock.sleep(700);
    expect(hanging.size, 'helpers for what is delayed').to.equal(4);
    // All consumers hang: nobody moves what becomes due to where BullMQ has what waits.
    await schedule('withdrawal', 20, 200);
    await until('helpers', async () => hanging.size === 4 + 3);
    const depth = (await wakeUps.depths())?.get('withdrawal');
    expect(depth).to.deep.equal({ due: 17, later: 50 });
    expect((await wakeUps.depths())?.get('deduction')).to.deep.equal({ due: 0, later: 0 });
  });

  it('without Redis nothing waits for it: a wake-up is lost soon, and nothing is said of what waits', async () => {
    const away = connectRedis('redis://127.0.0.1:1', failFastOptions, silentLog, 'test');
    const wakeUps = new QueuedWakeUps(away, kinds, systemClock, silentLog);
    await wakeUps.schedule(newTaskId(), Date.now(), 'deduction');
    expect(await wakeUps.depths()).to.equal(null);
    await wakeUps.close();
    away.disconnect();
  });
});
