/**
 * Reads a statement as a stream of rows, believing nothing: the head must be ours, every line as the
 * form demands, the rows must add up to the trailer's totals, and every byte is under its digest.
 * Only the last part says that the file is sound; until it has come, no row of it counts.
 */
import { createHash, type Hash } from 'node:crypto';
import { pipeline, Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { RecoupError, type ErrorCode } from '../errors.js';
import { csvDialect } from './statement-csv.js';
import {
  LineFault,
  type RawRow,
  type StatementDialect,
  type Trailer,
} from './statement-dialect.js';
import { jsonlDialect } from './statement-jsonl.js';
import { linesOf, type Line } from './statement-lines.js';
import { tabGbkDialect } from './statement-tab-gbk.js';
import {
  noTotals,
  rowTypes,
  totalsWith,
  type StatementFormat,
  type StatementHead,
  type StatementRow,
  type StatementTotals,
} from './statement.js';

export const dialects: Readonly<Record<StatementFormat, StatementDialect>> = {
  csv: csvDialect,
  tab_gbk: tabGbkDialect,
  jsonl_gzip: jsonlDialect,
};

export interface ExpectedStatement extends StatementHead {
  readonly format: StatementFormat;
  /** A row completed outside of this is no row of this day, nor of the days beside it. */
  readonly fromMs: number;
  readonly untilMs: number;
}

export type StatementPart =
  | { readonly kind: 'rows'; readonly rows: readonly StatementRow[] }
  /** The last: head, rows, totals and digest are as they must be. */
  | {
      readonly kind: 'verified';
      readonly totals: StatementTotals;
      /** SHA-256 of the file as it came, in hex. */
      readonly digest: string;
    };

const rowsMax = 20_000_000;

/**
 * @throws RecoupError `statement_head`, `statement_row`, `statement_encoding`, `statement_line_end`,
 *   `statement_truncated`, `statement_trailer`, `statement_totals`, `statement_digest` or
 *   `statement_too_large`, with the line.
 */
export async function* parseStatement(
  bytes: AsyncIterable<Buffer>,
  expected: ExpectedStatement,
): AsyncGenerator<StatementPart, void> {
  const dialect = dialects[expected.format];
  const file = createHash('sha256');
  const delivered = digested(bytes, file);
  const reading = new Reading(dialect, expected);
  for await (const lines of linesOf(dialect.compressed ? gunzipped(delivered) : delivered)) {
    const rows = reading.take(lines);
    if (rows.length > 0) yield { kind: 'rows', rows };
  }
  yield { kind: 'verified', totals: reading.verified(), digest: file.digest('hex') };
}

async function* digested(bytes: AsyncIterable<Buffer>, hash: Hash): AsyncGenerator<Buffer> {
  for await (const chunk of bytes) {
    hash.update(chunk);
    yield chunk;
  }
}

async function* gunzipped(bytes: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const gunzip = createGunzip();
  // Its errors come out of the loop below.
  pipeline(Readable.from(bytes, { objectMode: false }), gunzip, () => undefined);
  try {
    yield* gunzip as AsyncIterable<Buffer>;
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === 'Z_BUF_ERROR') throw new RecoupError('statement_truncated', {}, { cause: error });
    if (code?.startsWith('Z_') !== true) throw error;
    throw new RecoupError('statement_encoding', { rule: 'gzip' }, { cause: error });
  }
}

const byteOrderMark = Buffer.from([0xef, 0xbb, 0xbf]);

/** What has been read of one file so far. */
class Reading {
  readonly #head: readonly string[];
  readonly #hash = createHash('sha256');
  #totals = noTotals;
  #lines = 0;
  #trailer: Trailer | null = null;

  constructor(
    private readonly dialect: StatementDialect,
    private readonly expected: ExpectedStatement,
  ) {
    this.#head = dialect.head(expected);
  }

  take(lines: readonly Line[]): readonly StatementRow[] {
    const rows: StatementRow[] = [];
    for (const line of lines) {
      try {
        const row = this.#line(line);
        if (row !== null) rows.push(row);
      } catch (error) {
        if (!(error instanceof LineFault)) throw error;
        const details = { line: line.no, rule: error.rule };
        throw new RecoupError(codes[error.part], details, { cause: error });
      }
    }
    return rows;
  }

  /** @throws RecoupError unless the whole file was sound. */
  verified(): StatementTotals {
    const totals = this.#totals;
    if (this.#trailer === null) {
      throw new RecoupError('statement_truncated', { line: this.#lines + 1 });
    }
    const { totals: stated, sha256 } = this.#trailer;
    if (this.#hash.digest('hex') !== sha256) {
      throw new RecoupError('statement_digest', { line: this.#lines });
    }
    for (const field of totalFields) {
      if (totals[field] === stated[field]) continue;
      const details = { field, stated: String(stated[field]), counted: String(totals[field]) };
      throw new RecoupError('statement_totals', { line: this.#lines, ...details });
    }
    return totals;
  }

  #line({ no, bytes }: Line): StatementRow | null {
    this.#lines = no;
    const { dialect } = this;
    if (no === 1 && bytes.subarray(0, 3).equals(byteOrderMark)) {
      throw new LineFault('encoding', 'no byte order mark');
    }
    if (this.#trailer !== null) throw new LineFault('trailer', 'nothing follows the trailer');
    const text = this.#text(no, bytes);
    if (no <= this.#head.length) {
      const expected = this.#head[no - 1];
      if (text !== expected) throw new RecoupError('statement_head', { line: no, expected });
    } else if (text.startsWith(dialect.trailerBegins)) {
      this.#trailer = dialect.trailer(text);
      return null;
    }
    this.#hash.update(bytes);
    if (no <= this.#head.length) return null;
    const row = rowOf(dialect, dialect.row(text), no, this.expected);
    this.#totals = totalsWith(this.#totals, row);
    if (this.#totals.rows > rowsMax) throw new RecoupError('statement_too_large', { line: no });
    return row;
  }

  #text(no: number, bytes: Buffer): string {
    const carriageReturn = 0x0d;
    const crlf = bytes.at(-2) === carriageReturn;
    if (crlf !== (this.dialect.lineEnd === '\r\n')) {
      const expected = crlf ? 'LF' : 'CR LF';
      throw new RecoupError('statement_line_end', { line: no, expected });
    }
    return this.dialect.decode(bytes.subarray(0, -this.dialect.lineEnd.length));
  }
}

const totalFields = ['rows', 'capturedMinor', 'refundedMinor', 'paidOutMinor', 'feeMinor'] as const;

const codes: Readonly<Record<LineFault['part'], ErrorCode>> = {
  head: 'statement_head',
  row: 'statement_row',
  trailer: 'statement_trailer',
  encoding: 'statement_encoding',
};

const orderNoForm = /^[A-Za-z0-9]{1,32}$/;
const channelRefForm = /^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$/;

/** What every form demands of a row. No value is repeated in an error: it may be anything. */
function rowOf(
  { words, parseAmount, parseTime }: StatementDialect,
  raw: RawRow,
  lineNo: number,
  { fromMs, untilMs }: ExpectedStatement,
): StatementRow {
  const type = rowTypes.find((one) => words[one] === raw.type);
  if (type === undefined) {
    throw new LineFault('row', `type: ${rowTypes.map((one) => words[one]).join(' or ')}`);
  }
  const { succeeded, failed } = words;
  const status = raw.status === succeeded ? 'succeeded' : raw.status === failed ? 'failed' : null;
  if (status === null) throw new LineFault('row', `status: ${succeeded} or ${failed}`);
  const { orderNo, channelRef } = raw;
  if (!orderNoForm.test(orderNo)) {
    throw new LineFault('row', 'order number: 1 to 32 letters and digits');
  }
  if (!channelRefForm.test(channelRef)) {
    throw new LineFault('row', "the channel's number: 1 to 64 letters, digits, _ . : -");
  }
  const amountMinor = parseAmount(raw.amount);
  if (amountMinor === null || amountMinor === 0n) {
    throw new LineFault('row', 'amount: above zero, as the form writes amounts');
  }
  const feeMinor = parseAmount(raw.fee);
  if (feeMinor === null) throw new LineFault('row', 'fee: as the form writes amounts');
  const completedAtMs = parseTime(raw.completedAt);
  if (completedAtMs === null || completedAtMs < fromMs || completedAtMs >= untilMs) {
    throw new LineFault(
      'row',
      "time of completion: an instant of the statement's day or beside it",
    );
  }
  return { lineNo, type, orderNo, channelRef, status, amountMinor, feeMinor, completedAtMs };
}
