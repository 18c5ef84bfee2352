import { RecoupError } from '../errors.js';
import type { Deposit, Member, MemberEntry, Members } from '../intake/member.js';
import { amountMinor, type Currency } from '../money.js';
import { execute, inTransaction, selectRows, sqlTime, type Database } from './database.js';
import { classify } from './sql-errors.js';

/**
 * Balances and the money log. A balance is moved first and its line of the log written after, here as
 * in the journal: whoever writes the line first holds the account's row shared, by the foreign key, and
 * two of those who then want it alone wait for each other.
 */
export class MemberStore implements Members {
  constructor(private readonly database: Database) {}

  async open(id: string, currency: Currency, nowMs: number): Promise<boolean> {
    const found = await execute(
      this.database,
      'INSERT IGNORE INTO member_account (id, currency, created_at) VALUES (?,?,?)',
      [id, currency, sqlTime(nowMs)],
    );
    return found > 0;
  }

  async find(id: string, currency: Currency): Promise<Member | null> {
    const [row] = await selectRows<{ balance: string; createdAt: Date }>(
      this.database,
      `SELECT balance_minor AS balance, created_at AS createdAt FROM member_account
       WHERE id = ? AND currency = ?`,
      [id, currency],
    );
    if (row === undefined) return null;
    const { balance, createdAt } = row;
    return { id, currency, balanceMinor: amountMinor(balance), createdAt };
  }

  async entries(id: string, currency: Currency, limit: number): Promise<readonly MemberEntry[]> {
    const rows = await selectRows<Omit<MemberEntry, 'amountMinor'> & { amount: string }>(
      this.database,
      `SELECT cause_id AS causeId, kind, amount_minor AS amount, at FROM member_entry
       WHERE member_id = ? AND currency = ? ORDER BY id DESC LIMIT ?`,
      [id, currency, limit],
    );
    return rows.map(({ amount, ...row }) => ({ ...row, amountMinor: BigInt(amount) }));
  }

  async deposit(deposit: Deposit, nowMs: number): Promise<'made' | 'known'> {
    try {
      await this.#add(deposit, nowMs);
      return 'made';
    } catch (error) {
      const failure = classify(error);
      if (failure.kind === 'constraint' && failure.name === 'member_entry_cause') {
        return await this.#again(deposit);
      }
      // Its lost COMMIT may have been done: said again under the same id, it is done once.
      if (failure.kind === 'ambiguous') throw new RecoupError('journal_unavailable');
      throw error;
    }
  }

  async #add(deposit: Deposit, nowMs: number): Promise<void> {
    const { causeId, memberId, currency } = deposit;
    const amount = deposit.amountMinor.toString();
    await inTransaction(this.database, async (transaction) => {
      const found = await execute(
        transaction,
        'UPDATE member_account SET balance_minor = balance_minor + ? WHERE id = ? AND currency = ?',
        [amount, memberId, currency],
      );
      if (found === 0) throw new RecoupError('member_unknown', { member_id: memberId });
      await execute(
        transaction,
        `INSERT INTO member_entry (cause_id, kind, member_id, currency, amount_minor, at)
         VALUES (?, 'deposited', ?, ?, ?, ?)`,
        [causeId, memberId, currency, amount, sqlTime(nowMs)],
      );
    });
  }

  async #again({ causeId, memberId, currency, amountMinor: amount }: Deposit): Promise<'known'> {
    const [row] = await selectRows<{ memberId: string; currency: string; amount: string }>(
      this.database,
      `SELECT member_id AS memberId, currency, amount_minor AS amount FROM member_entry
       WHERE cause_id = ? AND kind = 'deposited'`,
      [causeId],
    );
    const same =
      row?.memberId === memberId && row.currency === currency && BigInt(row.amount) === amount;
    if (!same) throw new RecoupError('deposit_differs', { deposit_id: causeId });
    return 'known';
  }
}
