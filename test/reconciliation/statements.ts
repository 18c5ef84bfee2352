/** Statements to test with: made rows, and files of them as bytes. */
import * as fc from 'fast-check';
import {
  parseStatement,
  type ExpectedStatement,
  type StatementPart,
} from '../../src/reconciliation/read-statement.js';
import type {
  StatementFormat,
  StatementRow,
  StatementTotals,
} from '../../src/reconciliation/statement.js';
import { writeStatement } from '../../src/reconciliation/write-statement.js';
import { channelId } from '../../src/ids.js';

export type NewRow = Omit<StatementRow, 'lineNo'>;

export const formats = ['csv', 'tab_gbk', 'jsonl_gzip'] as const satisfies StatementFormat[];

export const day = '2026-11-22';
/** Noon of that day in Shanghai. */
export const noonMs = Date.parse('2026-11-22T12:00:00+08:00');
const dayMs = 86_400_000;

export const expectedOf = (
  format: StatementFormat,
  channel = 'swiftpay',
  date = day,
): ExpectedStatement => ({
  format,
  channelId: channelId(channel),
  merchantId: 'M-RECOUP-01',
  date,
  fromMs: Date.parse(`${date}T00:00:00+08:00`) - dayMs,
  untilMs: Date.parse(`${date}T00:00:00+08:00`) + 2 * dayMs,
});

let made = 0;

export function someRow(fields: Partial<NewRow> = {}): NewRow {
  made += 1;
  return {
    type: 'capture',
    orderNo: `R${String(made).padStart(27, '0')}`,
    channelRef: `SW${made}`,
    status: 'succeeded',
    amountMinor: 128_050n,
    feeMinor: 257n,
    completedAtMs: noonMs,
    ...fields,
  };
}

export const anyRow = (): fc.Arbitrary<NewRow> =>
  fc.record({
    type: fc.constantFrom('capture', 'refund', 'payout'),
    orderNo: fc.stringMatching(/^[A-Za-z0-9]{1,32}$/),
    channelRef: fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_.:-]{0,20}$/),
    status: fc.constantFrom('succeeded', 'failed'),
    amountMinor: fc.bigInt(1n, 999_999_999_999n),
    feeMinor: fc.bigInt(0n, 99_999n),
    // Whole seconds: one of the forms knows no smaller time.
    completedAtMs: fc.integer({ min: 0, max: 86_399 }).map((s) => noonMs - dayMs / 2 + s * 1_000),
  });

export async function bytesOf(
  rows: readonly NewRow[],
  expected: ExpectedStatement,
): Promise<Buffer> {
  async function* once() {
    if (rows.length > 0) yield rows;
  }
  const chunks: Buffer[] = [];
  for await (const chunk of writeStatement(once(), expected.format, expected)) {
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}

/** In pieces of `size`, as a network delivers them. */
export async function* pieces(bytes: Buffer, size = 64): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

export interface ReadFile {
  readonly rows: readonly NewRow[];
  readonly totals: StatementTotals;
  readonly digest: string;
}

/** Everything, once it is verified. */
export async function readAll(parts: AsyncIterable<StatementPart>): Promise<ReadFile> {
  const rows: NewRow[] = [];
  for await (const part of parts) {
    if (part.kind === 'verified') return { rows, totals: part.totals, digest: part.digest };
    rows.push(...part.rows.map(({ lineNo: _lineNo, ...row }) => row));
  }
  throw new Error('the file was neither verified nor refused');
}

export const parsed = (
  bytes: Buffer,
  expected: ExpectedStatement,
  pieceSize?: number,
): Promise<ReadFile> => readAll(parseStatement(pieces(bytes, pieceSize), expected));
