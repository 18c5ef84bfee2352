/**
 * An asynchronous channel: every order is pending when it is placed, and done when it is asked about.
 * Placing all of them is not measured; from then on the pool of consumers asks, many orders a call.
 */
import { coalescing } from '../../src/channels/coalescing.js';
import type { Channel } from '../../src/channels/channel.js';
import type { Services } from '../../src/composition/root.js';
import type { OrderNo } from '../../src/ids.js';
import { selectRows } from '../../src/store/database.js';
import { channelMs, inProcessProfiles, openRecoup } from '../channels.js';
import { registered, requestFor } from '../due.js';
import { lanes, peakMib, serve, type Subject } from '../subject.js';

const queryManyMax = 50;
const atOnce = 512;

type Asynchronous = Pick<Channel, 'timeoutsMs' | 'charge' | 'query' | 'queryMany'>;

const later = async (): Promise<void> =>
  await new Promise((resolve) => setTimeout(resolve, channelMs));
const answerTo = (orderNo: OrderNo) =>
  ({ kind: 'succeeded', channelRef: `REF${orderNo}` }) as const;

/** Counts the calls that ask, and the orders that are asked about. */
function asynchronous(count: (orders: number) => void): Asynchronous {
  return {
    timeoutsMs: { charge: 1_000, query: 1_000, close: 1_000 },
    charge: async () => {
      await later();
      return { kind: 'pending', channelRef: null };
    },
    query: async ({ orderNo }) => {
      count(1);
      await later();
      return answerTo(orderNo);
    },
    queryMany: async (orders) => {
      count(orders.length);
      await later();
      return new Map(orders.map(({ orderNo }) => [orderNo, answerTo(orderNo)]));
    },
  };
}

async function open(): Promise<Subject> {
  let calls = 0;
  let asked = 0;
  const channel = asynchronous((orders) => {
    calls += 1;
    asked += orders;
  });
  const gathered = coalescing({ ...channel, profile: { query_many_max: queryManyMax } } as Channel);
  const services = await openRecoup(inProcessProfiles(), {
    channels: () => ({ get: () => gathered }),
  });
  // The parent gets what a counter grew by: these are told after the run alone.
  let placed: Record<string, number> = {};
  let ended = false;
  return {
    async prepare(load) {
      await place(services, load.count);
      placed = await afterPlacing(services);
      return {
        run: async () => {
          services.startPoller();
          const beganMs = performance.now();
          while (!(await allEnded(services))) await services.clock.sleep(200);
          ended = true;
          const eachMs = (performance.now() - beganMs) / load.count;
          return new Float64Array(load.count).fill(eachMs);
        },
        counters: async () => ({ calls, asked, ...(ended ? placed : {}) }),
      };
    },
    close: async () => await services.close(),
  };
}

async function place(services: Services, count: number): Promise<void> {
  const due = await registered(services.repayments, count);
  await lanes({ count, inFlight: atOnce }, async (index) => {
    const repayment = due[index];
    if (repayment === undefined) throw new Error('too few repayments');
    const { finished } = await services.desk.start(requestFor(repayment), repayment);
    await finished;
    return 0;
  });
}

async function afterPlacing({ redis }: Services): Promise<Record<string, number>> {
  const used = /used_memory:(\d+)/.exec(await redis.info('memory'))?.[1];
  return {
    redis_keys: await redis.dbsize(),
    redis_mib: Number(used) / 2 ** 20,
    placed_mib: peakMib(process.pid),
  };
}

async function allEnded({ database }: Services): Promise<boolean> {
  const [left] = await selectRows<{ n: number }>(database, 'SELECT COUNT(*) AS n FROM in_flight');
  return Number(left?.n) === 0;
}

await serve(open);
