import { InvalidArgumentError, type Command } from 'commander';
import { caseSources, type CaseFilter, type CaseSource, type Person } from '../cases/case.js';
import type { CaseStory } from '../cases/case-desk.js';
import type { Proposal } from '../cases/proposal.js';
import type { Services } from '../composition/root.js';
import * as wire from '../http/case-wire.js';
import { formatDecimalAmount, type AmountMinor } from '../money.js';
import {
  asAmount,
  asWhole,
  command,
  group,
  run,
  type CommonOptions,
  type Result,
} from './command.js';
import { exitCodes, type ExitCode } from './exit-codes.js';
import { badUsage } from './failure.js';
import { keyVariable, operator, parsed } from './operator.js';
import { withServices } from './session.js';
import { table } from './table.js';

interface ListOptions extends CommonOptions {
  readonly all?: boolean;
  readonly source?: CaseSource;
  readonly kind?: string;
  readonly owner?: string;
  readonly limit: number;
}

export function casesCommand(): Command {
  const id = 'such as `cases list` prints it';
  const cases = group('cases', `what only a person can decide; who writes: ${keyVariable}`);
  cases.addCommand(listCommand(), { isDefault: true });
  cases.addCommand(
    command('show', 'a case, its notes and its proposals')
      .argument('<id>', id)
      .action(
        run<CommonOptions>((options, [of = '']) =>
          withServices(options, async (services) => storyOf(await services.cases.desk.show(of))),
        ),
      ),
  );
  cases.addCommand(
    command('assign', 'say whose case it is')
      .argument('<id>', id)
      .argument('[owner]', 'nobody unless given')
      .action(
        write(async ({ desk }, by, [of = '', owner]) => {
          await desk.assign(of, owner ?? null, by);
          return storyOf(await desk.show(of));
        }),
      ),
  );
  cases.addCommand(
    command('note', 'add a note; it is kept as it is')
      .argument('<id>', id)
      .argument('<text>')
      .action(
        write(async ({ desk }, by, [of = '', text = '']) => {
          const { note } = parsed(wire.noteBody, { note: text });
          return storyOf(await desk.note(of, note, by));
        }),
      ),
  );
  for (const one of [proposeCommand(id), approveCommand(id), rejectCommand(id)]) {
    cases.addCommand(one);
  }
  return cases;
}

function listCommand(): Command {
  return command('list', 'cases, oldest first')
    .option('--all', 'closed ones, too')
    .option('--source <source>', caseSources.join(', '), asSource)
    .option('--kind <kind>', 'such as outcome_unknown')
    .option('--owner <name>', 'of one owner')
    .option('--limit <n>', 'at most so many', asWhole(1, 1_000), 100)
    .action(
      run<ListOptions>((options) =>
        withServices(options, async ({ cases, clock }) => {
          const { all, source, kind, owner, limit } = options;
          const open = all === true ? undefined : true;
          const filter: CaseFilter = { open, source, kind, owner, limit };
          const found = await cases.desk.list(filter);
          const rows = found.map((one) => [
            one.id,
            one.kind,
            formatDecimalAmount(one.amountMinor),
            ageOf((one.closedAt?.getTime() ?? clock.nowMs()) - one.openedAt.getTime()),
            one.closedAt === null ? (one.owner ?? 'nobody yet') : `closed: ${one.resolution}`,
            one.openProposalNo === null ? '' : `proposal ${one.openProposalNo}`,
            one.evidence,
          ]);
          const head = ['case', 'kind', 'at risk', 'age', 'owner', '', 'evidence'];
          return {
            json: { cases: found.map(wire.caseView) },
            text: found.length === 0 ? 'none' : table(head, rows),
          };
        }),
      ),
    );
}

interface ProposeOptions extends CommonOptions {
  readonly askAgain?: boolean;
  readonly captured?: string;
  readonly notExecuted?: boolean;
  readonly refund?: AmountMinor;
  readonly restore?: boolean;
  readonly writeOff?: boolean;
  readonly because?: string;
}

function proposeCommand(id: string): Command {
  return command('propose', 'propose how the case ends; another person approves it')
    .argument('<id>', id)
    .option('--ask-again', 'ask the channel, or look, again')
    .option('--captured <reference>', "the money has moved: the channel's reference of it")
    .option('--not-executed', 'it has not, and never will')
    .option('--refund <yuan>', 'give so much back', asAmount)
    .option('--restore', 'give back a debit that its withdrawal did without')
    .option('--write-off', 'close it as it is')
    .option('--because <text>', 'the proof or the reason, 4 to 500 characters')
    .action(
      write<ProposeOptions>(async ({ desk }, by, [of = ''], options) => {
        const body = parsed(wire.resolutionBody, bodyOf(options));
        return proposalResult(await desk.propose(of, wire.resolutionOf(body), by));
      }),
    );
}

/** As it would come over the wire, so that it is judged alike. */
function bodyOf({ because, ...options }: ProposeOptions): object {
  const { askAgain, captured, notExecuted, refund, restore, writeOff } = options;
  const wanted = [
    ...(askAgain === true ? [{ action: 'ask_again' }] : []),
    ...(captured === undefined
      ? []
      : [{ action: 'adopt_captured', channel_ref: captured, proof: because }]),
    ...(notExecuted === true ? [{ action: 'mark_not_executed', proof: because }] : []),
    ...(refund === undefined
      ? []
      : [{ action: 'refund', amount_minor: Number(refund), reason: because }]),
    ...(restore === true ? [{ action: 'restore', reason: because }] : []),
    ...(writeOff === true ? [{ action: 'write_off', reason: because }] : []),
  ];
  const [only] = wanted;
  if (only !== undefined && wanted.length === 1) return only;
  throw badUsage('One way for the case to end is needed.', 'See `recoup cases propose --help`.');
}

function approveCommand(id: string): Command {
  return command('approve', 'approve what another person has proposed; it is carried out')
    .argument('<id>', id)
    .argument('<no>', 'of the proposal')
    .requiredOption('--digest <digest>', 'of the proposal as `cases show` prints it')
    .action(
      write<CommonOptions & { digest: string }>(
        async ({ desk }, by, [of = '', no = ''], { digest }) => {
          const body = parsed(wire.approvalBody, { digest });
          const approved = await desk.approve(of, numberOf(of, no), body.digest, by);
          return proposalResult(approved, exitCodeOf(approved));
        },
      ),
    );
}

function rejectCommand(id: string): Command {
  return command('reject', 'reject a proposal, or take back your own')
    .argument('<id>', id)
    .argument('<no>', 'of the proposal')
    .requiredOption('--because <text>', 'why, 4 to 500 characters')
    .action(
      write<CommonOptions & { because: string }>(
        async ({ desk }, by, [of = '', no = ''], { because }) => {
          const { reason } = parsed(wire.rejectionBody, { reason: because });
          return proposalResult(await desk.reject(of, numberOf(of, no), reason, by));
        },
      ),
    );
}

type Work<Options> = (
  cases: Services['cases'],
  by: Person,
  args: readonly string[],
  options: Options,
) => Promise<Result>;

function write<Options extends CommonOptions>(work: Work<Options>) {
  return run<Options>((options, args) =>
    withServices(options, async (services) => {
      const by = await operator(services);
      return await work(services.cases, by, args, options);
    }),
  );
}

function numberOf(id: string, no: string): number {
  return parsed(wire.proposalParams, { id, no }).no;
}

function proposalResult(proposal: Proposal, exitCode: ExitCode = exitCodes.done): Result {
  return {
    json: { case_id: proposal.caseId, proposal: wire.proposalView(proposal) },
    text: proposalLines(proposal).join('\n'),
    exitCode,
  };
}

/** Approved and not yet carried out: it will be. Void: nothing was done, since it no longer applied. */
function exitCodeOf({ state }: Proposal): ExitCode {
  if (state === 'approved') return exitCodes.open;
  return state === 'void' ? exitCodes.refused : exitCodes.done;
}

function proposalLines(one: Proposal): string[] {
  const { action: _action, ...payload } = wire.proposalView(one).payload as { action: string };
  const said = Object.entries(payload).map(([name, value]) => `${name}: ${String(value)}`);
  const by = one.checker === null ? '' : `, decided by ${one.checker}`;
  return [
    `proposal ${one.no}: ${one.action}, ${one.state} (by ${one.maker}${by})`,
    ...said.map((line) => `  ${line}`),
    ...(one.state === 'open' ? [`  expires ${one.expiresAt.toISOString()}`] : []),
    ...(one.rejectReason === null ? [] : [`  rejected: ${one.rejectReason}`]),
    ...(one.outcome === null ? [] : [`  outcome: ${one.outcome}`]),
    ...(one.lastProblem === null ? [] : [`  not yet: ${one.lastProblem}`]),
    `  digest ${one.payloadDigest}`,
  ];
}

function storyOf(story: CaseStory): Result {
  const { case: one, notes, proposals } = story;
  const view = wire.caseStoryView(story);
  const lines = [
    `case ${one.id}: ${one.kind}, ${formatDecimalAmount(one.amountMinor)} at risk`,
    `opened ${one.openedAt.toISOString()}, owner: ${one.owner ?? 'nobody yet'}`,
    one.evidence,
    ...(one.taskId === null ? [] : [`see \`recoup show ${one.taskId}\``]),
    one.closedAt === null ? `possible: ${view.possible.join(', ')}` : `closed: ${one.resolution}`,
    ...notes.map(({ at, author, note }) => `${at.toISOString()} ${author}: ${note}`),
    ...proposals.flatMap(proposalLines),
  ];
  return { json: { case: view }, text: lines.join('\n') };
}

function asSource(text: string): CaseSource {
  const source = caseSources.find((one) => one === text);
  if (source === undefined) throw new InvalidArgumentError(`One of ${caseSources.join(', ')}.`);
  return source;
}

export function ageOf(ms: number): string {
  const minutes = Math.max(0, Math.floor(ms / 60_000));
  if (minutes < 60) return `${minutes} min`;
  return minutes < 2_880 ? `${Math.floor(minutes / 60)} h` : `${Math.floor(minutes / 1_440)} d`;
}
