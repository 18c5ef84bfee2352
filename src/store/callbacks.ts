import type { Clock } from '../clock.js';
import type { Log } from '../engine/ports.js';
import type { ChannelId, OrderNo, TaskId } from '../ids.js';
import { insertRows } from './bulk.js';
import { execute, inTransaction, selectRows, sqlTime, type Database } from './database.js';
import { GroupCommit } from './group-commit.js';

export interface Receipt {
  readonly channelId: ChannelId;
  /** SHA-256, hex, of what is signed. */
  readonly digest: string;
  readonly nonce: string | null;
  readonly taskId: TaskId;
  readonly orderNo: OrderNo;
  readonly verdict: string;
  readonly receivedAtMs: number;
}

export interface CallbackCount {
  /** UTC. */
  readonly day: string;
  readonly verdict: string;
  readonly messages: number;
  readonly lastAt: Date;
}

interface Tally {
  messages: number;
  lastAtMs: number;
}

const flushMs = 1_000;

/**
 * Receipts of callbacks whose evidence is in the log, and counts of all callbacks. Counts gather in
 * memory for a second: a crash loses that much of them.
 */
export class CallbackStore {
  readonly #receipts: GroupCommit<Receipt>;
  #tallies = new Map<string, Tally>();
  #timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly database: Database,
    clock: Clock,
    private readonly log: Log,
    /** Told of every callback; must not throw. */
    private readonly observer?: (channelId: ChannelId, verdict: string) => void,
  ) {
    this.#receipts = new GroupCommit<Receipt>(
      {
        write: async (receipts) => this.#write(receipts),
        // Written again they change nothing, so nobody need know.
        findCommitted: async () => new Set(),
        collision: () => null,
      },
      { committers: 1, batchMax: 256, patienceMs: 5_000 },
      clock,
      log,
    );
  }

  async isRecorded(channelId: ChannelId, digest: string): Promise<boolean> {
    const rows = await selectRows(
      this.database,
      'SELECT 1 FROM callback_receipt WHERE channel_id = ? AND digest = ?',
      [channelId, digest],
    );
    return rows.length > 0;
  }

  /** Resolves when it is committed. A receipt that is there stays as it is. */
  async record(receipt: Receipt): Promise<void> {
    await this.#receipts.add(receipt);
  }

  async #write(receipts: readonly Receipt[]): Promise<void> {
    const rows = receipts
      .map((one) => ({
        channel_id: one.channelId,
        digest: one.digest,
        nonce: one.nonce,
        task_id: one.taskId,
        order_no: one.orderNo,
        verdict: one.verdict,
        received_at: sqlTime(one.receivedAtMs),
      }))
      .sort((a, b) => (`${a.channel_id} ${a.digest}` < `${b.channel_id} ${b.digest}` ? -1 : 1));
    await inTransaction(this.database, async (transaction) =>
      insertRows(transaction, 'callback_receipt', rows, 'digest = digest'),
    );
  }

  count(channelId: ChannelId, verdict: string, atMs: number): void {
    this.observer?.(channelId, verdict);
    const key = `${channelId} ${new Date(atMs).toISOString().slice(0, 10)} ${verdict}`;
    const { messages, lastAtMs } = this.#tallies.get(key) ?? { messages: 0, lastAtMs: 0 };
    this.#tallies.set(key, { messages: messages + 1, lastAtMs: Math.max(lastAtMs, atMs) });
    this.#timer ??= setTimeout(() => void this.flush(), flushMs).unref();
  }

  /** Never rejects: what cannot be written now is kept for the next time. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const tallies = this.#tallies;
    this.#tallies = new Map();
    const rows = [...tallies.keys()].sort().map((key) => {
      const [channelId = '', day = '', verdict = ''] = key.split(' ');
      const { messages = 0, lastAtMs = 0 } = tallies.get(key) ?? {};
      return { channel_id: channelId, day, verdict, messages, last_at: sqlTime(lastAtMs) };
    });
    if (rows.length === 0) return;
    try {
      await inTransaction(this.database, async (transaction) =>
        insertRows(
          transaction,
          'callback_count',
          rows,
          'messages = messages + VALUES(messages), last_at = GREATEST(last_at, VALUES(last_at))',
        ),
      );
    } catch (error) {
      this.log.warn('callback counts not written', { why: String(error) });
      this.#keep(tallies);
    }
  }

  #keep(tallies: ReadonlyMap<string, Tally>): void {
    for (const [key, { messages, lastAtMs }] of tallies) {
      const since = this.#tallies.get(key) ?? { messages: 0, lastAtMs };
      this.#tallies.set(key, {
        messages: since.messages + messages,
        lastAtMs: Math.max(since.lastAtMs, lastAtMs),
      });
    }
  }

  /** Newest day first. */
  async counts(channelId: ChannelId, daysMax: number): Promise<readonly CallbackCount[]> {
    const rows = await selectRows<{
      day: string;
      verdict: string;
      messages: string | number;
      lastAt: Date;
    }>(
      this.database,
      `SELECT DATE_FORMAT(day, '%Y-%m-%d') AS day, verdict, messages, last_at AS lastAt
       FROM callback_count WHERE channel_id = ? AND day > UTC_DATE() - INTERVAL ? DAY
       ORDER BY day DESC, verdict`,
      [channelId, daysMax],
    );
    return rows.map((row) => ({ ...row, messages: Number(row.messages) }));
  }

  async purge(receivedBeforeMs: number, limit: number): Promise<number> {
    return await execute(
      this.database,
      'DELETE FROM callback_receipt WHERE received_at < ? ORDER BY received_at LIMIT ?',
      [sqlTime(receivedBeforeMs), limit],
    );
  }
}
