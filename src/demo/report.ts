import { formatDecimalAmount } from '../money.js';
import type { Evidence, Verdict, Violation } from '../oracle/index.js';
import type { Evening } from './evening.js';
import type { Day } from './scenario.js';
import type { ChannelDay, Resumed, Tally, Unknowns } from './story.js';

/** All that the demo found out. */
export interface Findings {
  readonly evidence: Evidence;
  readonly verdict: Verdict;
  readonly day: Day;
  readonly evening: Evening;
  readonly failovers: readonly Tally[];
  readonly unknowns: Unknowns;
  readonly resumed: Resumed;
  readonly channels: readonly ChannelDay[];
  readonly failures: readonly Tally[];
  readonly rejected: readonly { readonly line: number; code: string; detail: string }[];
  readonly callbacks: { readonly sent: number; readonly acknowledged: number };
  readonly faults: number;
  readonly seconds: number;
}

const money = (minor: number): string => `${formatDecimalAmount(BigInt(minor))} CNY`;

const sum = (tallies: readonly Tally[]): number =>
  tallies.reduce((total, { count }) => total + count, 0);

/** The one JSON object. Amounts in minor units. */
export function summary(found: Findings) {
  const { evidence, verdict, day, evening, resumed } = found;
  const { ledger, statements } = evening;
  const { deductions } = evidence;
  const having = (status: string) => deductions.filter((one) => one.status === status);
  const amountOf = (status?: string) =>
    Number(
      (status === undefined ? deductions : having(status)).reduce(
        (total, { amount_minor: amount }) => total + BigInt(amount),
        0n,
      ),
    );
  const { count } = verdict;
  return {
    repayments: deductions.length,
    succeeded: having('succeeded').length,
    failed: having('failed').length,
    needs_review: having('needs_review').length,
    in_flight: having('processing').length,
    double_charged: count('double_charged'),
    lost: count('lost') + count('not_captured'),
    worker_kills: day.kills.length,
    resumed: resumed.tasks,
    redis_flushes: day.flushes,
    seconds: found.seconds,
    rejected: found.rejected.length,
    resumed_mid_call: resumed.midCall,
    channel_doubled: verdict.doubledByChannel.length,
    unannounced: count('unannounced'),
    failovers: sum(found.failovers),
    unknowns: found.unknowns.attempts,
    unknowns_settled: sum(found.unknowns.settled),
    faults_struck: found.faults,
    callbacks_taken_in: found.callbacks.acknowledged,
    amounts_minor: {
      due: amountOf(),
      collected: amountOf('succeeded'),
      declined: amountOf('failed'),
      needs_review: amountOf('needs_review'),
      in_flight: amountOf('processing'),
      captured_at_channels: Number(verdict.capturedMinor),
    },
    ledger: {
      balanced: ledger.balanced,
      debits_minor: Number(ledger.debitMinor),
      credits_minor: Number(ledger.creditMinor),
      collected_minor: Number(ledger.collectedMinor),
      undelivered: ledger.undelivered,
      dead_letters: ledger.deadLetters,
    },
    statements_reconciled: statements.filter(({ state }) => state === 'complete').length,
    /** For people to decide: such as what a channel took twice by itself. */
    cases_open: evidence.cases.filter(({ closed_at: closed }) => closed === null).length,
    breaks_open: statements.reduce((sum, { breaksOpen }) => sum + breaksOpen, 0),
    orders_compared: verdict.ordersCompared,
    books_agree: verdict.agree,
  };
}

export type Summary = ReturnType<typeof summary>;

/** What speaks against the run; empty when all is well. */
export function complaints(found: Findings): string[] {
  const { day, verdict } = found;
  const s = summary(found);
  const ended = s.succeeded + s.failed + s.needs_review + s.in_flight;
  const rules: readonly (readonly [boolean, string])[] = [
    [day.stuck === null, `not everything came to an end: ${day.stuck ?? ''}`],
    [s.in_flight === 0, `${s.in_flight} deductions have no outcome`],
    [s.double_charged === 0, `${s.double_charged} borrowers were charged twice`],
    [s.lost === 0, `${s.lost} payments were lost`],
    [verdict.agree, 'the books differ'],
    [ended === s.repayments, 'the outcomes do not add up'],
    [
      s.statements_reconciled === found.evening.statements.length && s.statements_reconciled > 0,
      'a statement was not reconciled to the cent',
    ],
    [s.breaks_open === 0, `${s.breaks_open} breaks between our book and the statements`],
    [s.ledger.balanced && s.ledger.undelivered === 0, 'the ledger is not complete'],
    [s.ledger.dead_letters === 0, 'messages could not be posted'],
    [
      s.ledger.collected_minor === s.amounts_minor.collected,
      `the ledger holds ${s.ledger.collected_minor}, collected was ${s.amounts_minor.collected}`,
    ],
    [s.worker_kills >= 1, 'no worker was killed'],
    [s.resumed >= 1 && s.resumed_mid_call >= 1, 'nothing was resumed after the kill'],
    [s.redis_flushes >= 1, 'Redis was not emptied'],
  ];
  return rules.filter(([ok]) => !ok).map(([, complaint]) => complaint);
}

/** For people. */
export function report(found: Findings): string {
  const s = summary(found);
  const { amounts_minor: amounts } = s;
  return [
    '',
    `Recoup worked through ${s.repayments} due repayments in ${s.seconds} s`,
    ...section('Outcomes', [
      ['succeeded', s.succeeded, money(amounts.collected)],
      ['failed', s.failed, money(amounts.declined)],
      ['for a person to decide', s.needs_review, money(amounts.needs_review)],
      ['without an outcome', s.in_flight, money(amounts.in_flight)],
      ['due', s.repayments, money(amounts.due)],
    ]),
    ...section('Failed because', lines(found.failures)),
    ...section('By channel: orders / succeeded / declined / not executed', channelLines(found)),
    ...section(`Failovers: ${s.failovers}`, lines(found.failovers)),
    ...section(
      `Outcomes not known at first: ${s.unknowns}, settled: ${s.unknowns_settled}`,
      lines(found.unknowns.settled),
    ),
    ...section('After the kill', [
      ['resumed by other workers', s.resumed, ''],
      ['of these, killed between intent and answer', s.resumed_mid_call, outcomes(found.resumed)],
    ]),
    ...section(`Rejected rows: ${s.rejected}, reported by line, nothing changed`, []),
    ...found.rejected.map(({ line, code, detail }) => `  line ${line}: ${code} (${short(detail)})`),
    ...section('Our books against the channels’, order by order', [
      ['orders compared', s.orders_compared, ''],
      ['captured at the channels', '', money(amounts.captured_at_channels)],
      ['double charged', s.double_charged, ''],
      ['lost', s.lost, ''],
      ['sent before it was announced', s.unannounced, ''],
      ['doubled by a channel itself, counted apart', s.channel_doubled, ''],
    ]),
    ...section(
      'The channels’ statements, reconciled',
      found.evening.statements.map(({ channel, date, state, breaksOpen }) => [
        `${channel} ${date}`,
        breaksOpen,
        `breaks open; ${state}`,
      ]),
    ),
    ...section('The ledger', [
      ['debits', '', money(s.ledger.debits_minor)],
      ['credits', '', money(s.ledger.credits_minor)],
      ['collected from borrowers', '', money(s.ledger.collected_minor)],
    ]),
    ...found.verdict.violations.slice(0, 20).map(violationLine),
    '',
    ...remarks(found),
  ].join('\n');
}

type Line = readonly [what: string, count: number | string, more: string];

const lines = (tallies: readonly Tally[]): Line[] =>
  tallies.slice(0, 20).map(({ what, count }) => [what, count, '']);

function section(title: string, rows: readonly Line[]): string[] {
  const width = Math.max(...rows.map(([what]) => what.length), 24);
  const line = ([what, count, more]: Line): string =>
    `  ${what.padEnd(width)} ${String(count).padStart(6)}  ${more}`.trimEnd();
  return ['', title, ...rows.map(line)];
}

const channelLines = ({ channels }: Findings): Line[] =>
  channels.map((day) => [
    day.channelId,
    day.orders,
    `${day.succeeded} / ${day.declined} / ${day.notExecuted}` +
      `${day.open > 0 ? `, ${day.open} open` : ''}   ${formatDecimalAmount(day.collectedMinor)} CNY`,
  ]);

const outcomes = ({ outcomes: tallies }: Resumed): string =>
  tallies.map(({ what, count }) => `${count} ${what}`).join(', ');

const violationLine = ({ kind, about, detail }: Violation): string =>
  `  ${kind} ${about}: ${detail}`;

const short = (text: string): string => (text.length > 90 ? `${text.slice(0, 89)}…` : text);

function remarks({ callbacks, faults }: Findings): string[] {
  return [
    `${faults} faults struck at the channels (time-outs, lost answers, late effects, garbage, 5xx).`,
    `unionlink called back ${callbacks.sent} times; ${callbacks.acknowledged} were taken in.`,
    'For this demo the compensator came every second for tasks 5 s overdue (usually every three',
    'minutes, after three minutes), locks were leased for 5 s (usually 60 s), rows of a batch claimed',
    'for 8 s (usually 30 s), messages to the ledger sent again after 5 s (usually two minutes), and the',
    'channels’ schedules and expiries were seconds (examples/channels.demo.yaml).',
  ];
}
