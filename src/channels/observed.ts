import type { Order } from '../engine/order.js';
import type { Answer } from '../engine/reply.js';
import type { ChannelId } from '../ids.js';
import type { Channel } from './channel.js';

export type ChannelOperation = 'charge' | 'refund' | 'query' | 'query_refund' | 'close';

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
  const { close, refund } = channel;
  return {
    ...channel,
    charge: (order) => watch('charge', order, (one) => channel.charge(one)),
    query: (order) =>
      watch(order.operation === 'refund' ? 'query_refund' : 'query', order, (one) =>
        channel.query(one),
      ),
    ...(refund && { refund: (order: Order) => watch('refund', order, (one) => refund(one)) }),
    ...(close && { close: (order: Order) => watch('close', order, (one) => close(one)) }),
  };
}
