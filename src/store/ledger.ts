import type { Knex } from 'knex';
import { v7 as uuidV7 } from 'uuid';
import type { Clock } from '../clock.js';
import type { Account } from '../ledger/chart.js';
import type { LedgerEntry } from '../ledger/entry.js';
import type { Ledger, PostResult } from '../ledger/ports.js';
import { insertRows } from './bulk.js';
import { inTransaction, places, selectRows, sqlTime, type Database } from './database.js';
import type { Row } from './projections.js';
import { classify } from './sql-errors.js';

const racesMax = 5;

/** A value that no column takes: too long, out of range, of the wrong form. */
const badValue = new Set([1264, 1265, 1366, 1406]);

/**
 * Our own books. Entry, postings and inbox row of every message of a call are one transaction; the
 * inbox row is what makes a second delivery a look-up instead of a second posting.
 */
export class SqlLedger implements Ledger {
  /** Accounts are opened once and never closed, so what was seen stays true. */
  readonly #opened = new Set<string>();

  constructor(
    private readonly database: Database,
    private readonly clock: Clock,
  ) {}

  /** @throws whatever keeps the database from answering; nothing then says that it was not posted. */
  async post(entries: readonly LedgerEntry[]): Promise<readonly PostResult[]> {
    if (entries.length === 0) return [];
    try {
      return await this.#postTogether(entries);
    } catch (error) {
      if (!isTheEntrys(error)) throw error;
      const [only] = entries;
      if (entries.length === 1 && only !== undefined) {
        const evidence = `the books do not take it: ${(error as Error).message}`;
        return [{ kind: 'refused', reason: 'refused', evidence }];
      }
      // One of them is to blame: the others must not wait for it.
      const half = Math.ceil(entries.length / 2);
      const first = await this.post(entries.slice(0, half));
      return [...first, ...(await this.post(entries.slice(half)))];
    }
  }

  async #postTogether(entries: readonly LedgerEntry[]): Promise<readonly PostResult[]> {
    for (let race = 1; ; race += 1) {
      try {
        const { results, accounts } = await inTransaction(this.database, (transaction) =>
          this.#write(transaction, entries),
        );
        for (const account of accounts) this.#opened.add(account);
        return results;
      } catch (error) {
        // Another consumer posted one of them, or opened an account, since we looked.
        if (!isRace(error) || race >= racesMax) throw error;
      }
    }
  }

  async #write(transaction: Knex.Transaction, entries: readonly LedgerEntry[]) {
    const received = await receivedDigests(transaction, entries);
    const fresh = entries
      .filter((entry) => !received.has(sourceOf(entry)))
      .toSorted((a, b) => (sourceOf(a) < sourceOf(b) ? -1 : 1))
      .map((entry) => ({ id: uuidV7(), entry }));
    const at = sqlTime(this.clock.nowMs());
    const accounts = await this.#openAccounts(transaction, fresh, at);
    await insertRows(transaction, 'ledger_entry', fresh.map(entryRow(at)));
    await insertRows(transaction, 'ledger_posting', fresh.flatMap(postingRows));
    await insertRows(transaction, 'ledger_inbox', fresh.map(inboxRow(at)));
    const results = entries.map((entry): PostResult => {
      const before = received.get(sourceOf(entry));
      if (before === undefined || before === entry.digest) return { kind: 'posted' };
      const evidence = `the books hold ${sourceOf(entry)} with other content (${before})`;
      return { kind: 'refused', reason: 'conflict', evidence };
    });
    return { results, accounts };
  }

  async #openAccounts(
    transaction: Knex.Transaction,
    fresh: readonly Identified[],
    at: string,
  ): Promise<readonly string[]> {
    const wanted = new Map<string, Row>();
    for (const { entry } of fresh) {
      for (const { debit, credit } of entry.transfers) {
        for (const account of [debit, credit]) {
          const name = nameOf(account, entry.currency);
          if (!this.#opened.has(name)) wanted.set(name, accountRow(account, entry.currency, at));
        }
      }
    }
    if (wanted.size === 0) return [];
    const codes = [...wanted.values()].map((row) => row['code']);
    const rows = await selectRows<{ code: string; currency: string }>(
      transaction,
      `SELECT code, currency FROM ledger_account WHERE code IN (${places(codes)})`,
      codes,
    );
    const open = new Set(rows.map(({ code, currency }) => `${code} ${currency}`));
    const missing = [...wanted].filter(([name]) => !open.has(name));
    const rowsInOrder = missing.toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row);
    await insertRows(transaction, 'ledger_account', rowsInOrder);
    return [...wanted.keys()];
  }
}

interface Identified {
  readonly id: string;
  readonly entry: LedgerEntry;
}

async function receivedDigests(
  transaction: Knex.Transaction,
  entries: readonly LedgerEntry[],
): Promise<ReadonlyMap<string, string>> {
  const rows = await selectRows<{ topic: string; message_key: string; digest: string }>(
    transaction,
    `SELECT topic, message_key, digest FROM ledger_inbox
     WHERE (topic, message_key) IN (${entries.map(() => '(?,?)').join(',')})`,
    entries.flatMap(({ topic, key }) => [topic, key]),
  );
  return new Map(
    rows.map(({ topic, message_key: key, digest }) => [sourceOf({ topic, key }), digest]),
  );
}

const sourceOf = ({ topic, key }: Pick<LedgerEntry, 'topic' | 'key'>): string => `${topic}/${key}`;

const nameOf = ({ code }: Account, currency: string): string => `${code} ${currency}`;

const accountRow = (account: Account, currency: string, at: string): Row => ({
  code: account.code,
  currency,
  class: account.class,
  opened_at: at,
});

const entryRow =
  (at: string) =>
  ({ id, entry }: Identified): Row => ({
    id,
    topic: entry.topic,
    message_key: entry.key,
    deduction_id: entry.deductionId,
    repayment_id: entry.repaymentId,
    channel_id: entry.channelId,
    order_no: entry.orderNo,
    occurred_at: sqlTime(entry.occurredAtMs),
    posted_at: at,
  });

const postingRows = ({ id, entry }: Identified): Row[] =>
  entry.transfers.map(({ debit, credit, amountMinor }, index) => ({
    entry_id: id,
    line_no: index + 1,
    debit_account: debit.code,
    credit_account: credit.code,
    currency: entry.currency,
    amount_minor: amountMinor.toString(),
  }));

const inboxRow =
  (at: string) =>
  ({ id, entry }: Identified): Row => ({
    topic: entry.topic,
    message_key: entry.key,
    digest: entry.digest,
    entry_id: id,
    received_at: at,
  });

function isRace(error: unknown): boolean {
  const failure = classify(error);
  return (
    failure.kind === 'constraint' &&
    (failure.name === 'PRIMARY' || failure.name === 'ledger_entry_source')
  );
}

/** Whether the content of an entry is why it was refused, so that no repetition will help. */
function isTheEntrys(error: unknown): boolean {
  const { errno = 0 } = error as { errno?: number };
  return classify(error).kind === 'constraint' || badValue.has(errno);
}
