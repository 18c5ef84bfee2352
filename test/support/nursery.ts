import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { LifeOrders, Orders } from './doomed.js';

export interface Life {
  readonly lines: readonly string[];
  readonly killed: boolean;
}

/** What one of the tasks of a process came to. */
export interface DoomedLife {
  /** Those it passed, in order. */
  readonly boundaries: readonly string[];
  /** The process was killed with it at the boundary that was meant. */
  readonly killed: boolean;
}

/** A process that obeys (test/support/doomed.ts), as often as nobody kills it. */
export class Doomed<L extends LifeOrders> {
  readonly #exit: Promise<readonly [number | null, NodeJS.Signals | null]>;
  #lines: string[] = [];
  #finished: () => void = () => undefined;

  constructor(private readonly child: ChildProcess) {
    this.#exit = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
    createInterface(child.stdout as NodeJS.ReadableStream).on('line', (line) => {
      if (line === 'finished') this.#finished();
      else this.#lines.push(line);
    });
  }

  async live(orders: Orders<L>): Promise<readonly DoomedLife[]> {
    this.#lines = [];
    const finished = new Promise<null>((resolve) => (this.#finished = () => resolve(null)));
    this.child.stdin?.write(`${JSON.stringify(orders)}\n`);
    const ended = await Promise.race([finished, this.#exit]);
    if (ended !== null && ended[1] !== 'SIGKILL') throw new Error(`it ended with ${ended[0]}`);
    const mortal = orders.lives.some(({ killAt }) => killAt !== null);
    if (mortal !== (ended !== null)) throw new Error(mortal ? 'it lives on' : 'it was killed');
    return orders.lives.map(({ killAt }, no) => {
      const own = `${no} `;
      const lines = this.#lines.filter((line) => line.startsWith(own));
      const boundaries = lines.map((line) => line.slice(own.length));
      return { boundaries, killed: killAt !== null && boundaries.at(-1) === killAt };
    });
  }

  /** Without orders it ends by itself. */
  async end(): Promise<void> {
    this.child.stdin?.end();
    await this.#exit;
  }
}

/**
 * Processes started ahead of their turn: a start costs more than what is tested. Each prints a line
 * when it waits for its orders, one line of JSON on stdin, and then a line for each boundary.
 */
export class Nursery<Told extends object> {
  readonly #waiting: Promise<ChildProcess>[] = [];
  readonly #alive = new Set<ChildProcess>();
  #started = 0;

  constructor(
    private readonly script: URL,
    private readonly ahead: number,
    /** How many are wanted in all, where that is known. */
    private readonly total = Infinity,
  ) {}

  async #take(): Promise<ChildProcess> {
    while (this.#waiting.length <= this.ahead && this.#started < this.total) {
      this.#started += 1;
      const child = this.#start();
      // Whoever takes it hears of it; nobody may.
      child.catch(() => undefined);
      this.#waiting.push(child);
    }
    const child = await this.#waiting.shift();
    if (child === undefined) throw new Error('no child');
    return child;
  }

  /** One that lives as it is told to; to be ended. */
  async doomed<L extends LifeOrders>(): Promise<Doomed<L>> {
    const child = await this.#take();
    child.once('close', () => this.#alive.delete(child));
    return new Doomed<L>(child);
  }

  /** One process, one line, to its end. */
  async run(told: Told): Promise<Life> {
    const child = await this.#take();
    const lines: string[] = [];
    const reader = createInterface(child.stdout as NodeJS.ReadableStream);
    reader.on('line', (line) => lines.push(line));
    const exit = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
    child.stdin?.end(`${JSON.stringify(told)}\n`);
    const [code, signal] = await exit;
    this.#alive.delete(child);
    if (signal !== 'SIGKILL' && code !== 0) throw new Error(`the process ended with ${code}`);
    return { lines, killed: signal === 'SIGKILL' };
  }

  async #start(): Promise<ChildProcess> {
    const child = spawn(process.execPath, [this.script.pathname], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#alive.add(child);
    const ended = once(child, 'exit').then(([code, signal]) => {
      throw new Error(`a process ended before its turn: ${String(code ?? signal)}`);
    });
    await Promise.race([once(child.stdout as NodeJS.ReadableStream, 'data'), ended]);
    ended.catch(() => undefined);
    return child;
  }

  async close(): Promise<void> {
    for (const child of this.#alive) child.kill('SIGKILL');
    await Promise.allSettled(this.#waiting);
  }
}
