import type { Evening } from '../demo/evening.js';
import {
  figuresByFlow,
  flowNames,
  harmNames,
  readLogs,
  type Evidence,
  type Verdict,
} from '../oracle/index.js';
import type { Struck } from './injector.js';
import { counted, faultKinds, type FaultCounts, type FaultKind } from './plan.js';
import { byTask, carriedOn, nextAfter, recovery, type Recovery } from './recovery.js';

/** All that a run found out. */
export interface Findings {
  readonly seed: string;
  readonly evidence: Evidence;
  readonly verdict: Verdict;
  /** Null when the day did not come to an end. */
  readonly evening: Evening | null;
  readonly struck: readonly Struck[];
  readonly missed: readonly string[];
  readonly required: FaultCounts;
  /** When each worker heard that entries of the log were committed. */
  readonly commits: readonly (readonly number[])[];
  /** Batches and tasks that had not come to an end when the time to settle was over. */
  readonly stuck: number;
  /** Requests to withdraw or to top up that were refused at once. */
  readonly refused: readonly { readonly code: string }[];
  /** What people did meanwhile. */
  readonly clerks: {
    readonly reconciled: number;
    readonly decided: number;
    readonly interrupted: number;
  };
  readonly batches: { readonly loaded: number; readonly interrupted: number };
  readonly failedStarts: number;
  /** Processes that ended though nobody killed them. */
  readonly surprises: readonly string[];
  readonly settleSeconds: number;
  readonly seconds: number;
}

/** The one JSON object. Times in ms but where a name says otherwise. */
export function summary(found: Findings) {
  const { evidence, verdict, evening, struck } = found;
  const statements = evening?.statements ?? [];
  const flows = figuresByFlow(evidence, readLogs(evidence.log), verdict.violations);
  const { succeeded, failed, needs_review, in_flight } = flows.deductions;
  const told = evidence.told ?? [];
  return {
    double_charged: verdict.count('double_charged'),
    lost: verdict.count('lost') + verdict.count('not_captured'),
    stuck: found.stuck + verdict.count('abandoned'),
    violations: verdict.violations.length,
    faults: counted((kind) => struck.filter((one) => one.kind === kind).length),
    faults_required: found.required,
    faults_missed: found.missed.length,
    recovery: recoveries(found),
    deductions: evidence.deductions.length,
    succeeded,
    failed,
    needs_review,
    in_flight,
    flows,
    deposits: told.filter(({ kind }) => kind === 'deposit').length,
    requests_refused: found.refused.length,
    requests_unanswered: told.filter(({ id }) => id === null).length,
    cases_open: evidence.cases.filter(({ closed_at: closed }) => closed === null).length,
    orders_compared: verdict.ordersCompared,
    captured_minor: Number(verdict.capturedMinor),
    channel_doubled: verdict.doubledByChannel.length,
    posted: evidence.posted?.length ?? 0,
    ledger_balanced: evening?.ledger.balanced ?? false,
    statements_reconciled: statements.filter(({ state }) => state === 'complete').length,
    statements_incomplete: statements.filter(({ state }) => state !== 'complete').length,
    breaks_open: statements.reduce((sum, { breaksOpen }) => sum + breaksOpen, 0),
    log_entries: evidence.log.length,
    refunds: flows.refunds.started,
    refunds_paid: flows.refunds.succeeded,
    reconciliations: found.clerks.reconciled,
    cases_decided: found.clerks.decided,
    clerks_interrupted: found.clerks.interrupted,
    batches: found.batches.loaded,
    loads_interrupted: found.batches.interrupted,
    starts_failed: found.failedStarts,
    ended_by_themselves: found.surprises.length,
    settle_seconds: found.settleSeconds,
    seconds: found.seconds,
    seed: found.seed,
  };
}

export type Summary = ReturnType<typeof summary>;

/** What speaks against the run; empty when all is well. */
export function complaints(summary: Summary): string[] {
  const zeros = ['double_charged', 'lost', 'stuck', 'violations', 'ended_by_themselves'] as const;
  const books = ['breaks_open', 'statements_incomplete'] as const;
  const harmed = flowNames.flatMap((flow) =>
    [...harmNames, 'in_flight' as const]
      .filter((name) => summary.flows[flow][name] !== 0)
      .map((name) => `${flow}: ${name} ${summary.flows[flow][name]}`),
  );
  const idle = flowNames.filter(
    (flow) => flow !== 'refunds' && summary.flows[flow].succeeded === 0,
  );
  const few = faultKinds.filter((kind) => summary.faults[kind] < summary.faults_required[kind]);
  return [
    ...[...zeros, ...books]
      .filter((name) => summary[name] !== 0)
      .map((name) => `${name}: ${summary[name]}`),
    ...(summary.ledger_balanced ? [] : ['the ledger does not balance']),
    ...few.map(
      (kind) => `${kind}: ${summary.faults[kind]} of ${summary.faults_required[kind]} required`,
    ),
    ...harmed,
    ...idle.map((flow) => `none of the ${flow} succeeded`),
  ];
}

type Recoveries = Readonly<
  Partial<Record<FaultKind | 'worker_kill_mid_call' | 'worker_stop_mid_call', Recovery>>
>;

function recoveries({ struck, evidence, commits }: Findings): Recoveries {
  const rows = evidence.log.map((row) => ({ ...row, atMs: row.atMs ?? Number.NaN }));
  const tasks = byTask(rows);
  const found: Partial<Record<keyof Recoveries, Recovery>> = {};
  for (const kind of faultKinds) {
    const those = struck.filter((one) => one.kind === kind);
    if (those.length === 0) continue;
    if (kind === 'worker_kill' || kind === 'worker_stop') {
      const carried = those.map((one) => carriedOn(tasks, one.instanceId, one.wallMs));
      // A process that had nothing in its hands left nothing to go on with.
      const some = carried.filter(({ held }) => held > 0);
      found[kind] = recovery(some.map(({ firstMs }) => firstMs));
      found[`${kind}_mid_call`] = recovery(carried.flatMap(({ midCallMs }) => midCallMs));
    } else {
      found[kind] = recovery(
        those.map(({ atMs, place }) =>
          nextAfter(place === null ? commits : [place.proxy.logCommits], atMs),
        ),
      );
    }
  }
  return found;
}

/** For people, on stderr. */
export function report(found: Findings, said: Summary, wrong: readonly string[]): string {
  const times = Object.entries(said.recovery).map(([kind, one]) => {
    const never = one.never > 0 ? `, ${one.never} never` : '';
    return `  ${kind.padEnd(22)} ${one.count} times: p50 ${one.p50_ms} ms, max ${one.max_ms} ms${never}`;
  });
  return [
    '',
    ...flowNames.map((flow) => {
      const of = said.flows[flow];
      return (
        `${of.started} ${flow.replace('_', '-')}: ${of.succeeded} succeeded, ${of.failed} failed, ` +
        `${of.needs_review} for a person, ${of.in_flight} without an outcome`
      );
    }),
    `settled ${said.settle_seconds} s after the last fault`,
    'Time until it went on (docs/chaos.md):',
    ...times,
    ...found.missed.map((one) => `missed: ${one}`),
    ...found.verdict.violations
      .slice(0, 30)
      .map(({ kind, about, detail }) => `VIOLATION ${kind} ${about}: ${detail}`),
    ...wrong.map((one) => `WRONG: ${one}`),
  ].join('\n');
}
