import type { Knex } from 'knex';
import { execute, places, selectRows, sqlTime, type Database } from './database.js';
import { GroupedReads } from './grouped-reads.js';

export type Role = 'app' | 'batch' | 'agent' | 'operator';

/** One key, one role. The key itself is kept nowhere: only its digest. */
export interface ApiKey {
  readonly id: string;
  readonly name: string;
  readonly role: Role;
}

type KeyRow = ApiKey & { readonly keyHash: string };

/** API keys and the record of what people did by hand. */
export class AccessStore {
  readonly #byHash = new GroupedReads<KeyRow, ApiKey>({
    select: async (hashes) => await this.#live(hashes),
    key: ({ keyHash }) => keyHash,
    value: ({ id, name, role }) => ({ id, name, role }),
  });

  constructor(private readonly database: Database) {}

  async findKey(keyHash: string): Promise<ApiKey | null> {
    return await this.#byHash.find(keyHash);
  }

  async #live(hashes: readonly string[]): Promise<readonly KeyRow[]> {
    return await selectRows<KeyRow>(
      this.database,
      `SELECT id, name, role, key_hash AS keyHash FROM api_key
       WHERE key_hash IN (${places(hashes)}) AND revoked_at IS NULL`,
      hashes,
    );
  }

  async addKey(key: ApiKey, keyHash: string, nowMs: number): Promise<void> {
    await execute(
      this.database,
      'INSERT INTO api_key (id, name, role, key_hash, created_at) VALUES (?,?,?,?,?)',
      [key.id, key.name, key.role, keyHash, sqlTime(nowMs)],
    );
  }

  async listKeys(): Promise<
    readonly (ApiKey & { readonly createdAt: Date; readonly revokedAt: Date | null })[]
  > {
    return await selectRows(
      this.database,
      `SELECT id, name, role, created_at AS createdAt, revoked_at AS revokedAt FROM api_key
       ORDER BY created_at`,
    );
  }

  /** False when there is no such key, or it was revoked before. */
  async revokeKey(id: string, nowMs: number): Promise<boolean> {
    const found = await execute(
      this.database,
      'UPDATE api_key SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL',
      [sqlTime(nowMs), id],
    );
    return found > 0;
  }

  async audit(entry: AuditEntry, nowMs: number): Promise<void> {
    await writeAudit(this.database, entry, nowMs);
  }
}

export interface AuditEntry {
  readonly actor: string;
  readonly action: string;
  readonly subject: string;
  readonly detail: string;
}

/** In a transaction it is written with what it tells of, or not at all. */
export async function writeAudit(
  database: Knex | Knex.Transaction,
  entry: AuditEntry,
  nowMs: number,
): Promise<void> {
  await execute(
    database,
    'INSERT INTO audit (at, actor, action, subject, detail) VALUES (?,?,?,?,?)',
    [
      sqlTime(nowMs),
      entry.actor.slice(0, 100),
      entry.action,
      entry.subject.slice(0, 128),
      entry.detail.slice(0, 1_000),
    ],
  );
}
