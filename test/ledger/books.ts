/** Messages by hand, and the books as they are, for the tests of the ledger. */
import { randomUUID } from 'node:crypto';
import { systemClock } from '../../src/clock.js';
import type { Services } from '../../src/composition/root.js';
import type { MessageQueue } from '../../src/ledger/ports.js';
import { selectRows } from '../../src/store/database.js';
import type { TestEnvironment } from '../support/environment.js';

export interface MessageFields {
  readonly topic?: string;
  readonly key?: string;
  readonly amountMinor?: string;
  readonly channelId?: string;
  /** Instead of a body made of the other fields. */
  readonly body?: string;
  /** Added to the body. */
  readonly more?: Readonly<Record<string, unknown>>;
}

export class Books {
  constructor(private readonly environment: TestEnvironment) {}

  /** Puts a message into the outbox, due at once; returns its id. */
  async tell(fields: MessageFields = {}): Promise<string> {
    const key = fields.key ?? randomUUID();
    const body = fields.body ?? bodyFor(key, fields);
    await this.environment.owner.raw(
      `INSERT INTO outbox (topic, message_key, body, created_at)
       VALUES (?, ?, ?, UTC_TIMESTAMP(3))`,
      [fields.topic ?? 'ledger.repayment_collected', key, body],
    );
    const [row] = await this.rows<{ id: string }>('SELECT id FROM outbox WHERE message_key = ?', [
      key,
    ]);
    return row?.id ?? '';
  }

  async rows<Row>(sql: string, values: readonly unknown[] = []): Promise<Row[]> {
    return await selectRows<Row>(this.environment.owner, sql, values);
  }

  async message(id: string) {
    const [row] = await this.rows<{
      delivered: Date | null;
      due: Date | null;
      tries: number;
      dispatches: number;
      last_error: string | null;
    }>(
      `SELECT delivered_at AS delivered, send_at AS due, tries, dispatches, last_error
       FROM outbox WHERE id = ?`,
      [id],
    );
    if (row === undefined) throw new Error(`no message ${id}`);
    return row;
  }

  /** Transfers posted for a deduction: `debit > credit amount`. */
  async transfers(deductionId: string): Promise<string[]> {
    const rows = await this.rows<{ debit: string; credit: string; amount: string }>(
      `SELECT debit_account AS debit, credit_account AS credit, amount_minor AS amount
       FROM ledger_posting p JOIN ledger_entry e ON e.id = p.entry_id
       WHERE e.deduction_id = ? ORDER BY debit, credit`,
      [deductionId],
    );
    return rows.map(({ debit, credit, amount }) => `${debit} > ${credit} ${amount}`);
  }

  async deadLetter(id: string) {
    const [row] = await this.rows<{
      id: string;
      kind: string;
      amount: string;
      evidence: string;
      closed: Date | null;
      replays: number;
    }>(
      `SELECT id, kind, amount_minor AS amount, evidence, closed_at AS closed, replays
       FROM dead_letter WHERE outbox_id = ? ORDER BY id DESC LIMIT 1`,
      [id],
    );
    return row ?? null;
  }

  /** Relays and posts until nothing is due, without a queue in between. */
  async deliver({ ledger }: Services): Promise<void> {
    for (let rounds = 0; (await ledger.relay.runOnce()).sent > 0; rounds += 1) {
      if (rounds === 1_000) throw new Error('there is no end of messages');
    }
  }
}

/** Looks until it is so; a loop without an end would keep the process of a failed test alive. */
export async function eventually(isSo: () => Promise<boolean>): Promise<void> {
  const untilMs = performance.now() + 45_000;
  while (!(await isSo())) {
    if (performance.now() > untilMs) throw new Error('not so within 45 s');
    await systemClock.sleep(10);
  }
}

export function bodyFor(deductionId: string, fields: MessageFields = {}): string {
  return JSON.stringify({
    deduction_id: deductionId,
    repayment_id: 'rp_1',
    amount_minor: fields.amountMinor ?? '120000',
    currency: 'CNY',
    channel_id: fields.channelId ?? 'swiftpay',
    order_no: 'R1',
    settled_at: '2026-11-22T08:00:00.000Z',
    ...fields.more,
  });
}

/** Hands batches to a consumer at once: the queue is not what is tested. */
export function straight(
  consumer: () => {
    handle(ids: readonly string[]): Promise<void>;
  },
): MessageQueue & { readonly batches: string[][] } {
  const batches: string[][] = [];
  return {
    batches,
    hasRoom: async () => true,
    async add(more) {
      for (const ids of more) {
        batches.push([...ids]);
        await consumer().handle(ids);
      }
      return true;
    },
  };
}
