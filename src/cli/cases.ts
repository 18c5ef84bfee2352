import type { Command } from 'commander';
import { caseView } from '../http/views.js';
import { formatDecimalAmount } from '../money.js';
import { asWhole, command, run, type CommonOptions } from './command.js';
import { withServices } from './session.js';
import { table } from './table.js';

interface CasesOptions extends CommonOptions {
  readonly all?: boolean;
  readonly limit: number;
}

export function casesCommand(): Command {
  return command('cases', 'what only a person can decide, oldest first')
    .option('--all', 'closed ones, too')
    .option('--limit <n>', 'at most so many', asWhole(1, 1_000), 100)
    .action(
      run<CasesOptions>((options) =>
        withServices(options, async ({ deductions, clock }) => {
          const filter = options.all === true ? {} : { open: true };
          const found = await deductions.cases({ ...filter, limit: options.limit });
          const rows = found.map((one) => [
            one.deductionId,
            one.reason,
            formatDecimalAmount(one.amountMinor),
            ageOf((one.closedAt?.getTime() ?? clock.nowMs()) - one.openedAt.getTime()),
            one.closedAt === null ? (one.owner ?? 'nobody yet') : `closed: ${one.resolution}`,
            one.evidence,
          ]);
          const head = ['deduction', 'reason', 'at risk', 'age', 'owner', 'evidence'];
          return {
            json: { cases: found.map(caseView) },
            text: found.length === 0 ? 'none' : table(head, rows),
          };
        }),
      ),
    );
}

export function ageOf(ms: number): string {
  const minutes = Math.max(0, Math.floor(ms / 60_000));
  if (minutes < 60) return `${minutes} min`;
  return minutes < 2_880 ? `${Math.floor(minutes / 60)} h` : `${Math.floor(minutes / 1_440)} d`;
}
