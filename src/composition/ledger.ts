/** The ledger's part of a process: relay, queue, consumers and books, wired. */
import type { Clock } from '../clock.js';
import type { Config } from '../config.js';
import type { Log } from '../engine/ports.js';
import { RecoupError } from '../errors.js';
import { Consumer } from '../ledger/consumer.js';
import { HttpLedger } from '../ledger/http-ledger.js';
import type { Ledger, MessageQueue, Outbox } from '../ledger/ports.js';
import type { LedgerReads } from '../ledger/records.js';
import { Relay } from '../ledger/relay.js';
import { LedgerQueue, LedgerWorker } from '../queue/ledger-queue.js';
import { blockingOptions, connectRedis } from '../queue/redis.js';
import type { Database } from '../store/database.js';
import { SqlLedger } from '../store/ledger.js';
import { SqlLedgerReads } from '../store/ledger-reads.js';
import { SqlOutbox } from '../store/outbox.js';

export interface LedgerWrappers {
  readonly outbox?: (inner: Outbox) => Outbox;
  readonly queue?: (inner: MessageQueue) => MessageQueue;
  readonly ledger?: (inner: Ledger) => Ledger;
}

export interface LedgerSurroundings {
  readonly config: Config;
  readonly database: Database;
  readonly redis: ReturnType<typeof connectRedis>;
  readonly clock: Clock;
  readonly log: Log;
  readonly wrappers?: { readonly ledger?: LedgerWrappers };
}

export interface LedgerServices {
  readonly reads: LedgerReads;
  /** @throws RecoupError `dead_letter_unknown`, `dead_letter_closed` */
  readonly replay: (id: string, actor: string, nowMs: number) => Promise<void>;
  readonly relay: Relay;
  readonly consumer: Consumer;
  /** Starts relaying and posting, until `close`. */
  readonly start: () => void;
  readonly close: () => Promise<void>;
}

export function openLedger(around: LedgerSurroundings): LedgerServices {
  const { config, database, redis, clock, log } = around;
  const wrappers = around.wrappers?.ledger ?? {};
  const sqlOutbox = new SqlOutbox(database);
  const outbox = wrappers.outbox?.(sqlOutbox) ?? sqlOutbox;
  const redisQueue = new LedgerQueue(redis, clock);
  const queue = wrappers.queue?.(redisQueue) ?? redisQueue;
  const books = booksOf(config, database, clock);
  const ledger = wrappers.ledger?.(books) ?? books;
  const consumer = new Consumer(outbox, ledger, { retryMs: config.ledgerRetryMs }, clock, log);
  const relay = new Relay(
    outbox,
    queue,
    {
      batchMax: config.ledgerBatch,
      idleMs: config.ledgerIdleMs,
      confirmMs: config.ledgerConfirmMs,
      keepMs: config.outboxKeepMs,
    },
    clock,
    log,
  );
  const reads = new SqlLedgerReads(database, config.ledgerUrl === null ? 'recoup' : 'lender');
  let worker: LedgerWorker | null = null;
  let workerRedis: LedgerSurroundings['redis'] | null = null;
  return {
    reads,
    async replay(id, actor, nowMs) {
      const known = /^\d{1,18}$/.test(id) ? await reads.replay(id, actor, nowMs) : 'unknown';
      if (known === 'unknown')
        throw new RecoupError('dead_letter_unknown', { id: id.slice(0, 40) });
      if (known === 'closed') throw new RecoupError('dead_letter_closed', { id });
    },
    relay,
    consumer,
    start() {
      if (worker !== null) return;
      workerRedis = connectRedis(config.redisUrl, blockingOptions, log, 'ledger worker');
      worker = new LedgerWorker(workerRedis, config.ledgerConcurrency, consumer, log);
      relay.start();
    },
    async close() {
      await Promise.all([relay.close(), worker?.close()]);
      await redisQueue.close();
      workerRedis?.disconnect();
    },
  };
}

function booksOf(config: Config, database: Database, clock: Clock): Ledger {
  const { ledgerUrl, ledgerToken, ledgerTimeoutMs: timeoutMs } = config;
  if (ledgerUrl === null) return new SqlLedger(database, clock);
  return new HttpLedger({ url: ledgerUrl, token: ledgerToken, timeoutMs });
}
