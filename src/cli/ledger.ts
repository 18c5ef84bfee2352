import type { Command } from 'commander';
import { balanceView, deadLetterView } from '../http/ledger-routes.js';
import type { TrialBalance } from '../ledger/records.js';
import { formatDecimalAmount } from '../money.js';
import { ageOf } from './cases.js';
import { asWhole, command, group, run, type CommonOptions } from './command.js';
import { exitCodes } from './exit-codes.js';
import { withServices } from './session.js';
import { table } from './table.js';

interface DeadOptions extends CommonOptions {
  readonly all?: boolean;
  readonly limit: number;
}

export function ledgerCommand(): Command {
  return group(
    'ledger',
    'the books: what was collected, refunded and is owed back',
    command('balance', 'the trial balance, and what is not in it yet').action(
      run<CommonOptions>(balance),
    ),
    command('dead', 'messages that could not be posted, oldest first')
      .option('--all', 'closed ones, too')
      .option('--limit <n>', 'at most so many', asWhole(1, 1_000), 100)
      .action(run<DeadOptions>(dead)),
    command('replay', 'send dead letters again; replayed twice, one is posted once')
      .argument('<id...>')
      .action(run<CommonOptions>((options, args) => replay(options, args.flat()))),
  );
}

async function balance(options: CommonOptions) {
  return await withServices(options, async ({ ledger, clock }) => {
    const found = await ledger.reads.trialBalance();
    const { balanced } = found;
    return {
      json: balanceView(found),
      text: [accountsTable(found), ...notesOn(found, clock.nowMs())].join('\n'),
      exitCode: balanced ? exitCodes.done : exitCodes.internal,
    };
  });
}

function accountsTable({ accounts, totals }: TrialBalance): string {
  const rows = accounts.map((one) => [
    one.account,
    one.class,
    one.currency,
    formatDecimalAmount(one.debitMinor),
    formatDecimalAmount(one.creditMinor),
    formatDecimalAmount(one.balanceMinor),
  ]);
  const sums = totals.map(({ currency, debitMinor, creditMinor }) => [
    'total',
    '',
    currency,
    formatDecimalAmount(debitMinor),
    formatDecimalAmount(creditMinor),
    '',
  ]);
  const head = ['account', 'class', 'currency', 'debit', 'credit', 'balance'];
  return rows.length === 0 ? 'nothing is posted' : table(head, [...rows, ...sums]);
}

function notesOn(found: TrialBalance, nowMs: number): string[] {
  const { keptBy, balanced, undelivered, deadLettersOpen } = found;
  const { messages, oldestAt } = undelivered;
  return [
    ...(keptBy === 'lender' ? ["the books are kept by the lender's own service"] : []),
    ...(balanced ? [] : ['DEBITS DO NOT EQUAL CREDITS']),
    ...(oldestAt === null
      ? []
      : [`not in the books yet: ${messages}, the oldest ${ageOf(nowMs - oldestAt.getTime())} old`]),
    ...(deadLettersOpen === 0 ? [] : [`dead letters: ${deadLettersOpen} (recoup ledger dead)`]),
  ];
}

async function dead(options: DeadOptions) {
  return await withServices(options, async ({ ledger, clock }) => {
    const open = options.all === true ? undefined : true;
    const found = await ledger.reads.deadLetters({ open, limit: options.limit });
    const rows = found.map((one) => [
      one.id,
      one.kind,
      one.topic,
      one.messageKey,
      formatDecimalAmount(one.amountMinor),
      ageOf((one.closedAt?.getTime() ?? clock.nowMs()) - one.openedAt.getTime()),
      one.resolution ?? one.evidence,
    ]);
    const head = ['id', 'kind', 'topic', 'message', 'at risk', 'age', 'evidence'];
    return {
      json: { dead_letters: found.map(deadLetterView) },
      text: found.length === 0 ? 'none' : table(head, rows),
    };
  });
}

async function replay(options: CommonOptions, ids: readonly string[]) {
  return await withServices(options, async ({ ledger, clock }) => {
    for (const id of ids) await ledger.replay(id, 'cli', clock.nowMs());
    return {
      json: { replayed: ids },
      text: 'due at once; a dead letter closes when its message is in the books',
    };
  });
}
