import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { Clock } from '../clock.js';
import { RecoupError, type ErrorCode } from '../errors.js';
import { newTaskId, type TaskId } from '../ids.js';
import type { Batch, Batches, NewBatchItem } from './batch.js';
import { readDueFile, type BadRow, type DueRow } from './due-file.js';
import { sameRepayment, type Repayments } from './repayment.js';

/** Rows are written this many at a time; the largest statement stays well under a megabyte. */
const chunkRows = 500;

export interface LoadedBatch {
  readonly batch: Batch;
  /** The same file was loaded before: this is that batch, and nobody is charged again. */
  readonly known: boolean;
  readonly notes: readonly ErrorCode[];
}

/**
 * Makes batches. The rows are in the database before the first is charged, so that a batch can be
 * paused, shared by workers and gone on with after a crash.
 */
export class BatchDesk {
  constructor(
    private readonly batches: Batches,
    private readonly repayments: Repayments,
    private readonly clock: Clock,
  ) {}

  /**
   * Loads a file of due repayments and sets the batch running. The batch is named by what the file
   * says (and `again`, where the same file is really meant a second time): loading it again
   * resumes a load that was cut off, or finds the batch. A program that saves the file with other
   * line ends, a byte order mark or quotes has not made another one: parts of what is due would be
   * collected a second time.
   *
   * @throws RecoupError `csv_headers`, `csv_empty`, `csv_malformed`; nothing was written.
   */
  async load(path: string, name: string, again = ''): Promise<LoadedBatch> {
    const notes = new Set<ErrorCode>();
    const note = (code: ErrorCode): void => void notes.add(code);
    const said = createHash('sha256');
    const heard = (fields: readonly string[]): void =>
      void said.update(`${JSON.stringify(fields)}\n`);
    // A first look: a file that is wrong as a whole must not leave half a batch behind.
    for await (const _row of readDueFile(path, note, heard));
    const suffix = again === '' ? '' : `:${again}`;
    // Releases up to 0.1 named it by its bytes.
    const named = await this.batches.findByRequest(`file:${await digest(path)}${suffix}`);
    const requestKey = `rows:${said.digest('hex')}${suffix}`;
    const batch =
      named ?? (await this.batches.open(newTaskId(), name, requestKey, this.clock.nowMs()));
    if (batch.state !== 'loading') return { batch, known: true, notes: [...notes] };

    let good: DueRow[] = [];
    let bad: BadRow[] = [];
    const flush = async (): Promise<void> => {
      await this.#write(batch.id, good, bad);
      good = [];
      bad = [];
    };
    for await (const row of readDueFile(path, note)) {
      if ('ok' in row) good.push(row.ok);
      else bad.push(row.bad);
      if (good.length + bad.length >= chunkRows) await flush();
    }
    await flush();
    await this.batches.loaded(batch.id, this.clock.nowMs());
    return { batch: await this.find(batch.id), known: false, notes: [...notes] };
  }

  /** A batch of all registered repayments due on a business date. One a date, unless `again`. */
  async loadDue(dueDate: string, again = ''): Promise<LoadedBatch> {
    const requestKey = `due:${dueDate}${again === '' ? '' : `:${again}`}`;
    const name = `due ${dueDate}`;
    const batch = await this.batches.open(newTaskId(), name, requestKey, this.clock.nowMs());
    if (batch.state !== 'loading') return { batch, known: true, notes: [] };
    await this.batches.addDue(batch.id, dueDate);
    await this.batches.loaded(batch.id, this.clock.nowMs());
    return { batch: await this.find(batch.id), known: false, notes: [] };
  }

  async find(id: TaskId): Promise<Batch> {
    const batch = await this.batches.find(id);
    if (batch === null) throw new RecoupError('batch_unknown', { batch_id: id });
    return batch;
  }

  /** Rows under way end; no further row is started. */
  async pause(id: TaskId): Promise<Batch> {
    return await this.#move(id, 'running', 'paused');
  }

  async resume(id: TaskId): Promise<Batch> {
    return await this.#move(id, 'paused', 'running');
  }

  async #move(id: TaskId, from: 'running' | 'paused', to: 'running' | 'paused'): Promise<Batch> {
    await this.batches.move(id, from, to, this.clock.nowMs());
    const batch = await this.find(id);
    if (batch.state !== to)
      throw new RecoupError('batch_state', { state: batch.state, wanted: from });
    return batch;
  }

  async #write(batchId: TaskId, good: readonly DueRow[], bad: readonly BadRow[]): Promise<void> {
    await this.repayments.register(
      good.map((row) => row.repayment),
      this.clock.nowMs(),
    );
    const known = await this.repayments.findMany(good.map((row) => row.repayment.id));
    const items: NewBatchItem[] = good.map(({ lineNo, repayment, amountMinor }) => {
      const registered = known.get(repayment.id);
      const same = registered !== undefined && sameRepayment(registered, repayment);
      const error = { code: 'repayment_mismatch', detail: 'registered with other details' };
      return same
        ? { lineNo, repaymentId: repayment.id, amountMinor, error: null }
        : { lineNo, repaymentId: null, amountMinor: null, error };
    });
    const twice = await this.batches.addItems(batchId, items);
    const duplicates = twice.map((lineNo) => ({
      lineNo,
      code: 'row_duplicate' as const,
      detail: 'the repayment stands on an earlier line',
    }));
    await this.batches.addItems(
      batchId,
      [...bad, ...duplicates].map(({ lineNo, code, detail }) => ({
        lineNo,
        repaymentId: null,
        amountMinor: null,
        error: { code, detail },
      })),
    );
  }
}

async function digest(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}
