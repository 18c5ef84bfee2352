/**
 * What a process is made of that kills itself with SIGKILL at durable boundaries: before and after
 * each commit, before each send, while the channel has the request and the answer has not been heard,
 * and after each receive. Nothing in the product knows of this: the parts are wrapped.
 *
 * A start costs a second, so one process lives through several tasks. Each stops for good at the
 * boundary it is to die at; when all have, the process dies. It waits for lines of JSON on stdin, so
 * that it can be started ahead of its turn, and prints the boundaries that its tasks pass.
 */
import { createInterface } from 'node:readline';
import type { Journal } from '../../src/engine/journal.js';
import { operations, type Order } from '../../src/engine/order.js';
import type { ChannelCalls, Channels } from '../../src/engine/ports.js';
import type { Task } from '../../src/engine/tasks.js';

export interface LifeOrders {
  /** The boundary to die at, as it is printed ("after charge 1"); null: none, it is lived to its end. */
  readonly killAt: string | null;
}

export interface Orders<L extends LifeOrders> {
  readonly env: Record<string, string>;
  readonly lives: readonly L[];
  /** How long the channel needs at least to have a request, ms. */
  readonly inFlightMs: number;
}

/** One task of the process. */
export class Life {
  readonly #passed = new Map<string, number>();

  constructor(
    readonly no: number,
    private readonly killAt: string | null,
    private readonly inFlightMs: number,
    private readonly stopped: () => void,
  ) {}

  // Named and not numbered through: a run that asks once more or less dies at the same place.
  async #boundary(name: string): Promise<void> {
    const nth = (this.#passed.get(name) ?? 0) + 1;
    this.#passed.set(name, nth);
    process.stdout.write(`${this.no} ${name} ${nth}\n`);
    if (`${name} ${nth}` !== this.killAt) return;
    this.stopped();
    await new Promise<never>(() => undefined);
  }

  async #around<A>(via: string, call: () => Promise<A>): Promise<A> {
    await this.#boundary(`before ${via}`);
    const answer = call();
    // Passed by every call, also by one that is answered sooner: this process has not heard it.
    await new Promise((resolve) => void setTimeout(resolve, this.inFlightMs));
    await this.#boundary(`during ${via}`);
    const received = await answer;
    await this.#boundary(`after ${via}`);
    return received;
  }

  journal(inner: Journal<Task>): Journal<Task> {
    return {
      load: (task) => inner.load(task),
      loadAfter: (task, seq) => inner.loadAfter(task, seq),
      append: async (append) => {
        await this.#boundary('before commit');
        await inner.append(append);
        await this.#boundary('after commit');
      },
    };
  }

  channels(inner: Channels): Channels {
    return {
      get: (id) => {
        const channel = inner.get(id);
        return channel && this.#channel(channel);
      },
    };
  }

  #channel(channel: ChannelCalls): ChannelCalls {
    const { close } = channel;
    const placings = operations.flatMap((operation) => {
      const place = channel[operation];
      if (place === undefined) return [];
      return [[operation, (order: Order) => this.#around(operation, () => place(order))]];
    });
    return {
      ...(Object.fromEntries(placings) as Pick<ChannelCalls, 'charge'>),
      timeoutsMs: channel.timeoutsMs,
      query: (order) => this.#around('query', () => channel.query(order)),
      ...(close && { close: (order) => this.#around('close', () => close(order)) }),
    };
  }
}

/** Lives as it is told to, line by line, until nothing more is said or it is dead. */
export async function obey(
  live: (orders: never, life: Life, env: Record<string, string>) => Promise<void>,
): Promise<void> {
  process.stdout.write('ready\n');
  for await (const line of createInterface(process.stdin)) {
    const { env, lives, inFlightMs } = JSON.parse(line) as Orders<LifeOrders>;
    const all = lives.map((orders, no) => ({
      inFlight: orders.killAt?.startsWith('during ') === true,
      begin: async () =>
        await new Promise<void>((resolve, reject) => {
          const life = new Life(no, orders.killAt, inFlightMs, resolve);
          live(orders as never, life, env).then(resolve, reject);
        }),
    }));
    // Last: the process is to die while the channel has these requests.
    for (const last of [false, true]) {
      await Promise.all(
        all.filter(({ inFlight }) => inFlight === last).map(({ begin }) => begin()),
      );
    }
    if (lives.some(({ killAt }) => killAt !== null)) process.kill(process.pid, 'SIGKILL');
    process.stdout.write('finished\n');
  }
}
