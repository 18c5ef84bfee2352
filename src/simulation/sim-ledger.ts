/**
 * The way to the books in a simulated world: an outbox over the messages that the journal wrote, a
 * queue that loses, delays and repeats, and books that refuse, are silent, or are not there.
 */
import { Consumer } from '../ledger/consumer.js';
import type { LedgerEntry, Message } from '../ledger/entry.js';
import { amountOf } from '../ledger/entry.js';
import type {
  ClaimedMessage,
  Ledger,
  MessageQueue,
  Outbox,
  PostResult,
  Verdict,
} from '../ledger/ports.js';
import { Relay } from '../ledger/relay.js';
import { silentLog } from '../log.js';
import type { MemoryDatabase } from './memory-database.js';
import type { SimProcess } from './sim-process.js';
import type { World } from './world.js';

const relaySettings = { batchMax: 4, idleMs: 1, confirmMs: 30_000, keepMs: 1e12 };
const retryMs = [1_000, 5_000, 30_000, 120_000, 600_000];

interface Sending {
  sendAtMs: number | null;
  delivered: boolean;
  dead: boolean;
  dispatches: number;
  tries: number;
}

/** What the books hold, and what became of each message: one for the whole world. */
export class SimBooks {
  readonly posted: { topic: string; message_key: string; amount_minor: bigint }[] = [];
  readonly #inbox = new Map<string, string>();
  readonly #sending = new Map<string, Sending>();

  constructor(private readonly database: MemoryDatabase) {}

  /** What `SqlLedger` does in one transaction: an entry whose source is known is found, not posted. */
  post({ topic, key, digest, ...entry }: LedgerEntry): PostResult {
    const source = `${topic} ${key}`;
    const before = this.#inbox.get(source);
    if (before !== undefined && before !== digest) {
      return { kind: 'refused', reason: 'conflict', evidence: 'other content' };
    }
    if (before === undefined) {
      this.#inbox.set(source, digest);
      const amount = amountOf({ topic, key, digest, ...entry });
      this.posted.push({ topic, message_key: key, amount_minor: amount });
    }
    return { kind: 'posted' };
  }

  /** Messages in the order in which they were written; their names are their numbers. */
  sendings(): readonly (readonly [id: string, sending: Sending])[] {
    for (const id of this.database.outbox.keys()) {
      if (this.#sending.has(id)) continue;
      const fresh = { sendAtMs: 0, delivered: false, dead: false, dispatches: 0, tries: 0 };
      this.#sending.set(id, fresh);
    }
    return [...this.#sending];
  }

  sending(id: string): Sending | undefined {
    return this.#sending.get(id);
  }

  deadLetters(): { topic: string; message_key: string }[] {
    return this.sendings().flatMap(([id, { dead }]) => {
      const row = this.database.outbox.get(id);
      if (!dead || row === undefined) return [];
      return [{ topic: String(row['topic']), message_key: String(row['message_key']) }];
    });
  }

  get settled(): boolean {
    return (
      this.#sending.size === this.database.outbox.size &&
      [...this.#sending.values()].every(({ delivered, dead }) => delivered || dead)
    );
  }
}

/** A process's relay and consumer. */
export function ledgerOf(process: SimProcess): {
  readonly relay: Relay;
  readonly consumer: Consumer;
} {
  const { clock, world } = process;
  const outbox = outboxOf(process);
  const relay = new Relay(outbox, queueOf(process), relaySettings, clock, silentLog);
  return {
    relay,
    consumer: new Consumer(outbox, booksOf(process), { retryMs }, clock, world.ledgerLog),
  };
}

function outboxOf(process: SimProcess): Outbox {
  const { world } = process;
  const { books, database, faults } = world;
  const away = (): void => {
    if (faults.strikes('read_refused', 0)) throw new Error('journal_unavailable');
  };
  return {
    claimDue: async ({ nowMs, againAtMs, limit }) =>
      await process.io(2, () => {
        away();
        const due = books
          .sendings()
          .filter(([, one]) => one.sendAtMs !== null && one.sendAtMs <= nowMs)
          .slice(0, limit);
        return due.map(([id, one]): ClaimedMessage => {
          const { dispatches } = one;
          one.sendAtMs = againAtMs;
          one.dispatches += 1;
          return { id, dispatches };
        });
      }),
    release: async (ids, nowMs) =>
      await process.io(2, () => {
        for (const id of ids) {
          const one = books.sending(id);
          if (one !== undefined && one.sendAtMs !== null) one.sendAtMs = nowMs;
        }
      }),
    unsettled: async (ids) =>
      await process.io(2, () => {
        away();
        return ids.flatMap((id): readonly Message[] => {
          const row = database.outbox.get(id);
          const one = books.sending(id);
          if (row === undefined || one === undefined || one.sendAtMs === null) return [];
          const { tries } = one;
          const key = String(row['message_key']);
          const body = String(row['body']);
          return [{ id, topic: String(row['topic']), key, body, createdAtMs: 0, tries }];
        });
      }),
    confirm: async (verdicts) =>
      await process.io(2, () => {
        away();
        for (const verdict of verdicts) confirm(world, verdict);
        if (faults.strikes('commit_unheard', 0)) throw new Error('journal_unavailable');
      }),
    purgeDelivered: async () => 0,
  };
}

/** As `SqlOutbox` does: what is in the books is delivered, whatever was said of it before. */
function confirm({ books }: World, verdict: Verdict): void {
  const one = books.sending(verdict.id);
  if (one === undefined) return;
  if (verdict.kind === 'delivered') {
    Object.assign(one, { delivered: true, dead: false, sendAtMs: null });
  } else if (one.sendAtMs === null) {
    return;
  } else if (verdict.kind === 'dead') {
    Object.assign(one, { dead: true, sendAtMs: null, tries: verdict.tries });
  } else Object.assign(one, { sendAtMs: verdict.atMs, tries: verdict.tries, dispatches: 0 });
}

function queueOf(process: SimProcess): MessageQueue {
  const { world } = process;
  const { faults, time } = world;
  return {
    hasRoom: async () => await process.io(1, () => !faults.strikes('ledger_queue_away', 0)),
    add: async (batches) =>
      await process.io(1, () => {
        const heard = !faults.strikes('ledger_queue_away', 0);
        for (const ids of batches) {
          if (faults.strikes('wake_dropped', 0)) continue;
          const times = faults.strikes('wake_repeated', 0) ? 2 : 1;
          for (let n = 0; n < times; n += 1) {
            const late = faults.strikes('wake_late', 0);
            time.after(late ? faults.extent().spread(1_000, 600_000) : 5, () => world.consume(ids));
          }
        }
        return heard;
      }),
  };
}

function booksOf(process: SimProcess): Ledger {
  const { world } = process;
  const { faults } = world;
  return {
    post: async (entries) => {
      if (faults.strikes('ledger_before', 0)) {
        const kind = faults.extent().yes(0.5) ? 'unknown' : 'not_tried';
        return entries.map(() => ({ kind, why: 'away' }) as const);
      }
      return await process.io(5, () => {
        const results = entries.map((entry) => world.books.post(entry));
        if (faults.strikes('ledger_crash', 0)) process.crash();
        if (faults.strikes('ledger_unheard', 0)) {
          return entries.map(() => ({ kind: 'unknown', why: 'time-out' }) as const);
        }
        return results;
      });
    },
  };
}
