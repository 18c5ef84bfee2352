import { taskId, type TaskId } from '../ids.js';
import type { WithdrawalFilter, WithdrawalReads, WithdrawalRecord } from '../intake/withdrawal.js';
import { amountMinor } from '../money.js';
import { places, selectRows, type Database } from './database.js';
import { newestFirst } from './newest-first.js';

type WithdrawalRow = Omit<WithdrawalRecord, 'id' | 'amountMinor'> & {
  id: string;
  amountMinor: string;
};

const columns = `id, member_id AS memberId, amount_minor AS amountMinor, currency,
  bank_code AS bankCode, account_last4 AS accountLast4, account_service AS accountService, status,
  failure_code AS failureCode, failure_detail AS failureDetail, channel_id AS channelId,
  order_no AS orderNo, request_digest AS requestDigest, created_at AS createdAt,
  ended_at AS endedAt`;

/** Reads for callers. Nothing here decides anything about money. */
export class WithdrawalStore implements WithdrawalReads {
  constructor(private readonly database: Database) {}

  async find(id: TaskId): Promise<WithdrawalRecord | null> {
    const [found] = await this.#select('WHERE id = ?', [id]);
    return found ?? null;
  }

  async findByRequest(requestKey: string): Promise<WithdrawalRecord | null> {
    const [found] = await this.#select('WHERE request_key = ?', [requestKey]);
    return found ?? null;
  }

  async findMany(ids: readonly TaskId[]): Promise<readonly WithdrawalRecord[]> {
    if (ids.length === 0) return [];
    return await this.#select(`WHERE id IN (${places(ids)})`, ids);
  }

  async list(filter: WithdrawalFilter): Promise<readonly WithdrawalRecord[]> {
    const rest = newestFirst(
      [
        ['status = ?', filter.status],
        ['member_id = ?', filter.memberId],
        ['id < ?', filter.before],
      ],
      filter.limit,
    );
    return await this.#select(...rest);
  }

  async #select(rest: string, values: readonly unknown[]): Promise<readonly WithdrawalRecord[]> {
    const rows = await selectRows<WithdrawalRow>(
      this.database,
      `SELECT ${columns} FROM withdrawal ${rest}`,
      values,
    );
    return rows.map((row) => ({
      ...row,
      id: taskId(row.id),
      amountMinor: amountMinor(row.amountMinor),
    }));
  }
}
