/**
 * The lender's file of due repayments: CSV, UTF-8, one repayment a line. A bad row is reported by
 * its line and code and changes nothing; the rest of the file goes on. Only a file whose header or
 * whole form is wrong is refused as a whole.
 */
import { createReadStream } from 'node:fs';
import { Transform, type TransformCallback } from 'node:stream';
import { parse } from 'csv-parse';
import { RecoupError, type ErrorCode } from '../errors.js';
import { isRepaymentId } from '../ids.js';
import { currencies, parseDecimalAmount, type AmountMinor, type Currency } from '../money.js';
import { isBareNumber } from '../personal.js';
import type { NewRepayment } from './repayment.js';

export const dueColumns = [
  'repayment_id',
  'borrower_id',
  'bank_code',
  'account_token',
  'account_last4',
  'currency',
  'amount_due',
  'due_date',
] as const;

/** May follow the others: collect this much of what is due. */
const amountColumn = 'amount';

export interface DueRow {
  readonly lineNo: number;
  readonly repayment: NewRepayment;
  /** Null: all that is outstanding. */
  readonly amountMinor: AmountMinor | null;
}

export interface BadRow {
  readonly lineNo: number;
  readonly code: ErrorCode;
  readonly detail: string;
}

export type ReadRow = { readonly ok: DueRow } | { readonly bad: BadRow };

const recordBytesMax = 16_384;
const utf8 = new TextDecoder('utf-8', { fatal: true });

interface CsvRecord {
  readonly record: readonly Buffer[];
  readonly info: { readonly lines: number };
}

/**
 * Streams the rows of a file; memory does not grow with it. Quotes have no meaning across columns or
 * lines, since no column of ours holds a comma or a line break: so one bad line can never swallow
 * the good ones after it. A column that some program wrote in quotes is read without them.
 *
 * @param notes is called for what is worth a word but no error, such as a byte order mark.
 * @param heard is called with the fields of each line, the header among them, as they are meant: without a
 *   byte order mark, quotes and spaces around them, whatever ends the lines.
 * @throws RecoupError `csv_headers` or `csv_empty` before the first row is given out;
 *   `csv_malformed` where the file cannot be told apart into lines (a line without an end).
 */
export async function* readDueFile(
  path: string,
  notes: (code: ErrorCode) => void,
  heard: (fields: readonly string[]) => void = () => undefined,
): AsyncGenerator<ReadRow> {
  const parser = parse({
    encoding: null,
    // All of them in one file, too: left to guess from the first line, it takes others for no end at all.
    record_delimiter: ['\r\n', '\n', '\r'],
    info: true,
    bom: false,
    quote: false,
    relax_column_count: true,
    skip_empty_lines: true,
    max_record_size: recordBytesMax,
  });
  const file = createReadStream(path);
  const lines = new BoundedLines();
  file.on('error', (error) => parser.destroy(error));
  lines.on('error', (error) => parser.destroy(error));
  const records = file.pipe(lines).pipe(parser) as AsyncIterable<CsvRecord>;
  let columns: readonly string[] | null = null;
  let rows = 0;
  try {
    for await (const { record, info } of records) {
      const fields = record.map(withoutQuotes);
      if (columns === null) {
        columns = readHeader(fields, notes);
        heard(columns);
        continue;
      }
      rows += 1;
      heard(fields.map((field) => field.toString('latin1').trim()));
      yield readRow(fields, columns, info.lines);
    }
  } catch (error) {
    const { code, lines } = error as { code?: string; lines?: number };
    if (code?.startsWith('CSV_') !== true) throw error;
    const inHeader = columns === null && (lines ?? 1) <= 1;
    if (inHeader) throw new RecoupError('csv_headers', expected());
    throw new RecoupError('csv_malformed', { line: lines ?? rows + 2, reason: code });
  } finally {
    file.destroy();
  }
  if (rows === 0) throw new RecoupError(columns === null ? 'csv_headers' : 'csv_empty', expected());
}

/** The parser's bound counts what stands in fields: a line of commas alone would fill the memory. */
class BoundedLines extends Transform {
  #line = 1;
  #bytes = 0;

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    for (const byte of chunk) {
      if (byte === newline) this.#line += 1;
      this.#bytes = byte === newline || byte === carriageReturn ? 0 : this.#bytes + 1;
      if (this.#bytes > recordBytesMax) {
        const about = { code: 'CSV_MAX_RECORD_SIZE', lines: this.#line };
        return done(Object.assign(new Error('a line does not end'), about));
      }
    }
    done(null, chunk);
  }
}

const newline = 0x0a;
const carriageReturn = 0x0d;

/** Works on bytes: what is quoted may be in any encoding. */
function withoutQuotes(field: Buffer): Buffer {
  const quote = 0x22;
  const quoted = field.length >= 2 && field[0] === quote && field.at(-1) === quote;
  return quoted ? field.subarray(1, -1) : field;
}

const expected = () => ({ expected: dueColumns.join(','), optional: amountColumn });

function readHeader(
  record: readonly Buffer[],
  notes: (code: ErrorCode) => void,
): readonly string[] {
  const [first = Buffer.alloc(0)] = record;
  const marked = first.subarray(0, 3).equals(Buffer.from([0xef, 0xbb, 0xbf]));
  if (marked) notes('csv_bom');
  const bare = marked ? withoutQuotes(first.subarray(3)) : first;
  const names = [bare, ...record.slice(1)].map((field) => field.toString('latin1').trim());
  const wanted: readonly string[] =
    names.length > dueColumns.length ? [...dueColumns, amountColumn] : dueColumns;
  const fits = names.length === wanted.length && wanted.every((name) => names.includes(name));
  if (!fits)
    throw new RecoupError('csv_headers', {
      ...expected(),
      found: names.map(shown).join(',').slice(0, 200),
    });
  return names;
}

/** Only what looks like a column's name: without a header the first line holds accounts. */
const shown = (name: string): string => (/^[A-Za-z_ ]{1,32}$/.test(name) ? name : '?');

function readRow(record: readonly Buffer[], columns: readonly string[], lineNo: number): ReadRow {
  const bad = (code: ErrorCode, detail: string): ReadRow => ({ bad: { lineNo, code, detail } });
  if (record.length !== columns.length) {
    return bad('csv_malformed', `${record.length} columns instead of ${columns.length}`);
  }
  const fields = new Map<string, string>();
  for (const [index, name] of columns.entries()) {
    try {
      fields.set(name, utf8.decode(record[index]).trim());
    } catch {
      return bad('csv_not_utf8', `column ${name}`);
    }
  }
  const field = (name: string): string => fields.get(name) ?? '';
  const wrong = wrongColumn(field);
  if (wrong !== null) return bad('row_invalid', wrong);
  const id = field('repayment_id');
  const dueMinor = parseDecimalAmount(field('amount_due'));
  const partText = field(amountColumn);
  const part = partText === '' ? null : parseDecimalAmount(partText);
  if (!isRepaymentId(id) || dueMinor === null) return bad('row_invalid', 'repayment_id');
  if (dueMinor === 0n || part === 0n) return bad('amount_not_positive', 'above zero is expected');
  if (part !== null && part > dueMinor) return bad('amount_exceeds_due', 'amount > amount_due');
  const repayment: NewRepayment = {
    id,
    borrowerId: field('borrower_id'),
    currency: field('currency') as Currency,
    dueMinor,
    dueDate: field('due_date'),
    account: {
      token: field('account_token'),
      bankCode: field('bank_code'),
      last4: field('account_last4'),
    },
  };
  return { ok: { lineNo, repayment, amountMinor: part } };
}

/** The rule a column breaks; null when all are well. Never repeats a value: it may be a card number. */
function wrongColumn(field: (name: string) => string): string | null {
  const rules: readonly (readonly [name: string, ok: (text: string) => boolean, rule: string])[] = [
    ['repayment_id', isNewOwnId, ownIdRule],
    ['borrower_id', isNewOwnId, ownIdRule],
    ['bank_code', (text) => /^[A-Z]{2,12}$/.test(text), '2 to 12 capital letters'],
    ['account_token', isAccountToken, 'a token of 8 to 128 characters, not an account number'],
    ['account_last4', (text) => /^\d{4}$/.test(text), 'four digits'],
    ['currency', (text) => currencies.includes(text as Currency), currencies.join(', ')],
    ['amount_due', (text) => parseDecimalAmount(text) !== null, 'a decimal such as 1280.50'],
    ['due_date', isDate, 'a date such as 2026-11-22'],
    [
      amountColumn,
      (text) => text === '' || parseDecimalAmount(text) !== null,
      'a decimal or empty',
    ],
  ];
  const broken = rules.find(([name, ok]) => !ok(field(name)));
  return broken === undefined ? null : `${broken[0]}: ${broken[2]}`;
}

/** An id that a caller gives to something new: no number that may be somebody's (rule 13). */
export const isNewOwnId = (text: string): boolean => isRepaymentId(text) && !isBareNumber(text);
export const ownIdRule =
  '1 to 64 letters, digits, . _ -, and no bare number of eleven digits or more';

/** A token names an account elsewhere; a bare number of a card's length is refused (rule 13). */
export const isAccountToken = (text: string): boolean =>
  /^[A-Za-z0-9][A-Za-z0-9_.:-]{7,127}$/.test(text) && !/^[\d .:-]{8,}$/.test(text);

export function isDate(text: string): boolean {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return false;
  const date = new Date(`${text}T00:00:00Z`);
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(text);
}
