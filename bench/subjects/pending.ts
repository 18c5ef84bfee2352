/**
 * An asynchronous channel: every order is pending when it is placed, and done when it is asked about.
 * `placer` places all of them. `asker` has the pool of consumers ask, many orders a call; what is
 * measured of it, its memory too, is so its own.
 */
import { coalescing } from '../../src/channels/coalescing.js';
import type { Channel } from '../../src/channels/channel.js';
import type { Services } from '../../src/composition/root.js';
import type { OrderNo } from '../../src/ids.js';
import { selectRows } from '../../src/store/database.js';
import { channelMs, inProcessProfiles, openRecoup } from '../channels.js';
import { registered, requestFor } from '../due.js';
import { lanes, serve, type Subject } from '../subject.js';

const queryManyMax = 50;
const atOnce = 512;
/** Repayments are made and placed so many at a time: a list of all of them would be what is measured. */
const slice = 5_000;

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
  const work = process.argv[2] === 'placer' ? place : ask;
  return {
    prepare: async ({ count }) => ({
      run: async () => {
        const beganMs = performance.now();
        await work(services, count);
        return new Float64Array(count).fill((performance.now() - beganMs) / count);
      },
      counters: async () => ({ calls, asked }),
    }),
    close: async () => await services.close(),
  };
}

async function place(services: Services, count: number): Promise<void> {
  for (let placed = 0; placed < count; placed += slice) {
    const due = await registered(services.repayments, Math.min(slice, count - placed));
    await lanes({ count: due.length, inFlight: atOnce }, async (index) => {
      const repayment = due[index];
      if (repayment === undefined) throw new Error('too few repayments');
      const { finished } = await services.desk.start(requestFor(repayment), repayment);
      await finished;
      return 0;
    });
  }
}

async function ask(services: Services): Promise<void> {
  services.startPoller();
  const { database, clock } = services;
  while ((await selectRows(database, 'SELECT 1 FROM in_flight LIMIT 1')).length > 0) {
    await clock.sleep(200);
  }
}

await serve(open);
