import type { Order } from '../engine/order.js';
import type { QueryAnswer } from '../engine/reply.js';
import type { OrderNo } from '../ids.js';
import type { Channel } from './channel.js';

/** How long a question waits for company. Counts within its time-out. */
export const coalescingWindowMs = 5;

interface Asked {
  readonly order: Order;
  readonly answer: Promise<QueryAnswer>;
  readonly resolve: (answer: QueryAnswer) => void;
  readonly reject: (reason: unknown) => void;
}

/**
 * Gathers the questions of a few milliseconds into one `queryMany`, so that ten thousand pending
 * orders cost a few hundred calls. Ten lines of waiting instead of a queue: every question is still
 * a call of its own to whoever asks it.
 */
export function coalescing(channel: Channel, windowMs: number = coalescingWindowMs): Channel {
  if (channel.queryMany === undefined) return channel;
  const max = channel.profile.query_many_max;
  let gathering = new Map<OrderNo, Asked>();
  let timer: NodeJS.Timeout | undefined;

  const flush = (): void => {
    clearTimeout(timer);
    timer = undefined;
    const asked = [...gathering.values()];
    gathering = new Map();
    // Whoever asked must hear of a failure: nobody else would, and each would wait for ever.
    ask(channel, asked).catch((error: unknown) => {
      for (const { reject } of asked) reject(error);
    });
  };
  return {
    ...channel,
    query: (order) => {
      // The channel's list holds charges; refunds are few.
      if (order.operation !== undefined) return channel.query(order);
      const already = gathering.get(order.orderNo);
      if (already !== undefined) return already.answer;
      let resolve!: Asked['resolve'];
      let reject!: Asked['reject'];
      const answer = new Promise<QueryAnswer>((settle, refuse) => {
        resolve = settle;
        reject = refuse;
      });
      gathering.set(order.orderNo, { order, answer, resolve, reject });
      if (gathering.size >= max) flush();
      else timer ??= setTimeout(flush, windowMs);
      return answer;
    },
  };
}

async function ask(channel: Channel, asked: readonly Asked[]): Promise<void> {
  const [only] = asked;
  if (asked.length === 1 && only !== undefined) {
    only.resolve(await channel.query(only.order));
    return;
  }
  const answers = await channel.queryMany?.(asked.map(({ order }) => order));
  for (const { order, resolve } of asked) {
    const detail = 'the answer leaves this order out';
    resolve(answers?.get(order.orderNo) ?? { kind: 'unknown', why: 'bad_response', detail });
  }
}
