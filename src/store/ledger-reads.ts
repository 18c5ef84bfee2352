import type { AccountClass } from '../ledger/chart.js';
import type { AccountBalance, DeadLetter, LedgerReads, TrialBalance } from '../ledger/records.js';
import { execute, inTransaction, selectRows, sqlTime, type Database } from './database.js';

/** The books and what is not in them yet, for people. */
export class SqlLedgerReads implements LedgerReads {
  constructor(
    private readonly database: Database,
    private readonly keptBy: TrialBalance['keptBy'],
  ) {}

  /** One statement, so one moment: a posting is seen on both its accounts or on neither. */
  async trialBalance(): Promise<TrialBalance> {
    const rows = await selectRows<{
      account: string;
      class: AccountClass;
      currency: string;
      debits: string;
      credits: string;
    }>(
      this.database,
      `SELECT a.code AS account, a.class, a.currency, SUM(s.debits) AS debits,
         SUM(s.credits) AS credits
       FROM ledger_account a JOIN (
         SELECT debit_account AS account, currency, SUM(amount_minor) AS debits, 0 AS credits
         FROM ledger_posting GROUP BY debit_account, currency
         UNION ALL
         SELECT credit_account, currency, 0, SUM(amount_minor)
         FROM ledger_posting GROUP BY credit_account, currency
       ) s ON s.account = a.code AND s.currency = a.currency
       GROUP BY a.code, a.class, a.currency ORDER BY a.currency, a.code`,
    );
    const accounts = rows.map(({ debits, credits, ...row }) => {
      const [debitMinor, creditMinor] = [BigInt(debits), BigInt(credits)];
      const balanceMinor = growsWithDebits(row.class)
        ? debitMinor - creditMinor
        : creditMinor - debitMinor;
      return { ...row, debitMinor, creditMinor, balanceMinor };
    });
    const totals = totalsOf(accounts);
    return {
      keptBy: this.keptBy,
      accounts,
      totals,
      balanced: totals.every(({ debitMinor, creditMinor }) => debitMinor === creditMinor),
      undelivered: await this.#undelivered(),
      deadLettersOpen: await this.#deadLettersOpen(),
    };
  }

  async #undelivered(): Promise<TrialBalance['undelivered']> {
    const [row] = await selectRows<{ messages: number | string; oldest: Date | null }>(
      this.database,
      `SELECT COUNT(*) AS messages,
         (SELECT created_at FROM outbox WHERE delivered_at IS NULL ORDER BY id LIMIT 1) AS oldest
       FROM outbox WHERE delivered_at IS NULL`,
    );
    return { messages: Number(row?.messages ?? 0), oldestAt: row?.oldest ?? null };
  }

  async #deadLettersOpen(): Promise<number> {
    const [row] = await selectRows<{ open: number | string }>(
      this.database,
      'SELECT COUNT(*) AS open FROM dead_letter WHERE closed_at IS NULL',
    );
    return Number(row?.open ?? 0);
  }

  async deadLetters({
    open,
    limit,
  }: Parameters<LedgerReads['deadLetters']>[0]): Promise<readonly DeadLetter[]> {
    const where = open === undefined ? '' : `WHERE closed_at IS ${open ? '' : 'NOT '}NULL`;
    const rows = await selectRows<Omit<DeadLetter, 'amountMinor'> & { amount: string }>(
      this.database,
      `SELECT id, topic, message_key AS messageKey, kind, amount_minor AS amount, evidence, tries,
         replays, opened_at AS openedAt, closed_at AS closedAt, resolution
       FROM dead_letter ${where} ORDER BY opened_at, id LIMIT ?`,
      [limit],
    );
    return rows.map(({ id, amount, ...row }) => ({
      ...row,
      id,
      amountMinor: BigInt(amount),
    }));
  }

  async replay(id: string, actor: string, nowMs: number) {
    return await inTransaction(this.database, async (transaction) => {
      const [letter] = await selectRows<{ outbox: string; closed: Date | null }>(
        transaction,
        'SELECT outbox_id AS outbox, closed_at AS closed FROM dead_letter WHERE id = ? FOR UPDATE',
        [id],
      );
      if (letter === undefined) return 'unknown';
      if (letter.closed !== null) return 'closed';
      const at = sqlTime(nowMs);
      await execute(
        transaction,
        `UPDATE outbox SET send_at = ?, tries = 0, dispatches = 0
         WHERE id = ? AND delivered_at IS NULL`,
        [at, letter.outbox],
      );
      await execute(
        transaction,
        'UPDATE dead_letter SET replays = replays + 1, replayed_at = ? WHERE id = ?',
        [at, id],
      );
      await execute(
        transaction,
        'INSERT INTO audit (at, actor, action, subject, detail) VALUES (?,?,?,?,?)',
        [at, actor.slice(0, 100), 'ledger_replay', `dead:${id}`, `outbox ${letter.outbox}`],
      );
      return 'replayed';
    });
  }
}

const growsWithDebits = (kind: AccountClass): boolean => kind === 'asset' || kind === 'expense';

function totalsOf(accounts: readonly AccountBalance[]): TrialBalance['totals'] {
  const totals = new Map<string, { debitMinor: bigint; creditMinor: bigint }>();
  for (const { currency, debitMinor, creditMinor } of accounts) {
    const sum = totals.get(currency) ?? { debitMinor: 0n, creditMinor: 0n };
    sum.debitMinor += debitMinor;
    sum.creditMinor += creditMinor;
    totals.set(currency, sum);
  }
  return [...totals].map(([currency, sum]) => ({ currency, ...sum }));
}
