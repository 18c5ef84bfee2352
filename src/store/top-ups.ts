import { taskId, type TaskId } from '../ids.js';
import type { TopUpFilter, TopUpReads, TopUpRecord } from '../intake/top-up.js';
import { amountMinor } from '../money.js';
import { places, selectRows, type Database } from './database.js';
import { newestFirst } from './newest-first.js';

type TopUpRow = Omit<TopUpRecord, 'id' | 'amountMinor' | 'creditMinor'> & {
  id: string;
  amountMinor: string;
  creditMinor: string;
};

const columns = `id, customer_id AS customerId, amount_minor AS amountMinor,
  credit_minor AS creditMinor, rule, currency, cards, card_last4 AS cardLast4,
  bank_code AS bankCode, payer_last4 AS payerLast4, status, stage, failure_code AS failureCode,
  failure_detail AS failureDetail, channel_id AS channelId, order_no AS orderNo,
  paid_at AS paidAt, settle_at AS settleAt, credit_unknown_since AS creditUnknownSince,
  credited_at AS creditedAt, refunded_at AS refundedAt, request_digest AS requestDigest,
  created_at AS createdAt, ended_at AS endedAt`;

/** Reads for callers. Nothing here decides anything about money. */
export class TopUpStore implements TopUpReads {
  constructor(private readonly database: Database) {}

  async find(id: TaskId): Promise<TopUpRecord | null> {
    const [found] = await this.#select('WHERE id = ?', [id]);
    return found ?? null;
  }

  async findMany(ids: readonly TaskId[]): Promise<readonly TopUpRecord[]> {
    if (ids.length === 0) return [];
    return await this.#select(`WHERE id IN (${places(ids)})`, ids);
  }

  async findByRequest(requestKey: string): Promise<TopUpRecord | null> {
    const [found] = await this.#select('WHERE request_key = ?', [requestKey]);
    return found ?? null;
  }

  async list(filter: TopUpFilter): Promise<readonly TopUpRecord[]> {
    const rest = newestFirst(
      [
        ['status = ?', filter.status],
        ['stage = ?', filter.stage],
        ['customer_id = ?', filter.customerId],
        ['id < ?', filter.before],
      ],
      filter.limit,
    );
    return await this.#select(...rest);
  }

  async #select(rest: string, values: readonly unknown[]): Promise<readonly TopUpRecord[]> {
    const rows = await selectRows<TopUpRow>(
      this.database,
      `SELECT ${columns} FROM top_up ${rest}`,
      values,
    );
    return rows.map((row) => ({
      ...row,
      id: taskId(row.id),
      amountMinor: amountMinor(row.amountMinor),
      creditMinor: amountMinor(row.creditMinor),
    }));
  }
}
