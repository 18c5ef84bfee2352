import { open, type FileHandle } from 'node:fs/promises';
import { createReadStream, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import {
  evolve,
  foldDone,
  newOrder,
  type BookEntry,
  type BookOrder,
  type Happening,
} from './book-order.js';
import type { SandboxChannelId } from './channel-spec.js';
import { channelSpecs } from './specs.js';

/**
 * The witness. An append-only file of JSON lines, forced to the disk before any answer that depends
 * on it, and an index of it in memory. What stands here happened at the channel; what does not stand
 * here did not, whoever may have heard otherwise.
 *
 * Entries of concurrent requests share one write and one fdatasync: `append` updates the index at
 * once (so that two requests of one order cannot both be first) and `durable` says when the answer
 * may leave.
 */

interface Waiter {
  readonly seq: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export class Book {
  readonly path: string;
  readonly #file: FileHandle;
  readonly #orders = new Map<SandboxChannelId, Map<string, BookOrder>>();
  readonly #dailyTaken = new Map<string, number>();
  /** What moved a balance, since the book was begun. */
  readonly #moved = new Map<SandboxChannelId, Map<string, number>>();
  #pending: string[] = [];
  #waiters: Waiter[] = [];
  #seq = 0;
  #durableSeq = 0;
  #flushing: Promise<void> | null = null;
  #broken: Error | null = null;
  #closed = false;

  private constructor(path: string, file: FileHandle) {
    this.path = path;
    this.#file = file;
  }

  /** Reads the book back. A torn last line, which no answer ever depended on, is cut off. */
  static async open(dir: string): Promise<Book> {
    mkdirSync(dir, { recursive: true });
    const path = join(dir, 'book.jsonl');
    const file = await open(path, 'a+');
    const book = new Book(path, file);
    await book.#readBack();
    await syncDirectory(dir);
    return book;
  }

  async #readBack(): Promise<void> {
    let goodBytes = 0;
    let torn: string | null = null;
    const { size } = await this.#file.stat();
    const lines = createInterface({
      input: createReadStream(this.path),
      crlfDelay: Number.POSITIVE_INFINITY,
    });
    for await (const line of lines) {
      if (torn !== null) throw new Error(`${this.path} is damaged before its last line: ${torn}`);
      const bytes = Buffer.byteLength(line) + 1;
      const entry = parseEntry(line);
      // A last line without its line feed may lack digits that would still parse.
      if (entry === null || goodBytes + bytes > size) {
        torn = line.slice(0, 80);
        continue;
      }
      goodBytes += bytes;
      this.#seq = entry.seq;
      this.#fold(entry);
    }
    if (goodBytes < size) await this.#file.truncate(goodBytes);
    this.#durableSeq = this.#seq;
  }

  find(channel: SandboxChannelId, orderNo: string): BookOrder | undefined {
    return this.#orders.get(channel)?.get(orderNo);
  }

  *orders(channel?: SandboxChannelId): Generator<BookOrder> {
    for (const [id, orders] of this.#orders) {
      if (channel === undefined || channel === id) yield* orders.values();
    }
  }

  findAnywhere(orderNo: string): BookOrder[] {
    return [...this.#orders.values()].flatMap((orders) => orders.get(orderNo) ?? []);
  }

  /** What an account has been charged at a channel on the day of `at` (Asia/Shanghai). */
  takenToday(channel: SandboxChannelId, accountToken: string, at: number): number {
    return this.#dailyTaken.get(dayKey(channel, accountToken, at)) ?? 0;
  }

  /** What is on an account or a card. */
  balance(channel: SandboxChannelId, accountToken: string): number {
    const opening = accountToken.startsWith('tok_empty_')
      ? 0
      : channelSpecs[channel].openingBalance;
    return (opening ?? 0) + (this.#moved.get(channel)?.get(accountToken) ?? 0);
  }

  /** Of every account or card that something has happened to. */
  balances(channel: SandboxChannelId): Record<string, number> {
    const tokens = [...(this.#moved.get(channel)?.keys() ?? [])];
    return Object.fromEntries(tokens.map((token) => [token, this.balance(channel, token)]));
  }

  /** Somebody put money there, or took it, that no order knows of. */
  async deposit(channel: SandboxChannelId, accountToken: string, amountMinor: number) {
    this.append(channel, '', { what: 'deposited', accountToken, amountMinor });
    await this.flushed();
  }

  /** In the index at once; on the disk when `durable(order.lastSeq)` resolves. */
  append(channel: SandboxChannelId, orderNo: string, happening: Happening): BookOrder {
    if (this.#broken !== null) throw this.#broken;
    if (this.#closed) throw new Error('the book is closed');
    this.#seq += 1;
    const entry: BookEntry = { seq: this.#seq, at: Date.now(), channel, orderNo, ...happening };
    this.#pending.push(`${JSON.stringify(entry)}\n`);
    this.#flushing ??= this.#flush();
    return this.#fold(entry);
  }

  async durable(seq: number): Promise<void> {
    if (seq <= this.#durableSeq) return;
    if (this.#broken !== null) throw this.#broken;
    await new Promise<void>((resolve, reject) => this.#waiters.push({ seq, resolve, reject }));
  }

  async flushed(): Promise<void> {
    await this.durable(this.#seq);
  }

  async close(): Promise<void> {
    await this.flushed();
    this.#closed = true;
    await this.#flushing;
    await this.#file.close();
  }

  async #flush(): Promise<void> {
    // One turn of the loop, so that requests that arrived together share the sync.
    await new Promise((resolve) => setImmediate(resolve));
    try {
      while (this.#pending.length > 0) {
        const lines = this.#pending;
        const seq = this.#seq;
        this.#pending = [];
        await this.#file.appendFile(lines.join(''));
        await this.#file.datasync();
        this.#durableSeq = seq;
        const due = this.#waiters.filter((waiter) => waiter.seq <= seq);
        this.#waiters = this.#waiters.filter((waiter) => waiter.seq > seq);
        for (const waiter of due) waiter.resolve();
      }
    } catch (cause) {
      // A witness that cannot write must fall silent: no answer may rest on what is not kept.
      this.#broken = new Error('the book cannot be written', { cause });
      for (const waiter of this.#waiters) waiter.reject(this.#broken);
      this.#waiters = [];
    } finally {
      this.#flushing = null;
    }
  }

  #fold(entry: BookEntry): BookOrder {
    if (entry.what === 'deposited') {
      this.#move(entry.channel, entry.accountToken, entry.amountMinor);
      return newOrder(entry);
    }
    let orders = this.#orders.get(entry.channel);
    if (orders === undefined)
      this.#orders.set(entry.channel, (orders = new Map<string, BookOrder>()));
    let order = orders.get(entry.orderNo);
    if (order === undefined) orders.set(entry.orderNo, (order = newOrder(entry)));
    order.lastAt = entry.at;
    order.lastSeq = entry.seq;
    evolve(order, entry);
    if (entry.what === 'captured' && order.fields !== null) {
      const key = dayKey(entry.channel, order.fields.accountToken, entry.at);
      this.#dailyTaken.set(key, (this.#dailyTaken.get(key) ?? 0) + entry.amountMinor);
    }
    if (entry.what === 'refunded') this.#foldRefund(order, entry);
    if (entry.what === 'done' && order.fields !== null) {
      const { moves } = foldDone(order, this.#regarded(order));
      this.#move(entry.channel, order.fields.accountToken, moves);
    }
    if (entry.what === 'closed') {
      // Closing a credit ends what it is about, unless another credit was there first.
      const regarded = this.find(entry.channel, entry.regarding?.orderNo ?? '');
      if (regarded?.creditedBy.length === 0) regarded.voided = true;
    }
    return order;
  }

  #regarded({ channel, fields }: BookOrder): BookOrder | undefined {
    return this.find(channel, fields?.regarding?.orderNo ?? '');
  }

  #move(channel: SandboxChannelId, accountToken: string, minor: number): void {
    if (minor === 0) return;
    const moved = this.#moved.get(channel) ?? new Map<string, number>();
    moved.set(accountToken, (moved.get(accountToken) ?? 0) + minor);
    this.#moved.set(channel, moved);
  }

  #foldRefund(order: BookOrder, entry: Extract<BookEntry, { what: 'refunded' }>) {
    const paidBack = this.find(entry.channel, order.fields?.refundOf?.orderNo ?? '');
    const { refundId, amountMinor, at } = entry;
    paidBack?.refunds.push({ refundId, orderNo: order.orderNo, amountMinor, at });
  }
}

function parseEntry(line: string): BookEntry | null {
  try {
    const value = JSON.parse(line) as BookEntry;
    return typeof value.seq === 'number' && typeof value.what === 'string' ? value : null;
  } catch {
    return null;
  }
}

const shanghaiOffsetMs = 8 * 3_600_000;

function dayKey(channel: string, accountToken: string, at: number): string {
  return `${channel} ${accountToken} ${Math.floor((at + shanghaiOffsetMs) / 86_400_000)}`;
}

/** A new file is only safe once its folder is. */
async function syncDirectory(dir: string): Promise<void> {
  const handle = await open(dir, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
