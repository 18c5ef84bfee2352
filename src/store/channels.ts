import type { ChannelId } from '../ids.js';
import { channelId } from '../ids.js';
import { execute, places, selectRows, sqlTime, type Database } from './database.js';

/** A channel's profile as it was imported: the text, parsed by whoever knows profiles. */
export interface StoredProfile {
  readonly channelId: ChannelId;
  readonly profileJson: string;
  readonly paused: boolean;
}

/** Amounts of today that may have been or may yet be taken, or paid out. */
export interface UsageRow {
  /** Absent: charges. */
  readonly operation?: 'payout';
  readonly channelId: ChannelId;
  readonly bankCode: string;
  readonly amountMinor: bigint;
}

export class ChannelStore {
  constructor(private readonly database: Database) {}

  async all(): Promise<readonly StoredProfile[]> {
    const rows = await selectRows<{ id: string; profile: string; paused: number }>(
      this.database,
      'SELECT id, profile, paused FROM channel ORDER BY id',
    );
    return rows.map((row) => ({
      channelId: channelId(row.id),
      profileJson: row.profile,
      paused: row.paused === 1,
    }));
  }

  /** Adds or replaces the given channels in one transaction; others stay. */
  async save(profiles: readonly Omit<StoredProfile, 'paused'>[], nowMs: number): Promise<void> {
    await this.database.transaction(async (transaction) => {
      for (const one of profiles) {
        await execute(
          transaction,
          `INSERT INTO channel (id, profile, updated_at) VALUES (?,?,?)
           ON DUPLICATE KEY UPDATE profile = VALUES(profile), updated_at = VALUES(updated_at)`,
          [one.channelId, one.profileJson, sqlTime(nowMs)],
        );
      }
    });
  }

  /** False when there is no such channel. */
  async setPaused(id: ChannelId, paused: boolean, nowMs: number): Promise<boolean> {
    const found = await execute(
      this.database,
      'UPDATE channel SET paused = ?, updated_at = ? WHERE id = ?',
      [paused, sqlTime(nowMs), id],
    );
    return found > 0;
  }

  /** Of the latest references that a channel gave on these days: how many had personal numbers' form. */
  async references(
    id: ChannelId,
    businessDates: readonly string[],
  ): Promise<{ readonly seen: number; readonly digests: number; readonly numbers: number }> {
    const [row] = await selectRows<Record<'seen' | 'digests' | 'numbers', string | number>>(
      this.database,
      `SELECT COUNT(*) AS seen,
         COALESCE(SUM(ref REGEXP '^sha256-[0-9a-f]{32}$'), 0) AS digests,
         COALESCE(SUM(ref REGEXP '^[0-9]{13,19}$'), 0) AS numbers
       FROM (SELECT channel_ref AS ref FROM attempt
         WHERE business_date IN (${places(businessDates)}) AND channel_id = ?
           AND channel_ref IS NOT NULL LIMIT 1000) sample`,
      [...businessDates, id],
    );
    return {
      seen: Number(row?.seen),
      digests: Number(row?.digests),
      numbers: Number(row?.numbers),
    };
  }

  /** Everything but what is known not to have been taken: a limit also holds for what is under way. */
  async usage(businessDate: string): Promise<readonly UsageRow[]> {
    const rows = await selectRows<{
      operation: string;
      channel_id: string;
      bank_code: string;
      amount: string;
    }>(
      this.database,
      `SELECT operation, channel_id, bank_code, SUM(amount_minor) AS amount FROM attempt
       WHERE business_date = ? AND operation IN ('charge', 'payout')
         AND status IN ('sending', 'pending', 'unknown', 'succeeded')
       GROUP BY operation, channel_id, bank_code`,
      [businessDate],
    );
    return rows.map((row) => ({
      ...(row.operation === 'payout' && { operation: 'payout' as const }),
      channelId: channelId(row.channel_id),
      bankCode: row.bank_code,
      amountMinor: BigInt(row.amount),
    }));
  }
}
