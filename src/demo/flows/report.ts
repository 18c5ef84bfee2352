import {
  figuresByFlow,
  harmNames,
  type Evidence,
  type FlowName,
  type TaskStory,
  type Verdict,
} from '../../oracle/index.js';
import type { Caller } from './callers.js';
import type { FlowDay } from './scenario.js';

export interface FlowFindings {
  readonly evidence: Evidence;
  readonly stories: ReadonlyMap<string, TaskStory>;
  readonly verdict: Verdict;
  readonly day: FlowDay;
  readonly refused: Caller['refused'];
  /** Tasks of the dead process that another one has carried on; of these, in mid-call at its death. */
  readonly resumed: { readonly tasks: number; readonly midCall: number };
  readonly cases: readonly {
    readonly taskId: string;
    readonly reason: string;
    readonly evidence: string;
  }[];
  readonly faults: number;
  readonly seconds: number;
}

const shown = ['deductions', 'withdrawals', 'top_ups'] as const satisfies readonly FlowName[];
type Flow = (typeof shown)[number];

/** The one JSON object. */
export function flowSummary(found: FlowFindings) {
  const { evidence, verdict, day } = found;
  return {
    flows: Object.fromEntries(shown.map((flow) => [flow, flowCounts(found, flow)])) as Record<
      Flow,
      ReturnType<typeof flowCounts>
    >,
    worker_kills: day.kill === null ? 0 : 1,
    redis_flushes: day.flushes,
    resumed: found.resumed.tasks,
    resumed_mid_call: found.resumed.midCall,
    faults_struck: found.faults,
    orders_compared: verdict.ordersCompared,
    unannounced: verdict.count('unannounced'),
    cases_open: evidence.cases.filter(({ closed_at: closed }) => closed === null).length,
    books_agree: verdict.agree,
    seconds: found.seconds,
  };
}

export type FlowSummary = ReturnType<typeof flowSummary>;

function flowCounts({ evidence, stories, verdict, refused }: FlowFindings, flow: Flow) {
  const { other: _, ...figures } = figuresByFlow(evidence, stories, verdict.violations)[flow];
  return { ...figures, refused: refused.filter(({ kind }) => `${kind}s` === flow).length };
}

/** What speaks against the run; empty when all is well. */
export function flowComplaints(found: FlowFindings): string[] {
  const { day, verdict } = found;
  const s = flowSummary(found);
  const of = (flow: Flow): readonly (readonly [boolean, string])[] => {
    const counts = s.flows[flow];
    const ended = counts.succeeded + counts.failed + counts.needs_review;
    return [
      [counts.succeeded > 0, `no ${flow} succeeded`],
      [counts.in_flight === 0, `${counts.in_flight} ${flow} have no outcome`],
      [ended + counts.in_flight === counts.started, `the outcomes of ${flow} do not add up`],
      ...harmNames.map((harm) => [counts[harm] === 0, `${flow}: ${harm} ${counts[harm]}`] as const),
    ];
  };
  const rules: readonly (readonly [boolean, string])[] = [
    [day.stuck === null, `not everything came to an end: ${day.stuck ?? ''}`],
    ...shown.flatMap(of),
    [verdict.agree, 'the books differ'],
    [s.worker_kills === 1, 'no worker was killed'],
    [s.resumed >= 1 && s.resumed_mid_call >= 1, 'nothing was resumed after the kill'],
    [s.redis_flushes >= 1, 'Redis was not emptied'],
  ];
  return rules.filter(([ok]) => !ok).map(([, complaint]) => complaint);
}

const cell = (text: string | number): string => String(text).padStart(13);

/** For people. */
export function flowReport(found: FlowFindings): string {
  const s = flowSummary(found);
  const names = Object.keys(s.flows.deductions) as readonly (keyof FlowSummary['flows'][Flow])[];
  return [
    '',
    `Deductions, withdrawals and top-ups together, in ${s.seconds} s`,
    '',
    `  ${''.padEnd(18)}${shown.map(cell).join('')}`,
    ...names.map((name) => {
      const counts = shown.map((flow) => cell(s.flows[flow][name]));
      return `  ${name.replaceAll('_', ' ').padEnd(18)}${counts.join('')}`;
    }),
    '',
    `After the kill ${s.resumed} tasks were carried on by others, ${s.resumed_mid_call} of them from between an`,
    `intent and its answer. ${s.faults_struck} faults struck at the channels, the card system and the account service.`,
    `${s.orders_compared} orders were compared with the books of the three, one by one; ${s.cases_open} cases are open.`,
    ...found.cases.map(
      ({ taskId, reason, evidence }) =>
        `  a case: ${found.stories.get(taskId)?.kind} ${taskId}, ${reason}: ${evidence}`,
    ),
    ...found.verdict.violations
      .slice(0, 20)
      .map(({ kind, about, detail }) => `  ${kind} ${about}: ${detail}`),
    '',
    'For this demo times are short, as in `npm run demo`; a credit that is not confirmed is insisted on for',
    '4 s (usually an hour), and a customer has 15 s to pay (usually 15 minutes).',
  ].join('\n');
}
