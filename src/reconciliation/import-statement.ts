import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { Clock } from '../clock.js';
import { RecoupError } from '../errors.js';
import type { KeptStatement, Statements } from './ports.js';
import { parseStatement, type ExpectedStatement } from './read-statement.js';
import type { StatementRow, StatementTotals } from './statement.js';

export interface ImportRequest {
  readonly path: string;
  readonly expected: ExpectedStatement;
  /** The day has a statement, and this other file takes its place. */
  readonly supersede: boolean;
  readonly by: string;
}

/** Rows of one statement of SQL: a few hundred kilobytes. */
const rowsAtOnce = 2_000;
/** An import that has written nothing for so long was killed. */
const abandonedMs = 600_000;

/**
 * Loads a statement's file whole or not at all. The same file again is the statement that is there.
 * A kill on any line leaves at most rows that nobody reads, and the next import removes them.
 *
 * @throws RecoupError what `parseStatement` throws, and `statement_differs`; nothing has changed.
 */
export async function importStatement(
  statements: Statements,
  clock: Clock,
  { path, expected, supersede, by }: ImportRequest,
): Promise<KeptStatement> {
  const { channelId, date, format } = expected;
  const digest = await digestOf(path);
  const known = await statements.valid(channelId, date);
  if (known?.digest === digest) return known;
  if (known !== null && !supersede) throw differs(known);
  await statements.sweep(channelId, clock.nowMs() - abandonedMs);
  const id = await statements.begin({ channelId, date, digest, format, by }, clock.nowMs());
  try {
    const totals = await load(statements, clock, id, { path, expected, digest });
    if (await statements.makeValid(id, totals, supersede, clock.nowMs())) {
      return { id, channelId, date, digest, totals };
    }
  } catch (error) {
    // What cannot be removed now is removed by the next import.
    await statements.discard(id).catch(() => undefined);
    throw error;
  }
  await statements.discard(id).catch(() => undefined);
  const other = await statements.valid(channelId, date);
  if (other?.digest === digest) return other;
  throw other === null ? new RecoupError('reconciliation_busy') : differs(other);
}

const differs = (known: KeptStatement): RecoupError =>
  new RecoupError('statement_differs', { known_sha256: known.digest });

async function load(
  statements: Statements,
  clock: Clock,
  id: string,
  file: { path: string; expected: ExpectedStatement; digest: string },
): Promise<StatementTotals> {
  let rows: StatementRow[] = [];
  const flush = async (): Promise<void> => {
    for (let at = 0; at < rows.length; at += rowsAtOnce) {
      await statements.addRows(id, rows.slice(at, at + rowsAtOnce), clock.nowMs());
    }
    rows = [];
  };
  for await (const part of parseStatement(bytesOf(file.path), file.expected)) {
    if (part.kind === 'rows') {
      rows.push(...part.rows);
      if (rows.length >= rowsAtOnce) await flush();
      continue;
    }
    await flush();
    // The file was read twice: it must not have become another in between.
    if (part.digest !== file.digest) throw new RecoupError('statement_digest');
    return part.totals;
  }
  throw new Error('a statement was neither verified nor refused');
}

const bytesOf = (path: string): AsyncIterable<Buffer> =>
  createReadStream(path, { highWaterMark: 256 * 1024 });

async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of bytesOf(path)) hash.update(chunk);
  return hash.digest('hex');
}
