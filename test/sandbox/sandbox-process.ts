import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { OrderState } from '../../src/sandbox/book-order.js';
import type { Placement, SandboxRole } from '../../src/sandbox/channel-spec.js';
import type { SandboxReady } from '../../src/sandbox/sandbox.js';
import type { FaultRule } from '../../src/sandbox/faults.js';

/** What the witness says of one order. */
export interface BookedOrder {
  readonly channel: string;
  readonly orderNo: string;
  readonly operation: Placement;
  readonly regarding: { readonly orderNo: string; readonly channelRef: string } | null;
  readonly state: OrderState;
  readonly declineCode: string | null;
  readonly amountMinor: number | null;
  readonly captures: readonly { readonly captureId: string; readonly amountMinor: number }[];
  /** What was paid back of it, by the numbers of the refunds. */
  readonly refunds: readonly { readonly orderNo: string; readonly amountMinor: number }[];
  /** Of an operation that is neither charge nor refund: each time that it was done. */
  readonly executions: readonly {
    readonly executionId: string;
    readonly amountMinor: number;
    readonly at: number;
    readonly violation?: boolean;
  }[];
  readonly creditMinor?: number;
  /** Of a pre-recharge. */
  readonly creditedBy: readonly string[];
  readonly voided: boolean;
  /** Of a debit. */
  readonly restoredMinor: number;
  readonly refusals: number;
  readonly callbackAcknowledged: boolean;
}

export interface SandboxProcessOptions {
  readonly bookDir?: string;
  readonly role?: SandboxRole;
  readonly seed?: string;
  readonly latencyScale?: number;
  readonly callbackUrl?: string;
}

/** A real sandbox in a process of its own. */
export class SandboxProcess {
  readonly bookDir: string;
  readonly ready: SandboxReady;
  readonly #child: ChildProcess;
  readonly #ownsDir: boolean;

  private constructor(child: ChildProcess, ready: SandboxReady, bookDir: string, owns: boolean) {
    this.#child = child;
    this.ready = ready;
    this.bookDir = bookDir;
    this.#ownsDir = owns;
  }

  static async start(options: SandboxProcessOptions = {}): Promise<SandboxProcess> {
    const bookDir = options.bookDir ?? mkdtempSync(join(tmpdir(), 'recoup-sandbox-'));
    const main = new URL('../../src/sandbox/main.js', import.meta.url).pathname;
    const args = [main, '--book', bookDir, '--seed', options.seed ?? 'test', '--exit-with-parent'];
    args.push('--role', options.role ?? 'channels');
    args.push('--latency-scale', String(options.latencyScale ?? 0.1));
    if (options.callbackUrl !== undefined) args.push('--callback-url', options.callbackUrl);
    const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    let complaints = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (complaints += text));
    const [line] = (await Promise.race([
      once(createInterface(child.stdout), 'line'),
      once(child, 'exit').then(([code]) => {
        throw new Error(`the sandbox ended with ${String(code)}: ${complaints}`);
      }),
    ])) as [string];
    const ready = JSON.parse(line) as SandboxReady;
    return new SandboxProcess(child, ready, bookDir, options.bookDir === undefined);
  }

  /** Replaces all rules. */
  async setFaults(rules: readonly FaultRule[]): Promise<void> {
    await this.#admin('PUT', '/_faults', rules);
  }

  async clearFaults(): Promise<void> {
    await this.#admin('DELETE', '/_faults');
  }

  async setCallbackUrl(url: string | null, channel = 'unionlink'): Promise<void> {
    await this.#admin('PUT', '/_callbacks', { [channel]: url });
  }

  /** The key that the channel signs with from now on. */
  async setKeySerial(channel: string, serial: 'A' | 'B'): Promise<void> {
    await this.#admin('PUT', '/_keys', { [channel]: serial });
  }

  /** Requests that a fault holds on their way arrive now, and locks are free; there must be some. */
  async letGo(): Promise<void> {
    const answer = await this.raw('POST', '/_held');
    const { let_go: count } = (await answer.json()) as { let_go: number };
    if (count === 0) throw new Error('nothing is held');
  }

  async book(): Promise<BookedOrder[]> {
    const text = await (await fetch(`${this.ready.admin}/_book`)).text();
    return text
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as BookedOrder);
  }

  async order(orderNo: string): Promise<BookedOrder | undefined> {
    const response = await fetch(`${this.ready.admin}/_book/orders/${orderNo}`);
    return ((await response.json()) as { orders: BookedOrder[] }).orders[0];
  }

  /** What is on an account or a card of a party. */
  async balance(party: 'cards' | 'accounts', token: string): Promise<number> {
    const response = await this.raw('GET', `/_balances?channel=${party}&token=${token}`);
    return ((await response.json()) as Record<string, number>)[token] ?? Number.NaN;
  }

  async setBalance(party: 'cards' | 'accounts', token: string, minor: number): Promise<void> {
    await this.#admin('PUT', `/_balances?channel=${party}`, { [token]: minor });
  }

  async raw(method: string, path: string, body?: unknown): Promise<Response> {
    return await fetch(`${this.ready.admin}${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }

  /** SIGKILL: nothing gets to say goodbye. The book's folder stays. */
  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await gone;
  }

  async stop(): Promise<void> {
    await this.kill();
    if (this.#ownsDir) rmSync(this.bookDir, { recursive: true, force: true });
  }

  async #admin(method: string, path: string, body?: unknown): Promise<void> {
    const response = await this.raw(method, path, body);
    if (!response.ok) throw new Error(`${method} ${path}: ${await response.text()}`);
    await response.arrayBuffer();
  }
}

/** What was waited for, or that it is so. A number says neither: a bare 0 would be taken for done. */
type Found = object | string | true;

/** Asks until it is so. @throws Error when it is not within `withinMs`: less than mocha's limit, which says nothing. */
export async function until<T extends Found>(
  what: string,
  ask: () => Promise<T | null | undefined | false>,
  withinMs = 45_000,
): Promise<T> {
  const endsAtMs = performance.now() + withinMs;
  for (;;) {
    const answer = await ask();
    const isEmpty = Array.isArray(answer) && answer.length === 0;
    // Of the texts the empty one is no answer either.
    if (answer && !isEmpty) return answer;
    if (performance.now() > endsAtMs) throw new Error(`not within ${withinMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
