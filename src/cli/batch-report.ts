import type { Services } from '../composition/root.js';
import type { TaskId } from '../ids.js';
import type { RejectedItem } from '../intake/batch.js';
import { formatDecimalAmount } from '../money.js';
import type { Result } from './command.js';
import { exitCodes } from './exit-codes.js';
import { table } from './table.js';

/** More than this nobody reads; the API pages through all of them. */
const rejectedMax = 1_000;
const rejectedShown = 30;

export async function batchReport(
  { batchDesk, batches }: Services,
  id: TaskId,
  more: Readonly<Record<string, unknown>> = {},
): Promise<Result> {
  const batch = await batchDesk.find(id);
  const progress = await batches.progress(id);
  const rejectedRows = await batches.rejected(id, 0, rejectedMax);
  const allRejected = rejectedRows.length === progress.rejected;
  const { succeeded, failed, needsReview, processing, pending, rejected } = progress;
  const rows = [
    ['collected', String(succeeded), formatDecimalAmount(progress.collectedMinor)],
    ['failed', String(failed), ''],
    ['for a person to decide', String(needsReview), ''],
    ['under way', String(processing), ''],
    ['not started', String(pending), ''],
    ['rejected', String(rejected), ''],
  ];
  const text = [
    `batch ${batch.id} · ${batch.name} · ${batch.state}`,
    table(['outcome', 'rows', 'amount'], rows),
    ...rejectedLines(rejectedRows, rejected),
  ].join('\n');
  const known = batch.state === 'done' && needsReview === 0;
  return {
    json: { batch, progress, rejectedRows, allRejectedRowsListed: allRejected, ...more },
    text,
    exitCode: known ? exitCodes.done : exitCodes.open,
  };
}

function rejectedLines(rows: readonly RejectedItem[], total: number): string[] {
  if (total === 0) return [];
  const shown = rows
    .slice(0, rejectedShown)
    .map(({ lineNo, code, detail }) => [String(lineNo), code, detail.slice(0, 120)]);
  const more = total - shown.length;
  return [
    '',
    table(['line', 'rejected because', ''], shown),
    ...(more > 0 ? [`… and ${more} more; --json lists up to ${rejectedMax}`] : []),
  ];
}
