import { open, type FileHandle } from 'node:fs/promises';
import { createReadStream, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { SandboxChannelId } from './channel-spec.js';

/**
 * The witness. An append-only file of JSON lines, forced to the disk before any answer that depends
 * on it, and an index of it in memory. What stands here happened at the channel; what does not stand
 * here did not, whoever may have heard otherwise.
 *
 * Entries of concurrent requests share one write and one fdatasync: `append` updates the index at
 * once (so that two requests of one order cannot both be first) and `durable` says when the answer
 * may leave.
 */

interface EntryBase {
  readonly seq: number;
  readonly at: number;
  readonly channel: SandboxChannelId;
  readonly orderNo: string;
}

export interface OrderFields {
  readonly merchant: string;
  readonly amountMinor: number;
  readonly currency: string;
  readonly accountToken: string;
  readonly bank: string;
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
  /** Of the request's bytes: the same number with other bytes is another order. */
  readonly digest: string;
  /** A refund: which order's money it pays back. Absent: a charge. */
  readonly refundOf?: RefundOf;
}

export interface RefundOf {
  readonly orderNo: string;
  readonly channelRef: string;
}

export type Happening =
  | ({ readonly what: 'order'; readonly visibleAtMs: number } & OrderFields)
  | {
      readonly what: 'captured';
      readonly captureId: string;
      readonly amountMinor: number;
      readonly feeMinor: number;
      /** Set where the channel broke its own promises, on request. */
      readonly violation?: boolean;
    }
  /** The entry of a refund's own order; the order it pays back knows of it too. */
  | { readonly what: 'refunded'; readonly refundId: string; readonly amountMinor: number }
  | { readonly what: 'declined'; readonly code: string }
  | { readonly what: 'closed'; readonly merchant: string }
  | ({ readonly what: 'expired' } & OrderFields)
  | { readonly what: 'refused'; readonly why: 'duplicate' | 'conflict' | 'closed' | 'close' }
  | { readonly what: 'callback_acknowledged' };

export type BookEntry = EntryBase & Happening;

export interface Capture {
  readonly captureId: string;
  readonly amountMinor: number;
  readonly feeMinor: number;
  readonly at: number;
  readonly violation?: boolean;
}

export interface Refund {
  readonly refundId: string;
  /** The refund's own order number. */
  readonly orderNo: string;
  readonly amountMinor: number;
  readonly at: number;
}

export type OrderState = 'executing' | 'captured' | 'refunded' | 'declined' | 'closed' | 'expired';

/** The fold of an order's entries. */
export interface BookOrder {
  readonly channel: SandboxChannelId;
  readonly orderNo: string;
  state: OrderState;
  /** Null for a number that was closed before any order came under it. */
  fields: OrderFields | null;
  declineCode: string | null;
  readonly captures: Capture[];
  /** What was paid back of this order's captures. */
  readonly refunds: Refund[];
  refusals: number;
  callbackAcknowledged: boolean;
  visibleAtMs: number;
  firstAt: number;
  lastAt: number;
  lastSeq: number;
}

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
    return order;
  }

  #foldRefund(order: BookOrder, entry: EntryBase & { refundId: string; amountMinor: number }) {
    const paidBack = this.find(entry.channel, order.fields?.refundOf?.orderNo ?? '');
    const { refundId, amountMinor, at } = entry;
    paidBack?.refunds.push({ refundId, orderNo: order.orderNo, amountMinor, at });
  }
}

/** What may still be paid back of an order. */
export function refundable({ captures, refunds }: BookOrder): number {
  return sumOf(captures) - sumOf(refunds);
}

const sumOf = (parts: readonly { readonly amountMinor: number }[]): number =>
  parts.reduce((total, { amountMinor }) => total + amountMinor, 0);

function newOrder(entry: BookEntry): BookOrder {
  return {
    channel: entry.channel,
    orderNo: entry.orderNo,
    state: 'executing',
    fields: null,
    declineCode: null,
    captures: [],
    refunds: [],
    refusals: 0,
    callbackAcknowledged: false,
    visibleAtMs: entry.at,
    firstAt: entry.at,
    lastAt: entry.at,
    lastSeq: entry.seq,
  };
}

function evolve(order: BookOrder, entry: BookEntry): void {
  switch (entry.what) {
    case 'order':
      order.fields = fieldsOf(entry);
      order.visibleAtMs = entry.visibleAtMs;
      order.state = order.captures.length > 0 ? 'captured' : 'executing';
      return;
    case 'captured': {
      const { captureId, amountMinor, feeMinor, at } = entry;
      const violation = entry.violation === true ? { violation: true } : {};
      order.captures.push({ captureId, amountMinor, feeMinor, at, ...violation });
      order.state = 'captured';
      return;
    }
    case 'refunded':
      order.state = 'refunded';
      return;
    case 'declined':
      order.declineCode = entry.code;
      if (order.captures.length === 0 && order.state !== 'refunded') order.state = 'declined';
      return;
    case 'closed':
      order.state = 'closed';
      return;
    case 'expired':
      order.fields = fieldsOf(entry);
      order.state = 'expired';
      return;
    case 'refused':
      order.refusals += 1;
      return;
    case 'callback_acknowledged':
      order.callbackAcknowledged = true;
      return;
  }
}

function fieldsOf(entry: OrderFields): OrderFields {
  const { merchant, amountMinor, currency, accountToken, bank } = entry;
  const { createdAtMs, expiresAtMs, digest, refundOf } = entry;
  return {
    merchant,
    amountMinor,
    currency,
    accountToken,
    bank,
    createdAtMs,
    expiresAtMs,
    digest,
    ...(refundOf && { refundOf }),
  };
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
