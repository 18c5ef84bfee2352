import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

export interface Life {
  readonly lines: readonly string[];
  readonly killed: boolean;
}

/**
 * Processes started ahead of their turn: a start costs more than what is tested. Each prints a line
 * when it waits for its orders, one line of JSON on stdin, and then a line for each boundary.
 */
export class Nursery<Orders extends object> {
  readonly #waiting: Promise<ChildProcess>[] = [];
  readonly #alive = new Set<ChildProcess>();

  constructor(
    private readonly script: URL,
    private readonly ahead: number,
  ) {}

  async run(orders: Orders): Promise<Life> {
    while (this.#waiting.length <= this.ahead) this.#waiting.push(this.#start());
    const child = await this.#waiting.shift();
    if (child === undefined) throw new Error('no child');
    const lines: string[] = [];
    const reader = createInterface(child.stdout as NodeJS.ReadableStream);
    reader.on('line', (line) => lines.push(line));
    const exit = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
    child.stdin?.end(`${JSON.stringify(orders)}\n`);
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
    await new Promise((resolve) => child.stdout?.once('data', resolve));
    return child;
  }

  async close(): Promise<void> {
    await Promise.all(this.#waiting);
    for (const child of this.#alive) child.kill('SIGKILL');
  }
}
