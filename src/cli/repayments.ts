import type { Command } from 'commander';
import type { Services } from '../composition/root.js';
import { readDueFile, type BadRow, type DueRow } from '../intake/due-file.js';
import { sameRepayment } from '../intake/repayment.js';
import { command, group, run, type CommonOptions, type Result } from './command.js';
import { exitCodes } from './exit-codes.js';
import { withServices } from './session.js';
import { table } from './table.js';

/** Written this many at a time. */
const chunkRows = 500;
const rejectedMax = 1_000;

export function repaymentsCommand(): Command {
  return group(
    'repayments',
    'what borrowers owe',
    command('import', 'register the repayments of a CSV without collecting them')
      .argument('<file>')
      .action(
        run<CommonOptions>((options, [file = '']) =>
          withServices(options, (services) => importFile(services, file)),
        ),
      ),
  );
}

async function importFile(services: Services, file: string): Promise<Result> {
  const bad: BadRow[] = [];
  let registered = 0;
  let rejected = 0;
  const reject = (row: BadRow): void => {
    rejected += 1;
    if (bad.length < rejectedMax) bad.push(row);
  };
  let chunk: DueRow[] = [];
  for await (const row of readDueFile(file, () => undefined)) {
    if ('bad' in row) reject(row.bad);
    else chunk.push(row.ok);
    if (chunk.length < chunkRows) continue;
    registered += await register(services, chunk, reject);
    chunk = [];
  }
  registered += await register(services, chunk, reject);
  const rows = bad.map(({ lineNo, code, detail }) => [String(lineNo), code, detail]);
  const text = `registered ${registered}, rejected ${rejected}`;
  return {
    json: { registered, rejected, rejectedRows: bad },
    text: bad.length === 0 ? text : `${text}\n${table(['line', 'rejected because', ''], rows)}`,
    exitCode: exitCodes.done,
  };
}

/** One that is registered with other details stays as it is, and is reported. */
async function register(
  { repayments, clock }: Services,
  rows: readonly DueRow[],
  reject: (row: BadRow) => void,
): Promise<number> {
  await repayments.register(
    rows.map((row) => row.repayment),
    clock.nowMs(),
  );
  const known = await repayments.findMany(rows.map((row) => row.repayment.id));
  let registered = 0;
  for (const { lineNo, repayment } of rows) {
    const found = known.get(repayment.id);
    if (found !== undefined && sameRepayment(found, repayment)) registered += 1;
    else reject({ lineNo, code: 'repayment_mismatch', detail: 'registered with other details' });
  }
  return registered;
}
