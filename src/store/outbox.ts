import type { Knex } from 'knex';
import type { Message } from '../ledger/entry.js';
import type { ClaimedMessage, Outbox, Verdict } from '../ledger/ports.js';
import { text, updateRows, type BulkUpdate } from './bulk.js';
import { execute, inTransaction, places, selectRows, sqlTime, type Database } from './database.js';

type VerdictOf<K extends Verdict['kind']> = Extract<Verdict, { kind: K }>;

/**
 * The outbox on MariaDB. A row is due at `send_at`; delivered, when `delivered_at` is set; a dead
 * letter, when both are null. Written by the journal, in the transaction of what it tells.
 */
export class SqlOutbox implements Outbox {
  constructor(private readonly database: Database) {}

  /** SKIP LOCKED: relays step around each other's rows, and around those being confirmed. */
  async claimDue(claim: Parameters<Outbox['claimDue']>[0]): Promise<readonly ClaimedMessage[]> {
    return await inTransaction(this.database, async (transaction) => {
      const rows = await selectRows<{ id: string; dispatches: number }>(
        transaction,
        `SELECT id, dispatches FROM outbox WHERE send_at <= ?
         ORDER BY send_at, id LIMIT ? FOR UPDATE SKIP LOCKED`,
        [sqlTime(claim.nowMs), claim.limit],
      );
      if (rows.length > 0) {
        await execute(
          transaction,
          `UPDATE outbox SET send_at = ?, dispatches = dispatches + 1 WHERE id IN (${places(rows)})`,
          [sqlTime(claim.againAtMs), ...inOrder(rows.map(({ id }) => id))],
        );
      }
      return rows;
    });
  }

  async release(ids: readonly string[], nowMs: number): Promise<void> {
    if (ids.length === 0) return;
    await execute(
      this.database,
      `UPDATE outbox SET send_at = ?, dispatches = dispatches - 1
       WHERE id IN (${places(ids)}) AND send_at IS NOT NULL AND dispatches > 0`,
      [sqlTime(nowMs), ...inOrder(ids)],
    );
  }

  async unsettled(ids: readonly string[]): Promise<readonly Message[]> {
    if (ids.length === 0) return [];
    const rows = await selectRows<{
      id: string;
      topic: string;
      message_key: string;
      body: string;
      created_at: Date;
      tries: number;
    }>(
      this.database,
      `SELECT id, topic, message_key, body, created_at, tries FROM outbox
       WHERE id IN (${places(ids)}) AND send_at IS NOT NULL ORDER BY id`,
      ids,
    );
    return rows.map((row) => ({
      id: row.id,
      topic: row.topic,
      key: row.message_key,
      body: row.body,
      createdAtMs: row.created_at.getTime(),
      tries: row.tries,
    }));
  }

  async confirm(verdicts: readonly Verdict[], nowMs: number): Promise<void> {
    if (verdicts.length === 0) return;
    await inTransaction(this.database, async (transaction) => {
      await deliver(transaction, of(verdicts, 'delivered'), nowMs);
      await updateRows(transaction, againUpdate, of(verdicts, 'again').map(againRow));
      for (const one of of(verdicts, 'dead')) await bury(transaction, one, nowMs);
    });
  }

  async purgeDelivered(deliveredBeforeMs: number, limit: number): Promise<number> {
    return await execute(
      this.database,
      'DELETE FROM outbox WHERE delivered_at < ? ORDER BY delivered_at LIMIT ?',
      [sqlTime(deliveredBeforeMs), limit],
    );
  }
}

/** Also where another had just given it up: what is in the books is delivered. */
async function deliver(
  transaction: Knex.Transaction,
  verdicts: readonly VerdictOf<'delivered'>[],
  nowMs: number,
): Promise<void> {
  if (verdicts.length === 0) return;
  const ids = inOrder(verdicts.map(({ id }) => id));
  await execute(
    transaction,
    `UPDATE outbox SET delivered_at = ?, send_at = NULL
     WHERE id IN (${places(ids)}) AND delivered_at IS NULL`,
    [sqlTime(nowMs), ...ids],
  );
  await execute(
    transaction,
    `UPDATE dead_letter SET closed_at = ?, resolution = 'posted'
     WHERE open_outbox_id IN (${places(ids)})`,
    [sqlTime(nowMs), ...ids],
  );
}

/** `dispatches` starts anew: somebody has just confirmed that it does not kill them. */
const againUpdate: BulkUpdate = {
  table: 'outbox',
  key: { id: 'BIGINT' },
  values: { send_at: 'DATETIME(3)', tries: 'INT', last_error: text(500), dispatches: 'INT' },
  where: 't.send_at IS NOT NULL',
};

const againRow = ({ id, atMs, tries, why }: VerdictOf<'again'>) => ({
  id,
  send_at: sqlTime(atMs),
  tries,
  last_error: why.slice(0, 500),
  dispatches: 0,
});

/** One open dead letter a message: a replay that fails again says so in the same one. */
async function bury(
  transaction: Knex.Transaction,
  { id, reason, tries, amountMinor, evidence }: VerdictOf<'dead'>,
  nowMs: number,
): Promise<void> {
  const found = await execute(
    transaction,
    `UPDATE outbox SET send_at = NULL, tries = ?, last_error = ?
     WHERE id = ? AND send_at IS NOT NULL`,
    [tries, evidence.slice(0, 500), id],
  );
  if (found === 0) return;
  await execute(
    transaction,
    `INSERT INTO dead_letter
       (outbox_id, topic, message_key, kind, amount_minor, evidence, tries, opened_at)
     SELECT id, topic, message_key, ?, ?, ?, tries, ? FROM outbox WHERE id = ?
     ON DUPLICATE KEY UPDATE kind = VALUES(kind), amount_minor = VALUES(amount_minor),
       evidence = VALUES(evidence), tries = VALUES(tries)`,
    [reason, amountMinor.toString(), evidence.slice(0, 1_000), sqlTime(nowMs), id],
  );
}

/** In key order, so that two transactions never wait for each other. */
const of = <K extends Verdict['kind']>(verdicts: readonly Verdict[], kind: K): VerdictOf<K>[] =>
  verdicts
    .filter((one): one is VerdictOf<K> => one.kind === kind)
    .toSorted((a, b) => byNumber(a.id, b.id));

const inOrder = (ids: readonly string[]): string[] => ids.toSorted(byNumber);

const byNumber = (a: string, b: string): number => (BigInt(a) < BigInt(b) ? -1 : 1);
