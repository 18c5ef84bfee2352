import { repaymentId, type RepaymentId } from '../ids.js';
import type { NewRepayment, Repayment, Repayments } from '../intake/repayment.js';
import { amountMinor, type Currency } from '../money.js';
import { execute, inTransaction, places, selectRows, sqlTime, type Database } from './database.js';
import { GroupedReads } from './grouped-reads.js';

interface RepaymentRow {
  readonly id: string;
  readonly borrower_id: string;
  readonly currency: string;
  readonly due_minor: string;
  readonly paid_minor: string;
  readonly collecting_minor: string;
  readonly due_on: string;
  readonly account_token: string;
  readonly bank_code: string;
  readonly account_last4: string;
}

export const repaymentColumns = `r.id, r.borrower_id, r.currency, r.due_minor, r.paid_minor,
  r.collecting_minor, DATE_FORMAT(r.due_date, '%Y-%m-%d') AS due_on, r.account_token, r.bank_code,
  r.account_last4`;

export function toRepayment(row: RepaymentRow): Repayment {
  return {
    id: repaymentId(row.id),
    borrowerId: row.borrower_id,
    currency: row.currency as Currency,
    dueMinor: amountMinor(row.due_minor),
    paidMinor: amountMinor(row.paid_minor),
    collectingMinor: amountMinor(row.collecting_minor),
    dueDate: row.due_on,
    account: { token: row.account_token, bankCode: row.bank_code, last4: row.account_last4 },
  };
}

export class RepaymentStore implements Repayments {
  readonly #byId = new GroupedReads<RepaymentRow, Repayment>({
    select: async (ids) => await this.#select(ids),
    key: (row) => row.id,
    value: toRepayment,
  });

  constructor(private readonly database: Database) {}

  async find(id: RepaymentId): Promise<Repayment | null> {
    return await this.#byId.find(id);
  }

  async findMany(ids: readonly RepaymentId[]): Promise<ReadonlyMap<RepaymentId, Repayment>> {
    if (ids.length === 0) return new Map();
    const rows = await this.#select(ids);
    return new Map(rows.map((row) => [repaymentId(row.id), toRepayment(row)]));
  }

  async #select(ids: readonly string[]): Promise<readonly RepaymentRow[]> {
    return await selectRows<RepaymentRow>(
      this.database,
      `SELECT ${repaymentColumns} FROM repayment r WHERE r.id IN (${places(ids)})`,
      ids,
    );
  }

  async register(repayments: readonly NewRepayment[], nowMs: number): Promise<void> {
    if (repayments.length === 0) return;
    const sorted = repayments.toSorted((a, b) => (a.id < b.id ? -1 : 1));
    await inTransaction(this.database, async (transaction) => {
      await execute(
        transaction,
        `INSERT INTO repayment (id, borrower_id, currency, due_minor, due_date, account_token,
         bank_code, account_last4, created_at)
       VALUES ${sorted.map(() => '(?,?,?,?,?,?,?,?,?)').join(',')}
       ON DUPLICATE KEY UPDATE id = VALUES(id)`,
        sorted.flatMap((one) => [
          one.id,
          one.borrowerId,
          one.currency,
          one.dueMinor.toString(),
          one.dueDate,
          one.account.token,
          one.account.bankCode,
          one.account.last4,
          sqlTime(nowMs),
        ]),
      );
    });
  }
}
