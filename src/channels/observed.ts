import type { Operation, Order } from '../engine/order.js';
import type { Places } from '../engine/ports.js';
import type { Answer } from '../engine/reply.js';
import type { ChannelId } from '../ids.js';
import { asking, type Asking } from './call-record.js';
import type { Channel } from './channel.js';
import { operations } from './operations.js';

export type ChannelOperation = Operation | Asking | 'close';

/** One answer of a channel, for the metrics and for the health that routing goes by. */
export interface ObservedAnswer {
  readonly channelId: ChannelId;
  readonly bankCode: string;
  readonly operation: ChannelOperation;
  readonly answer: Answer;
  readonly ms: number;
}

export type ChannelObserver = (observed: ObservedAnswer) => void;

/** Tells the observer of every answer. An observer that throws is a bug and changes no answer. */
export function observed(
  channel: Channel,
  observer: ChannelObserver,
  monotonicMs: () => number = () => performance.now(),
): Channel {
  const watch = async <A extends Answer>(
    operation: ChannelOperation,
    order: Order,
    call: (order: Order) => Promise<A>,
  ): Promise<A> => {
    const startedMs = monotonicMs();
    const answer = await call(order);
    const ms = monotonicMs() - startedMs;
    const { id: channelId } = channel.profile;
    try {
      observer({ channelId, bankCode: order.account.bankCode, operation, answer, ms });
    } catch {
      // Nothing may stand between a channel's answer and the log.
    }
    return answer;
  };
  const { close } = channel;
  const placed = operations.flatMap((operation) => {
    const place = channel[operation];
    const watched = place && ((order: Order) => watch(operation, order, place));
    return watched === undefined ? [] : [[operation, watched] as const];
  });
  return {
    ...channel,
    ...(Object.fromEntries(placed) as Places),
    charge: (order) => watch('charge', order, (one) => channel.charge(one)),
    query: (order) => watch(asking(order), order, (one) => channel.query(one)),
    ...(close && { close: (order: Order) => watch('close', order, (one) => close(one)) }),
  };
}
