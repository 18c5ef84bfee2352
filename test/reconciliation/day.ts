/** A day of one channel on the real database: our orders, their file, and the reconciler between them. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { businessDate } from '../../src/business-date.js';
import { systemClock, type Clock } from '../../src/clock.js';
import { channelId, newTaskId, orderNo, type TaskId } from '../../src/ids.js';
import { silentLog } from '../../src/log.js';
import type { BreakRecord, Submit } from '../../src/reconciliation/ports.js';
import { dayAfter, dayBeginsMs } from '../../src/reconciliation/day.js';
import { Reconciler, type Reconciled } from '../../src/reconciliation/reconciler.js';
import type { ChannelProfile } from '../../src/channels/profile.js';
import { BreakStore } from '../../src/store/reconciliation-breaks.js';
import { MatchingStore } from '../../src/store/reconciliation-matching.js';
import { StatementStore } from '../../src/store/reconciliation-statements.js';
import { execute, openDatabase, sqlTime, type Database } from '../../src/store/database.js';
import type { TestEnvironment } from '../support/environment.js';
import { bytesOf, day, expectedOf, noonMs, someRow, type NewRow } from './statements.js';

export interface OurOrder {
  readonly orderNo: string;
  readonly task: TaskId;
  readonly amountMinor: bigint;
}

export interface OrderFields {
  readonly status?: string;
  readonly amountMinor?: bigint;
  readonly date?: string;
  readonly createdAtMs?: number;
  readonly endedAtMs?: number;
  readonly channel?: string;
  readonly operation?: 'charge' | 'refund' | 'payout';
}

/** SwiftPay's fee: 0.2 %, rounded up, 20 yuan at the most. */
export function feeOf(amountMinor: bigint): bigint {
  const fee = (amountMinor * 20n + 9_999n) / 10_000n;
  return fee > 2_000n ? 2_000n : fee;
}

const tables = [
  'attempt',
  'channel_statement',
  'statement_row',
  'reconciliation',
  'reconciliation_break',
  'reconciliation_held',
] as const;

/**
 * Today's business date, for a test that does not take longer than this. Where midnight comes sooner it is waited
 * for: what is collected on both sides of it stands in two statements.
 */
export async function todayFor(longestMs: number): Promise<string> {
  const zone = 'Asia/Shanghai';
  const tomorrowMs = dayBeginsMs(dayAfter(businessDate(Date.now(), zone)), zone);
  const leftMs = tomorrowMs - Date.now();
  if (leftMs < longestMs) await systemClock.sleep(leftMs + 10);
  return businessDate(Date.now(), zone);
}

export class Day {
  readonly folder = mkdtempSync(join(tmpdir(), 'recoup-statements-'));
  readonly database: Database;
  readonly statements: StatementStore;
  readonly breaks: BreakStore;
  readonly reconciler: Reconciler;
  submitted: string[] = [];
  /** What the engine would do with evidence. */
  submit: Submit = async () => true;
  nowMs = noonMs + 86_400_000;
  #files = 0;

  constructor(
    environment: TestEnvironment,
    profiles: readonly ChannelProfile[],
    readonly channel = 'swiftpay',
  ) {
    this.database = openDatabase(environment.config.databaseUrl, 6, silentLog);
    this.statements = new StatementStore(this.database);
    this.breaks = new BreakStore(this.database);
    const clock: Clock = { ...systemClock, nowMs: () => this.nowMs, sleep: async () => undefined };
    this.reconciler = new Reconciler({
      statements: this.statements,
      matching: new MatchingStore(this.database),
      breaks: this.breaks,
      profiles: () => profiles,
      submit: async (task, evidence) => {
        this.submitted.push(evidence.orderNo);
        return await this.submit(task, evidence);
      },
      clock,
      log: silentLog,
      zone: 'Asia/Shanghai',
    });
  }

  /** An order of ours: captured at noon unless told otherwise. */
  async order(fields: OrderFields = {}): Promise<OurOrder> {
    const task = newTaskId();
    const { status = 'succeeded', amountMinor = 128_050n, date = day } = fields;
    const createdAtMs = fields.createdAtMs ?? Date.parse(`${date}T12:00:00+08:00`);
    const endedAtMs = fields.endedAtMs ?? createdAtMs + 1_000;
    const live = ['sending', 'pending', 'unknown'].includes(status);
    const order = orderNo(task, 1);
    await execute(
      this.database,
      `INSERT INTO attempt (task_id, attempt_no, order_no, channel_id, bank_code, amount_minor, status,
         channel_ref, decline_code, proof, asks, operation, business_date, created_at, expires_at, ended_at)
       VALUES (?,1,?,?,'ICBC',?,?,?,?,?,0,?,?,?,?,?)`,
      [
        task,
        order,
        fields.channel ?? this.channel,
        amountMinor.toString(),
        status,
        status === 'succeeded' ? 'SW1' : null,
        status === 'declined' ? 'risk_refused' : null,
        status === 'not_executed' ? 'closed' : null,
        fields.operation ?? 'charge',
        date,
        sqlTime(createdAtMs),
        sqlTime(createdAtMs + 60_000),
        live ? null : sqlTime(endedAtMs),
      ],
    );
    return { orderNo: order, task, amountMinor };
  }

  /** Their row for an order of ours, right in everything that is not named. */
  row(order: OurOrder, fields: Partial<NewRow> = {}): NewRow {
    const { amountMinor = order.amountMinor } = fields;
    return someRow({
      orderNo: order.orderNo,
      amountMinor,
      feeMinor: feeOf(amountMinor),
      ...fields,
    });
  }

  async file(rows: readonly NewRow[], date = day): Promise<string> {
    this.#files += 1;
    const path = join(this.folder, `statement-${this.#files}`);
    writeFileSync(path, await bytesOf(rows, expectedOf('csv', this.channel, date)));
    return path;
  }

  async reconcile(
    file: readonly NewRow[] | string | null,
    { date = day, supersede = false } = {},
  ): Promise<Reconciled> {
    const path = typeof file === 'string' || file === null ? file : await this.file(file, date);
    const request = { channelId: channelId(this.channel), date, file: path, supersede, by: 'test' };
    return await this.reconciler.run(request);
  }

  async open(date?: string): Promise<readonly BreakRecord[]> {
    const filter = { channelId: channelId(this.channel), open: true, limit: 1_000 };
    return await this.breaks.list(date === undefined ? filter : { ...filter, date });
  }

  async kinds(): Promise<readonly string[]> {
    return (await this.open()).map(({ kind }) => kind).toSorted();
  }

  /** As if nothing had ever happened. */
  async clear(owner: Database): Promise<void> {
    for (const table of tables) await owner.raw(`DELETE FROM ${table}`);
    this.submitted = [];
    this.submit = async () => true;
    this.nowMs = noonMs + 86_400_000;
  }

  async close(): Promise<void> {
    rmSync(this.folder, { recursive: true, force: true });
    await this.database.destroy();
  }
}
