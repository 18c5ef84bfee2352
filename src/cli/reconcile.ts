import { createWriteStream } from 'node:fs';
import { userInfo } from 'node:os';
import { pipeline } from 'node:stream/promises';
import { InvalidArgumentError, type Command } from 'commander';
import type { Services } from '../composition/root.js';
import { isChannelId, type ChannelId } from '../ids.js';
import { isDate } from '../intake/due-file.js';
import { formatDecimalAmount } from '../money.js';
import type { BreakRecord } from '../reconciliation/ports.js';
import type { Reconciled } from '../reconciliation/reconciler.js';
import { ageOf } from './cases.js';
import { command, run, tell, type CommonOptions, type Result } from './command.js';
import { exitCodes } from './exit-codes.js';
import { badUsage } from './failure.js';
import { withServices } from './session.js';
import { table } from './table.js';

interface ReconcileOptions extends CommonOptions {
  readonly file?: string;
  readonly supersede?: boolean;
  readonly by: string;
}

interface BookOptions extends CommonOptions {
  readonly out?: string;
}

/** More would not be read on a terminal; the API has them all. */
const breaksShown = 50;

export function reconcileCommand(): Command {
  return command('reconcile', "hold a channel's statement of a day against our book")
    .argument('<channel>', 'whose statement', asChannel)
    .argument('<date>', 'the business date, such as 2026-11-22', asDate)
    .option(
      '--file <path>',
      "the statement's file; without it the one brought before is matched anew",
    )
    .option('--supersede', 'the date has another statement, and this file takes its place')
    .option('--by <name>', 'who asks; kept for the audit', userInfo().username)
    .action(
      run<ReconcileOptions>((options, [channel = '', date = '']) =>
        withServices(options, (services) =>
          reconcile(services, options, channel as ChannelId, date),
        ),
      ),
    );
}

export function bookCommand(): Command {
  return command('book', "our own book of a channel's day, in the form of its statement")
    .argument('<channel>', 'which channel', asChannel)
    .argument('<date>', 'the business date, such as 2026-11-22', asDate)
    .option('--out <path>', 'a new file; without it the book goes to stdout')
    .action(
      run<BookOptions>((options, [channel = '', date = '']) =>
        withServices(options, (services) => book(services, options, channel as ChannelId, date)),
      ),
    );
}

async function reconcile(
  { reconciler, breaks, access, clock }: Services,
  { file, supersede = false, by }: ReconcileOptions,
  channelId: ChannelId,
  date: string,
): Promise<Result> {
  const subject = `${channelId} ${date}`;
  const detail = JSON.stringify({ supersede });
  await access.audit({ actor: by, action: 'reconcile', subject, detail }, clock.nowMs());
  const done = await reconciler.run({
    channelId,
    date,
    file: file ?? null,
    supersede,
    by,
  });
  const open = await breaks.list({ channelId, date, open: true, limit: breaksShown });
  const { run: made, report, breaksOpen } = done;
  const settled = made.state === 'complete' && breaksOpen === 0;
  return {
    json: {
      id: made.id,
      channelId,
      businessDate: date,
      state: made.state,
      breaksOpen,
      report,
      breaks: open,
    },
    text: [told(done), ...toldBreaks(open, breaksOpen, clock.nowMs())].join('\n\n'),
    exitCode: settled ? exitCodes.done : exitCodes.open,
  };
}

function told({ run: { state }, report, breaksOpen }: Reconciled): string {
  const rows = report.lines.map((line) => [
    `${line.kind} ${line.type}`,
    String(line.theirRows),
    formatDecimalAmount(line.theirMinor),
    formatDecimalAmount(line.theirFeeMinor),
    String(line.ourRows),
    formatDecimalAmount(line.ourMinor),
  ]);
  const head = ['kind', 'their rows', 'theirs', 'fees', 'our rows', 'ours'];
  const off = report.controls.filter(({ stated, counted }) => stated !== counted);
  const wrong = off.map(
    ({ total, stated, counted }) => `  ${total}: ${stated}, counted ${counted}`,
  );
  const summary =
    state === 'complete'
      ? `complete: the totals add up; ${report.mended} mended, ${breaksOpen} breaks open`
      : `NOT COMPLETE: ${formatDecimalAmount(report.unexplainedMinor)} unexplained`;
  return [table(head, rows), '', summary, ...wrong].join('\n');
}

function toldBreaks(open: readonly BreakRecord[], all: number, nowMs: number): string[] {
  if (open.length === 0) return [];
  const rows = open.map((one) => [
    one.id,
    one.kind,
    one.orderNo,
    formatDecimalAmount(one.amountMinor),
    ageOf(nowMs - one.openedAt.getTime()),
    one.evidence,
  ]);
  const more = all > open.length ? [`… and ${all - open.length} more`] : [];
  return [table(['break', 'kind', 'order', 'at risk', 'age', 'evidence'], rows), ...more];
}

async function book(
  { reconciler }: Services,
  { out, json }: BookOptions,
  channelId: ChannelId,
  date: string,
): Promise<Result> {
  if (out === undefined && json === true) {
    throw badUsage('With --json the book has no place on stdout.', 'Name a file: --out FILE.');
  }
  const bytes = reconciler.book(channelId, date);
  if (out === undefined) {
    await pipeline(bytes, process.stdout, { end: false });
    return { json: {}, text: '' };
  }
  await pipeline(bytes, createWriteStream(out, { flags: 'wx', mode: 0o600 }));
  tell(`the book of ${channelId} for ${date} is in ${out}`);
  return { json: { channelId, businessDate: date, out }, text: '' };
}

function asChannel(text: string): ChannelId {
  if (!isChannelId(text)) throw new InvalidArgumentError('A channel is named as in its profile.');
  return text;
}

function asDate(text: string): string {
  if (!isDate(text)) throw new InvalidArgumentError('Write a date as 2026-11-22.');
  return text;
}
