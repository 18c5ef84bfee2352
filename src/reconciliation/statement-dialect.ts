/** How one of the three forms writes a statement down. Everything else is the same for all. */
import type { StatementHead, StatementTotals } from './statement.js';

/** A row's fields as they stand in the file. */
export interface RawRow {
  readonly type: string;
  readonly orderNo: string;
  readonly channelRef: string;
  readonly status: string;
  readonly amount: string;
  readonly fee: string;
  readonly completedAt: string;
}

/** The columns of both forms that have columns. @throws LineFault of `row` */
export function rawRow(columns: readonly string[]): RawRow {
  if (columns.length !== 7) throw new LineFault('row', 'seven columns');
  const [type = '', orderNo = '', channelRef = '', status = '', ...others] = columns;
  const [amount = '', fee = '', completedAt = ''] = others;
  return { type, orderNo, channelRef, status, amount, fee, completedAt };
}

export const columnsOf = (row: RawRow): readonly string[] => [
  row.type,
  row.orderNo,
  row.channelRef,
  row.status,
  row.amount,
  row.fee,
  row.completedAt,
];

/** The trailer: totals, and the digest of every byte before it. */
export interface Trailer {
  readonly totals: StatementTotals;
  readonly sha256: string;
}

/** A line that is not as the form demands; `rule` says what is demanded and repeats no value. */
export class LineFault extends Error {
  override readonly name = 'LineFault';

  constructor(
    readonly part: 'head' | 'row' | 'trailer' | 'encoding',
    readonly rule: string,
  ) {
    super(rule);
  }
}

export interface StatementDialect {
  readonly compressed: boolean;
  readonly lineEnd: '\n' | '\r\n';
  readonly encode: (text: string) => Buffer;
  /** @throws LineFault of `encoding` */
  readonly decode: (line: Buffer) => string;
  /** Lines before the first row, as they must stand there. */
  readonly head: (head: StatementHead) => readonly string[];
  readonly trailerBegins: string;
  /** @throws LineFault of `row` */
  readonly row: (line: string) => RawRow;
  readonly writeRow: (row: RawRow) => string;
  /** @throws LineFault of `trailer` */
  readonly trailer: (line: string) => Trailer;
  readonly writeTrailer: (trailer: Trailer) => string;
  /** The form's words for ours. */
  readonly words: {
    readonly capture: string;
    readonly refund: string;
    readonly payout: string;
    readonly succeeded: string;
    readonly failed: string;
  };
  /** Amounts in the form's way to minor units, and back. Null: not as the form writes them. */
  readonly parseAmount: (text: string) => bigint | null;
  readonly writeAmount: (minor: bigint) => string;
  readonly parseTime: (text: string) => number | null;
  readonly writeTime: (ms: number) => string;
}

const utf8Decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export const utf8: Pick<StatementDialect, 'encode' | 'decode'> = {
  encode: (text) => Buffer.from(text, 'utf8'),
  decode(line) {
    try {
      return utf8Decoder.decode(line);
    } catch {
      throw new LineFault('encoding', 'UTF-8');
    }
  },
};

const shanghaiOffsetMs = 8 * 3_600_000;

/** 2026-11-22T15:03:04.123+08:00, or with Z. */
export function parseIsoTime(text: string): number | null {
  if (!/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{3})?(Z|[+-]\d{2}:\d{2})$/.test(text)) return null;
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? null : ms;
}

export const writeIsoTime = (ms: number): string =>
  new Date(ms + shanghaiOffsetMs).toISOString().replace('Z', '+08:00');

/** 20261122150304, at UTC+8. */
export function parseCompactTime(text: string): number | null {
  const [, year, month, day, hour, minute, second] =
    /^(\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})$/.exec(text) ?? [];
  if (second === undefined) return null;
  const [y, m, d] = [Number(year), Number(month), Number(day)];
  const ms = Date.UTC(y, m - 1, d, Number(hour), Number(minute), Number(second));
  const wall = new Date(ms).toISOString().replaceAll(/\D/g, '').slice(0, 14);
  // 20260230… would roll over into March.
  return wall === text ? ms - shanghaiOffsetMs : null;
}

export const writeCompactTime = (ms: number): string =>
  new Date(ms + shanghaiOffsetMs).toISOString().replaceAll(/\D/g, '').slice(0, 14);

/** 1280.50: two decimals, no sign, at most 10^13 yuan. */
export function parseYuan(text: string): bigint | null {
  return /^(0|[1-9]\d{0,12})\.\d{2}$/.test(text) ? BigInt(text.replace('.', '')) : null;
}

/** A whole number of minor units. */
export function parseMinor(text: string): bigint | null {
  return /^(0|[1-9]\d{0,14})$/.test(text) ? BigInt(text) : null;
}

function parseCount(text: string): number | null {
  return /^(0|[1-9]\d{0,8})$/.test(text) ? Number(text) : null;
}

export function trailerOf(
  fields: {
    readonly rows: string;
    readonly captured: string;
    readonly refunded: string;
    readonly fees: string;
    /** Where anything was paid out. */
    readonly paidOut?: string | undefined;
    readonly sha256: string;
  },
  parseAmount: (text: string) => bigint | null,
): Trailer {
  const rows = parseCount(fields.rows);
  const capturedMinor = parseAmount(fields.captured);
  const refundedMinor = parseAmount(fields.refunded);
  const feeMinor = parseAmount(fields.fees);
  const paidOutMinor = fields.paidOut === undefined ? 0n : parseAmount(fields.paidOut);
  const sums = [capturedMinor, refundedMinor, feeMinor, paidOutMinor];
  if (rows === null || sums.includes(null)) {
    throw new LineFault('trailer', 'a count and three sums, written as the rows write amounts');
  }
  if (!/^[0-9a-f]{64}$/.test(fields.sha256)) {
    throw new LineFault('trailer', 'a SHA-256 in 64 lower-case hex digits');
  }
  const [captured = 0n, refunded = 0n, fee = 0n, paidOut = 0n] = sums as bigint[];
  return {
    totals: {
      rows,
      capturedMinor: captured,
      refundedMinor: refunded,
      paidOutMinor: paidOut,
      feeMinor: fee,
    },
    sha256: fields.sha256,
  };
}
