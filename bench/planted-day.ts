/**
 * A day of orders and the statement of it, with differences planted at known places. Row i is made from i
 * alone, so that a million rows take no memory.
 */
import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { orderNo, taskId, type ChannelId } from '../src/ids.js';
import type { StatementFormat, StatementRow } from '../src/reconciliation/statement.js';
import { writeStatement } from '../src/reconciliation/write-statement.js';
import { execute, sqlTime, type Database } from '../src/store/database.js';

export const plantedKinds = [
  'only_ours',
  'only_theirs',
  'status_flip',
  'duplicate_capture',
  'amount_mismatch',
  'fee_mismatch',
  'cross_day',
] as const;
export type PlantedKind = (typeof plantedKinds)[number];

type NewRow = Omit<StatementRow, 'lineNo'>;

export interface PlantedDay {
  readonly channelId: ChannelId;
  readonly date: string;
  readonly rows: number;
  /** Differences, spread evenly over the day and in turn over the kinds. */
  readonly planted: number;
}

const merchantId = 'M-RECOUP-01';
const minuteMs = 60_000;
const rowsAtOnce = 1_000;

/** Null: row i is as it should be. */
export function plantedAt({ rows, planted }: PlantedDay, i: number): PlantedKind | null {
  const every = Math.floor(rows / planted);
  const nth = Math.floor(i / every);
  return i % every === 0 && nth < planted
    ? (plantedKinds[nth % plantedKinds.length] ?? null)
    : null;
}

export function* plantedIn(day: PlantedDay): Generator<{ kind: PlantedKind; orderNo: string }> {
  for (let i = 0; i < day.rows; i += 1) {
    const kind = plantedAt(day, i);
    if (kind !== null) yield { kind, orderNo: orderOf(day, i) };
  }
}

/** Numbers of one day lie together, as those of real tasks do. */
function taskOf({ date }: PlantedDay, i: number) {
  const day = Math.floor(Date.parse(`${date}T00:00:00Z`) / 86_400_000);
  const time = day.toString(16).padStart(12, '0');
  const n = i.toString(16).padStart(12, '0');
  return taskId(`${time.slice(0, 8)}-${time.slice(8)}-7000-8000-${n}`);
}

const orderOf = (day: PlantedDay, i: number): string => orderNo(taskOf(day, i), 1);

const amountOf = (i: number): bigint => 10_000n + BigInt((i * 7_919) % 400_000);

/** 0.2 %, rounded up, 20 yuan at the most. */
function feeOf(amountMinor: bigint): bigint {
  const fee = (amountMinor * 20n + 9_999n) / 10_000n;
  return fee > 2_000n ? 2_000n : fee;
}

/** From one to eleven at night; what crosses midnight is begun in its last minute. */
function createdAtMs(day: PlantedDay, i: number): number {
  const beginsMs = Date.parse(`${day.date}T00:00:00+08:00`);
  if (plantedAt(day, i) === 'cross_day') return beginsMs + 1_439 * minuteMs;
  return beginsMs + 60 * minuteMs + Math.floor((i / day.rows) * 1_320 * minuteMs);
}

/** Our side: captured orders. Those that only the channel knows have none. */
export async function insertOrders(database: Database, day: PlantedDay): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < day.rows) {
      const from = next;
      next += rowsAtOnce;
      const values: (string | number)[] = [];
      for (let i = from; i < Math.min(next, day.rows, from + rowsAtOnce); i += 1) {
        if (plantedAt(day, i) === 'only_theirs') continue;
        const atMs = createdAtMs(day, i);
        values.push(taskOf(day, i), orderOf(day, i), day.channelId, amountOf(i).toString());
        values.push(day.date, sqlTime(atMs), sqlTime(atMs + minuteMs), sqlTime(atMs + 400));
      }
      const places = Array.from({ length: values.length / 8 }, () => place).join(',');
      await execute(database, `${insert} ${places}`, values);
    }
  };
  await Promise.all(Array.from({ length: 4 }, lane));
}

const insert = `INSERT INTO attempt (task_id, attempt_no, order_no, channel_id, bank_code,
  amount_minor, status, channel_ref, asks, business_date, created_at, expires_at, ended_at) VALUES`;
const place = `(?,1,?,?,'ICBC',?,'succeeded','SW1',0,?,?,?,?)`;

/** The statement of the day; or, of the next day, of what crossed midnight. */
export async function writeFile(
  path: string,
  day: PlantedDay,
  format: StatementFormat,
  which: 'day' | 'next',
): Promise<void> {
  const { channelId } = day;
  const next = new Date(Date.parse(`${day.date}T00:00:00Z`) + 86_400_000).toISOString();
  const date = which === 'day' ? day.date : next.slice(0, 10);
  const rows = which === 'day' ? dayRows(day) : crossedRows(day);
  await pipeline(
    writeStatement(rows, format, { channelId, merchantId, date }),
    createWriteStream(path),
  );
}

async function* dayRows(day: PlantedDay): AsyncGenerator<readonly NewRow[]> {
  let rows: NewRow[] = [];
  for (let i = 0; i < day.rows; i += 1) {
    rows.push(...rowsOf(day, i));
    if (rows.length < rowsAtOnce) continue;
    yield rows;
    rows = [];
  }
  yield rows;
}

async function* crossedRows(day: PlantedDay): AsyncGenerator<readonly NewRow[]> {
  for (let i = 0; i < day.rows; i += 1) {
    if (plantedAt(day, i) === 'cross_day') yield [{ ...rowOf(day, i) }];
  }
}

function rowsOf(day: PlantedDay, i: number): readonly NewRow[] {
  const row = rowOf(day, i);
  switch (plantedAt(day, i)) {
    case 'only_ours':
    case 'cross_day':
      return [];
    case 'status_flip':
      return [{ ...row, status: 'failed' }];
    case 'duplicate_capture':
      return [row, { ...row, channelRef: `${row.channelRef}-2` }];
    case 'amount_mismatch':
      return [{ ...row, amountMinor: row.amountMinor + 1n }];
    case 'fee_mismatch':
      return [{ ...row, feeMinor: row.feeMinor + 1n }];
    default:
      return [row];
  }
}

const rowOf = (day: PlantedDay, i: number): NewRow => ({
  type: 'capture',
  orderNo: orderOf(day, i),
  channelRef: `SW${i}`,
  status: 'succeeded',
  amountMinor: amountOf(i),
  feeMinor: feeOf(amountOf(i)),
  completedAtMs: createdAtMs(day, i) + 200,
});
