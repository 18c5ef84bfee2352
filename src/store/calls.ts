import type { CallOperation, CallRecord, Shown } from '../channels/call-record.js';
import type { Log } from '../engine/ports.js';
import type { ChannelId, TaskId } from '../ids.js';
import { insertRows } from './bulk.js';
import { execute, inTransaction, selectRows, sqlTime, type Database } from './database.js';

export interface CallSettings {
  /** Records held at most; more are dropped, and counted. */
  readonly heldMax: number;
  readonly flushMs: number;
}

const callDefaults: CallSettings = { heldMax: 10_000, flushMs: 250 };

export interface StoredCall {
  readonly startedAt: Date;
  readonly channelId: ChannelId;
  readonly orderNo: string;
  readonly operation: CallOperation;
  readonly durationMs: number;
  readonly httpStatus: number | null;
  readonly verdict: string;
  readonly detail: string;
  readonly sent: Shown | null;
  readonly received: Shown | null;
}

/** One statement's worth; masking so many takes a few ms. */
const batchMax = 256;

/**
 * The call journal on MariaDB. Recording takes a place in a list and nothing else; rows are written
 * behind the calls, many a statement. It is told about money and decides nothing about it: what is
 * held is lost at a crash, and what comes too fast or while the database is away is dropped and
 * counted.
 */
export class CallStore {
  #held: CallRecord[] = [];
  #writing: Promise<void> | null = null;
  #timer: NodeJS.Timeout | undefined;
  #dropped = 0;
  #reported = 0;

  constructor(
    private readonly database: Database,
    private readonly log: Log,
    private readonly settings: CallSettings = callDefaults,
  ) {}

  /** Records given up since the start. */
  get dropped(): number {
    return this.#dropped;
  }

  record(call: CallRecord): void {
    if (this.#held.length >= this.settings.heldMax) {
      this.#dropped += 1;
      return;
    }
    this.#held.push(call);
    this.#timer ??= setTimeout(() => void this.flush(), this.settings.flushMs).unref();
  }

  /** Writes what is held now. Never rejects. */
  async flush(): Promise<void> {
    this.#writing ??= this.#writeHeld().finally(() => {
      this.#writing = null;
    });
    await this.#writing;
  }

  async #writeHeld(): Promise<void> {
    while (this.#held.length > 0) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
      const batch = this.#held.slice(0, batchMax);
      try {
        await inTransaction(this.database, async (transaction) =>
          insertRows(transaction, 'channel_call', batch.map(rowOf)),
        );
      } catch (error) {
        // One try: a journal that waits for its database would hold calls without end.
        this.#dropped += batch.length;
        this.log.warn('calls not journalled', { calls: batch.length, why: String(error) });
      }
      this.#held.splice(0, batch.length);
    }
    if (this.#dropped > this.#reported) {
      this.log.warn('calls dropped from the journal', { calls: this.#dropped - this.#reported });
      this.#reported = this.#dropped;
    }
  }

  /** Of every order of the task, oldest first. */
  async ofTask(id: TaskId, limit: number): Promise<readonly StoredCall[]> {
    const rows = await selectRows<
      Omit<StoredCall, 'sent' | 'received'> & { sent: string | null; received: string | null }
    >(
      this.database,
      `SELECT started_at AS startedAt, channel_id AS channelId, c.order_no AS orderNo, operation,
         duration_ms AS durationMs, http_status AS httpStatus, verdict, detail, sent, received
       FROM channel_call AS c
       WHERE c.order_no IN (SELECT order_no FROM attempt WHERE task_id = ?)
       ORDER BY started_at, id LIMIT ?`,
      [id, limit],
    );
    return rows.map((row) => ({ ...row, sent: parsed(row.sent), received: parsed(row.received) }));
  }

  async purge(startedBeforeMs: number, limit: number): Promise<number> {
    return await execute(
      this.database,
      'DELETE FROM channel_call WHERE started_at < ? ORDER BY started_at LIMIT ?',
      [sqlTime(startedBeforeMs), limit],
    );
  }
}

function rowOf(call: CallRecord) {
  const [sent, received] = [call.sent(), call.received()];
  return {
    started_at: sqlTime(call.startedAtMs),
    channel_id: call.channelId,
    order_no: call.orderNo.slice(0, 32),
    operation: call.operation,
    duration_ms: Math.max(0, call.durationMs),
    http_status: call.httpStatus,
    verdict: call.verdict,
    detail: call.detail.slice(0, 300),
    sent: sent === null ? null : JSON.stringify(sent),
    received: received === null ? null : JSON.stringify(received),
  };
}

const parsed = (text: string | null): Shown | null =>
  text === null ? null : (JSON.parse(text) as Shown);
