import type { Knex } from 'knex';
import type { Clock } from '../clock.js';
import type { Log } from '../engine/ports.js';
import type { ClaimedDelivery, DeliveryLog, Try, Verdict } from '../notices/ports.js';
import { ascii, insertRows, text, updateRows, type BulkUpdate } from './bulk.js';
import { execute, inTransaction, places, selectRows, sqlTime, type Database } from './database.js';
import { GroupCommit } from './group-commit.js';
import type { Row } from './rows.js';

/** Notices on their way, on MariaDB (migration 011 says what the columns mean). */
export class SqlDeliveryLog implements DeliveryLog {
  readonly #records: GroupCommit<Recorded>;

  constructor(
    private readonly database: Database,
    clock: Clock,
    log: Log,
  ) {
    this.#records = new GroupCommit<Recorded>(
      {
        write: async (records) => this.#write(records),
        // Written again it is one line more in the delivery log.
        findCommitted: async () => new Set(),
        collision: () => null,
      },
      { committers: 1, batchMax: 256, patienceMs: 15_000 },
      clock,
      log,
    );
  }

  async fanOut(limit: number, nowMs: number): Promise<number> {
    const seen = await selectRows<Found>(
      this.database,
      'SELECT id FROM notice WHERE pending = 1 ORDER BY id LIMIT ?',
      [limit],
    );
    if (seen.length === 0) return 0;
    return await inTransaction(this.database, async (transaction) => {
      const ids = await locked(transaction, 'notice', seen, 'pending = 1', []);
      if (ids.length === 0) return 0;
      await execute(
        transaction,
        `INSERT INTO notice_delivery (notice_id, destination_id, next_at)
         SELECT n.id, d.id, ? FROM notice n JOIN notice_destination d
           ON d.removed_at IS NULL AND (d.types = '*' OR FIND_IN_SET(n.type, d.types))
         WHERE n.id IN (${places(ids)}) ORDER BY n.id, d.id
         ON DUPLICATE KEY UPDATE notice_delivery.id = notice_delivery.id`,
        [sqlTime(nowMs), ...ids],
      );
      await execute(
        transaction,
        `UPDATE notice SET pending = NULL WHERE id IN (${places(ids)})`,
        ids,
      );
      return ids.length;
    });
  }

  async claim(claim: Parameters<DeliveryLog['claim']>[0]): Promise<readonly ClaimedDelivery[]> {
    const now = sqlTime(claim.nowMs);
    const seen = await selectRows<Found>(
      this.database,
      `SELECT id FROM notice_delivery WHERE destination_id = ? AND next_at <= ?
       ORDER BY next_at, id LIMIT ?`,
      [claim.destinationId, now, claim.limit],
    );
    if (seen.length === 0) return [];
    return await inTransaction(this.database, async (transaction) => {
      const ids = await locked(transaction, 'notice_delivery', seen, 'next_at <= ?', [now]);
      if (ids.length === 0) return [];
      await execute(
        transaction,
        `UPDATE notice_delivery SET next_at = ? WHERE id IN (${places(ids)})`,
        [sqlTime(claim.againAtMs), ...ids],
      );
      return await selectRows<ClaimedDelivery>(
        transaction,
        `SELECT v.id AS deliveryId, n.message_id AS messageId, n.body, v.tries,
           v.first_try_at AS firstTryAt
         FROM notice_delivery v JOIN notice n ON n.id = v.notice_id
         WHERE v.id IN (${places(ids)}) ORDER BY v.id`,
        ids,
      );
    });
  }

  /** What comes in while a transaction is under way shares the next one. */
  async record(delivery: Delivery, one: Try, verdict: Verdict): Promise<void> {
    await this.#records.add({ delivery, one, verdict });
  }

  async #write(records: readonly Recorded[]): Promise<void> {
    const inOrder = records.toSorted((a, b) => (BigInt(idOf(a)) < BigInt(idOf(b)) ? -1 : 1));
    await this.database.transaction(async (transaction) => {
      await insertRows(transaction, 'notice_try', inOrder.map(tryRow));
      await delivered(
        transaction,
        inOrder.filter(({ verdict }) => verdict.kind === 'delivered'),
      );
      for (const { delivery, one, verdict } of inOrder) {
        if (verdict.kind !== 'delivered') await inVain(transaction, delivery, one, verdict);
      }
    });
  }

  async purge(writtenBeforeMs: number, limit: number): Promise<number> {
    return await inTransaction(this.database, async (transaction) => {
      const rows = await selectRows<{ id: string }>(
        transaction,
        `SELECT id FROM notice n WHERE n.created_at < ? AND n.pending IS NULL
           AND NOT EXISTS (SELECT 1 FROM notice_delivery v
             WHERE v.notice_id = n.id AND v.state IN ('waiting', 'exhausted'))
         ORDER BY n.created_at LIMIT ?`,
        [sqlTime(writtenBeforeMs), limit],
      );
      if (rows.length === 0) return 0;
      const ids = rows.map(({ id }) => id);
      const these = `notice_id IN (${places(ids)})`;
      await execute(
        transaction,
        `DELETE FROM notice_try WHERE delivery_id IN (SELECT id FROM notice_delivery WHERE ${these})`,
        ids,
      );
      await execute(transaction, `DELETE FROM notice_delivery WHERE ${these}`, ids);
      return await execute(transaction, `DELETE FROM notice WHERE id IN (${places(ids)})`, ids);
    });
  }
}

interface Found {
  readonly id: string;
}

/**
 * Of rows that were seen, those that are still so and that nobody else holds: relays step around each
 * other. Locked one by one, by id: a locking read of an index also locks the row after the last,
 * another destination's, and whoever looks for that one would step around it for nothing.
 */
async function locked(
  transaction: Knex.Transaction,
  table: string,
  seen: readonly Found[],
  still: string,
  values: readonly string[],
): Promise<readonly string[]> {
  const rows = await selectRows<Found>(
    transaction,
    `SELECT id FROM ${table} FORCE INDEX (PRIMARY)
     WHERE id IN (${places(seen)}) AND ${still} ORDER BY id FOR UPDATE SKIP LOCKED`,
    [...seen.map(({ id }) => id), ...values],
  );
  return rows.map(({ id }) => id);
}

type Delivery = Parameters<DeliveryLog['record']>[0];

interface Recorded {
  readonly delivery: Delivery;
  readonly one: Try;
  readonly verdict: Verdict;
}

const idOf = ({ delivery }: Recorded): string => delivery.deliveryId;

const tryRow = ({ delivery, one }: Recorded): Row => ({
  delivery_id: delivery.deliveryId,
  at: sqlTime(one.atMs),
  duration_ms: one.durationMs,
  http_status: one.status,
  error: cut(one.error, 300),
});

/** Whatever else was made of it meanwhile: it has arrived. */
const deliveredUpdate: BulkUpdate = {
  table: 'notice_delivery',
  key: { id: 'BIGINT' },
  values: {
    state: ascii(40),
    next_at: 'DATETIME(3)',
    delivered_at: 'DATETIME(3)',
    last_status: 'INT',
    last_error: text(300),
  },
  deltas: { tries: 'tried' },
  where: `t.state <> 'delivered'`,
};

async function delivered(
  transaction: Knex.Transaction,
  records: readonly Recorded[],
): Promise<void> {
  if (records.length === 0) return;
  const rows = records.map(({ delivery, one }) => ({
    id: delivery.deliveryId,
    state: 'delivered',
    next_at: null,
    delivered_at: sqlTime(one.atMs + one.durationMs),
    last_status: one.status,
    last_error: null,
    tried: 1,
  }));
  await updateRows(transaction, deliveredUpdate, rows);
  const ids = rows.map(({ id }) => id);
  const given = await selectRows<{ to: string }>(
    transaction,
    `SELECT DISTINCT destination_id AS \`to\` FROM notice_delivery
     WHERE id IN (${places(ids)}) AND exhausted_at IS NOT NULL ORDER BY destination_id`,
    ids,
  );
  const at = rows.at(-1)?.delivered_at ?? '';
  for (const { to } of given) await closeExhausted(transaction, to, at);
}

/** The case about notices given up ends when the last of them has arrived. */
async function closeExhausted(
  transaction: Knex.Transaction,
  destinationId: string,
  at: string,
): Promise<void> {
  // Locked before it is looked: another that is given up in the meantime waits, or has been seen.
  await selectRows(
    transaction,
    `SELECT id FROM notice_outage
     WHERE open_destination_id = ? AND kind = 'notices_exhausted' FOR UPDATE`,
    [destinationId],
  );
  await execute(
    transaction,
    `UPDATE notice_outage SET closed_at = ?, resolution = 'all of them were delivered'
     WHERE open_destination_id = ? AND kind = 'notices_exhausted' AND NOT EXISTS (
       SELECT 1 FROM notice_delivery WHERE destination_id = ? AND exhausted_at IS NOT NULL
         AND state IN ('waiting', 'exhausted'))`,
    [at, destinationId, destinationId],
  );
}

/** Only where nobody else has recorded anything since it was claimed. */
async function inVain(
  transaction: Knex.Transaction,
  { deliveryId, destinationId, messageId, tries }: Delivery,
  { atMs, durationMs, status, error }: Try,
  verdict: Exclude<Verdict, { kind: 'delivered' }>,
): Promise<void> {
  const now = sqlTime(atMs + durationMs);
  const isOver = verdict.kind === 'exhausted';
  const next = verdict.kind === 'again' ? sqlTime(verdict.atMs) : now;
  const found = await execute(
    transaction,
    `UPDATE notice_delivery SET tries = tries + 1, last_status = ?, last_error = ?, state = ?,
       next_at = ?, exhausted_at = IFNULL(?, exhausted_at), first_try_at = IFNULL(first_try_at, ?)
     WHERE id = ? AND state = 'waiting' AND tries = ?`,
    [
      status,
      cut(error, 300),
      isOver ? 'exhausted' : 'waiting',
      isOver ? null : next,
      isOver ? now : null,
      sqlTime(atMs),
      deliveryId,
      tries,
    ],
  );
  if (verdict.kind === 'gone') {
    await execute(
      transaction,
      `UPDATE notice_destination SET paused_at = ?, paused_why = 'it answered 410: gone'
       WHERE id = ? AND paused_at IS NULL`,
      [now, destinationId],
    );
  }
  if (verdict.kind === 'again' || (isOver && found === 0)) return;
  const kind = isOver ? 'notices_exhausted' : 'destination_gone';
  const evidence = isOver
    ? `given up after a day of tries, the last of them ${messageId}: ${error ?? ''}`
    : `it answered 410 and was paused; its notices wait`;
  await execute(
    transaction,
    `INSERT INTO notice_outage (destination_id, kind, evidence, opened_at) VALUES (?,?,?,?)
     ON DUPLICATE KEY UPDATE evidence = VALUES(evidence)`,
    [destinationId, kind, cut(`${destinationId}: ${evidence}`, 1_000), now],
  );
}

const cut = (text: string | null, max: number): string | null => text?.slice(0, max) ?? null;
