import {
  LineFault,
  parseIsoTime,
  parseMinor,
  trailerOf,
  utf8,
  writeIsoTime,
  type RawRow,
  type StatementDialect,
} from './statement-dialect.js';
import { statementCurrency } from './statement.js';

const rowFields = [
  'type',
  'order_no',
  'channel_ref',
  'status',
  'amount',
  'fee',
  'completed_at',
] as const;
const totalFields = ['rows', 'captured', 'refunded', 'fees', 'sha256'] as const;

/**
 * JSON lines in UTF-8, compressed with gzip. Amounts are whole numbers of minor units.
 *
 *   {"statement":"v1","channel":"oldbank","merchant_id":"M-RECOUP-01","date":"2026-11-22","currency":"CNY"}
 *   {"type":"capture","order_no":"R0…01","channel_ref":"OL12AB","status":"SUCCESS","amount":128050,…}
 *   {"total":{"rows":1,"captured":128050,"refunded":0,"fees":257,"sha256":"…"}}
 */
export const jsonlDialect: StatementDialect = {
  compressed: true,
  lineEnd: '\n',
  ...utf8,
  head: ({ channelId, merchantId, date }) => [
    JSON.stringify({
      statement: 'v1',
      channel: channelId,
      merchant_id: merchantId,
      date,
      currency: statementCurrency,
    }),
  ],
  trailerBegins: '{"total":',
  row(line) {
    const fields = exactly(rowFields, parsed(line, 'row'), 'row');
    return {
      type: fields.type,
      orderNo: fields.order_no,
      channelRef: fields.channel_ref,
      status: fields.status,
      amount: fields.amount,
      fee: fields.fee,
      completedAt: fields.completed_at,
    };
  },
  writeRow: (row: RawRow) =>
    JSON.stringify({
      type: row.type,
      order_no: row.orderNo,
      channel_ref: row.channelRef,
      status: row.status,
      amount: Number(row.amount),
      fee: Number(row.fee),
      completed_at: row.completedAt,
    }),
  trailer(line) {
    const { total, ...others } = parsed(line, 'trailer');
    if (Object.keys(others).length > 0) throw new LineFault('trailer', 'a single field, total');
    const sums = asObject(total, 'trailer');
    // Where anything was paid out, its sum is among them.
    if (!Object.hasOwn(sums, 'paid_out')) {
      return trailerOf(exactly(totalFields, sums, 'trailer'), parseMinor);
    }
    const fields = exactly([...totalFields, 'paid_out'], sums, 'trailer');
    return trailerOf({ ...fields, paidOut: fields.paid_out }, parseMinor);
  },
  writeTrailer: ({ totals, sha256 }) =>
    JSON.stringify({
      total: {
        rows: totals.rows,
        captured: Number(totals.capturedMinor),
        refunded: Number(totals.refundedMinor),
        fees: Number(totals.feeMinor),
        ...(totals.paidOutMinor > 0n && { paid_out: Number(totals.paidOutMinor) }),
        sha256,
      },
    }),
  words: {
    capture: 'capture',
    refund: 'refund',
    payout: 'payout',
    succeeded: 'SUCCESS',
    failed: 'FAILED',
  },
  parseAmount: parseMinor,
  writeAmount: (minor) => minor.toString(),
  parseTime: parseIsoTime,
  writeTime: writeIsoTime,
};

type Part = 'row' | 'trailer';

function parsed(line: string, part: Part): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new LineFault(part, 'a JSON object');
  }
  return asObject(value, part);
}

function asObject(value: unknown, part: Part): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new LineFault(part, 'a JSON object');
  }
  return value as Record<string, unknown>;
}

const numeric = new Set<string>([
  'amount',
  'fee',
  'rows',
  'captured',
  'refunded',
  'fees',
  'paid_out',
]);

/** Just these fields, as text: numbers where numbers belong, whole and exact. */
function exactly<Name extends string>(
  names: readonly Name[],
  object: Record<string, unknown>,
  part: Part,
): Record<Name, string> {
  const rule = `the fields ${names.join(', ')} and no other`;
  if (Object.keys(object).length !== names.length) throw new LineFault(part, rule);
  const texts: Partial<Record<Name, string>> = {};
  for (const name of names) {
    const value = Object.hasOwn(object, name) ? object[name] : undefined;
    const fits = numeric.has(name) ? Number.isSafeInteger(value) : typeof value === 'string';
    if (!fits) {
      const rule = numeric.has(name) ? 'a whole number of minor units' : 'a text';
      throw new LineFault(part, `${name}: ${rule}`);
    }
    texts[name] = String(value);
  }
  return texts as Record<Name, string>;
}
