import { isPlacing } from '../engine/entries.js';
import type { Operation, Order } from '../engine/order.js';
import type { ChannelCalls, Channels } from '../engine/ports.js';
import type { Answer, UnknownWhy } from '../engine/reply.js';
import type { LiveHealth } from '../routing/live-health.js';
import { observationOf } from '../routing/observation.js';
import type { SimChannel } from './sim-channel.js';
import type { SimProcess } from './sim-process.js';

type Via = Operation | 'query' | 'close';
const feedsHealth = ({ operation }: Order): boolean =>
  operation === undefined || operation === 'refund';

/** The channels as one process reaches them, over a network that loses, delays and cuts. */
export function channelsOf(process: SimProcess, health: LiveHealth): Channels {
  const lines = new Map<string, ChannelCalls>();
  for (const channel of process.world.channels.values()) {
    const on =
      <A extends Answer>(via: Via) =>
      async (order: Order): Promise<A> => {
        const answer = await call<A>(process, channel, via, order);
        if (!feedsHealth(order)) return answer;
        health.observe(
          observationOf(answer as Parameters<typeof observationOf>[0], {
            channelId: channel.id,
            bankCode: order.account.bankCode,
            via: isPlacing(via) ? 'charge' : 'later',
            atMs: process.clock.nowMs(),
          }),
        );
        return answer;
      };
    const { offers, timeoutsMs } = channel.character;
    lines.set(channel.id, {
      timeoutsMs,
      charge: on('charge'),
      ...Object.fromEntries(offers.map((operation) => [operation, on(operation)])),
      query: on('query'),
      close: on('close'),
    });
  }
  return { get: (id) => lines.get(id) };
}

async function call<A extends Answer>(
  process: SimProcess,
  channel: SimChannel,
  via: Via,
  order: Order,
): Promise<A> {
  const { world } = process;
  const { faults, time } = world;
  const task = world.ordinal(order.orderNo);
  return await new Promise<A>((resolve) => {
    const answer = (said: Answer): void => process.deliver(() => resolve(said as A));
    if (faults.strikes('crash_before_send', task)) return process.crash();
    const go = (): void => {
      time.after(channel.character.timeoutsMs[isPlacing(via) ? 'charge' : via], () =>
        answer(unknown('timeout')),
      );
      send(process, channel, via, order, task, answer);
    };
    if (!faults.strikes('pause_before_send', task)) return go();
    // Between the last check and the socket: the request leaves when the process goes on.
    process.pause(faults.extent().spread(1_000, 400_000));
    process.deliver(go);
  });
}

function send(
  process: SimProcess,
  channel: SimChannel,
  via: Via,
  order: Order,
  task: number,
  answer: (said: Answer) => void,
): void {
  const { world } = process;
  const { faults } = world;
  if (isPlacing(via)) world.sends(order, channel);
  world.note('call', `${process.name} -> ${channel.id}: ${via}`, task);
  const out = world.isOut(channel);
  if (out && world.chanceOf(task).yes(0.5)) return;
  if (out || faults.strikes('request_not_sent', task)) {
    const none: Answer = isPlacing(via)
      ? { kind: 'not_executed', proof: 'not_sent' }
      : unknown('connection_lost');
    return world.time.after(5, () => answer(none));
  }
  if (isPlacing(via)) world.left(order);
  if (faults.strikes('request_lost', task)) return;
  const delayed = faults.strikes('request_delayed', task);
  const delayMs = delayed ? held(process, order) : world.chanceOf(task).between(10, 120);
  world.outside(delayMs, () => arrive(process, channel, via, order, task, answer));
  if (faults.strikes('crash_after_send', task)) process.crash();
}

/** How long the network holds a request: up to 400 s, and often until the worst moment for us. */
function held({ world }: SimProcess, order: Order): number {
  const extent = world.faults.extent();
  const untilExpiryMs = order.expiresAtMs - world.time.nowMs;
  if (untilExpiryMs > 2_000 && untilExpiryMs < 400_000 && extent.yes(0.5)) {
    return untilExpiryMs - extent.spread(1, 2_000);
  }
  return extent.spread(1_000, 400_000);
}

function arrive(
  process: SimProcess,
  channel: SimChannel,
  via: Via,
  order: Order,
  task: number,
  answer: (said: Answer) => void,
): void {
  const { world } = process;
  const { faults } = world;
  if (faults.strikes('server_error_before', task)) return answer(unknown('server_error'));
  const respond = (said: Answer): void => {
    world.note('reply', `${channel.id} to ${via}: ${said.kind}`, task);
    if (faults.strikes('reply_lost', task)) return;
    let heard: Answer = said;
    if (faults.strikes('reply_garbled', task)) heard = unknown('bad_response');
    else if (faults.strikes('server_error_after', task)) heard = unknown('server_error');
    world.time.after(world.chanceOf(task).between(10, 120), () => {
      if (faults.strikes('crash_at_reply', task)) return process.crash();
      if (faults.strikes('pause_at_reply', task)) {
        process.pause(faults.extent().spread(1_000, 400_000));
      }
      answer(heard);
    });
  };
  if (isPlacing(via)) channel.place(via, order, respond);
  else channel[via](order, respond);
}

const unknown = (why: UnknownWhy): Answer => ({ kind: 'unknown', why, detail: why });
