import type { Destination } from '../notices/destination.js';
import type { DestinationSource } from '../notices/destinations.js';
import { selectRows, type Database } from './database.js';

export interface DestinationRow {
  readonly id: string;
  readonly url: string;
  readonly types: string;
  readonly secretEnvs: string;
  readonly pausedAt: Date | null;
  readonly pausedWhy: string | null;
  readonly resumedAt: Date | null;
  readonly createdAt: Date;
}

export const destinationColumns = `d.id, d.url, d.types, d.secret_envs AS secretEnvs,
  d.paused_at AS pausedAt, d.paused_why AS pausedWhy, d.resumed_at AS resumedAt,
  d.created_at AS createdAt`;

export const toDestination = (row: DestinationRow): Destination => ({
  id: row.id,
  url: row.url,
  types: row.types === '*' ? '*' : row.types.split(','),
  secretEnvs: row.secretEnvs.split(','),
  paused: row.pausedAt === null ? null : { at: row.pausedAt, why: row.pausedWhy ?? '' },
  resumedAt: row.resumedAt,
  createdAt: row.createdAt,
});

export class NoticeDestinationStore implements DestinationSource {
  constructor(private readonly database: Database) {}

  async all(): Promise<readonly Destination[]> {
    const rows = await selectRows<DestinationRow>(
      this.database,
      `SELECT ${destinationColumns} FROM notice_destination d WHERE removed_at IS NULL ORDER BY id`,
    );
    return rows.map(toDestination);
  }
}
