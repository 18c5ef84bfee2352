import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { createGzip } from 'node:zlib';
import { dialects } from './read-statement.js';
import type { StatementDialect } from './statement-dialect.js';
import {
  noTotals,
  totalsWith,
  type StatementFormat,
  type StatementHead,
  type StatementRow,
} from './statement.js';

type NewRow = Omit<StatementRow, 'lineNo'>;

/**
 * Rows in the form of a channel's own statement, trailer included: our book of a day, to be held
 * against theirs by anyone. Memory does not grow with the rows.
 */
export function writeStatement(
  rows: AsyncIterable<readonly NewRow[]>,
  format: StatementFormat,
  head: StatementHead,
): Readable {
  const dialect = dialects[format];
  const plain = Readable.from(written(rows, dialect, head), { objectMode: false });
  if (!dialect.compressed) return plain;
  const gzip = createGzip();
  plain.on('error', (error) => gzip.destroy(error));
  return plain.pipe(gzip);
}

async function* written(
  rows: AsyncIterable<readonly NewRow[]>,
  dialect: StatementDialect,
  head: StatementHead,
): AsyncGenerator<Buffer> {
  const hash = createHash('sha256');
  const bytesOf = (lines: readonly string[]): Buffer =>
    dialect.encode(lines.map((line) => line + dialect.lineEnd).join(''));
  const hashed = (lines: readonly string[]): Buffer => {
    const bytes = bytesOf(lines);
    hash.update(bytes);
    return bytes;
  };
  const headLines = dialect.head(head);
  yield hashed(headLines);
  let totals = noTotals;
  for await (const some of rows) {
    for (const row of some) totals = totalsWith(totals, { ...row, lineNo: 0 });
    yield hashed(some.map((row) => lineOf(dialect, row)));
  }
  yield bytesOf([dialect.writeTrailer({ totals, sha256: hash.digest('hex') })]);
}

const lineOf = ({ words, writeRow, writeAmount, writeTime }: StatementDialect, row: NewRow) =>
  writeRow({
    type: words[row.type],
    orderNo: row.orderNo,
    channelRef: row.channelRef,
    status: words[row.status],
    amount: writeAmount(row.amountMinor),
    fee: writeAmount(row.feeMinor),
    completedAt: writeTime(row.completedAtMs),
  });
