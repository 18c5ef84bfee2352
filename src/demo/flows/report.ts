import type { Evidence, TaskStory, Verdict, ViolationKind } from '../../oracle/index.js';
import type { Told } from './callers.js';
import type { FlowDay } from './scenario.js';

export interface FlowFindings {
  readonly evidence: Evidence;
  readonly stories: ReadonlyMap<string, TaskStory>;
  readonly verdict: Verdict;
  readonly day: FlowDay;
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

const flows = { deductions: 'deduction', withdrawals: 'withdrawal', top_ups: 'top_up' } as const;
type Flow = keyof typeof flows;
const flowNames = Object.keys(flows) as readonly Flow[];

/** What may never be, and the oracle's words for it. */
const harms = {
  double_paid: ['double_paid', 'double_charged', 'restored_twice', 'refunded_twice'],
  lost: ['lost', 'not_captured', 'open_but_captured', 'dead_but_captured', 'balance_differs'],
  double_credited: ['double_credited', 'credited_unpaid'],
  wrongly_refunded: ['wrongly_refunded'],
} as const satisfies Record<string, readonly ViolationKind[]>;
type Harm = keyof typeof harms;
const harmNames = Object.keys(harms) as readonly Harm[];

/** The one JSON object. */
export function flowSummary(found: FlowFindings) {
  const { evidence, verdict, day } = found;
  return {
    flows: Object.fromEntries(flowNames.map((flow) => [flow, flowCounts(found, flow)])) as Record<
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

function flowCounts(found: FlowFindings, flow: Flow) {
  const { evidence, verdict, day } = found;
  const rows: readonly { readonly status: string }[] = {
    deductions: evidence.deductions,
    withdrawals: evidence.withdrawals ?? [],
    top_ups: evidence.topUps ?? [],
  }[flow];
  const having = (status: string): number => rows.filter((row) => row.status === status).length;
  const about = aboutFlow(found, flow);
  const count = (kinds: readonly string[]): number =>
    new Set(
      verdict.violations
        .filter((one) => kinds.includes(one.kind) && about(one.about))
        .map((one) => one.about),
    ).size;
  const told: Partial<Record<Flow, Told>> = { withdrawals: day.withdrawals, top_ups: day.topUps };
  return {
    started: rows.length,
    succeeded: having('succeeded'),
    failed: having('failed'),
    needs_review: having('needs_review'),
    in_flight: having('processing'),
    refused: sum([...(told[flow]?.refused.values() ?? [])]),
    /** Not done in the end, and the money that had been taken is back. */
    given_back: givenBack(found, flow),
    ...(Object.fromEntries(harmNames.map((harm) => [harm, count(harms[harm])])) as Record<
      Harm,
      number
    >),
  };
}

/** Whether a violation is about a task, an order or a member of this flow. */
function aboutFlow({ stories, evidence }: FlowFindings, flow: Flow): (about: string) => boolean {
  const kinds = new Map<string, string>();
  for (const [id, { kind, orders }] of stories) {
    // A refund of its own gives back what a deduction took.
    const of = kind === 'refund' ? 'deduction' : kind;
    kinds.set(id, of);
    for (const { orderNo } of orders.values()) kinds.set(orderNo, of);
  }
  for (const { id } of evidence.members ?? []) kinds.set(id, 'withdrawal');
  // What no log knows was charged, as far as anyone can tell.
  return (about) => (kinds.get(about) ?? 'deduction') === flows[flow];
}

function givenBack({ stories, evidence }: FlowFindings, flow: Flow): number {
  const operation = { deductions: 'refund', withdrawals: 'restore', top_ups: 'refund' }[flow];
  const kind = flow === 'deductions' ? 'refund' : flows[flow];
  const orders = [...stories.values()]
    .filter((story) => story.kind === kind)
    .filter(({ orders: all }) =>
      [...all.values()].some((one) => one.operation === operation && one.status === 'succeeded'),
    ).length;
  const local = (evidence.memberEntries ?? []).filter((entry) => entry.kind === 'given_back');
  return flow === 'withdrawals' ? orders + local.length : orders;
}

const sum = (counts: readonly number[]): number => counts.reduce((total, one) => total + one, 0);

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
    ...flowNames.flatMap(of),
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
    `  ${''.padEnd(18)}${flowNames.map(cell).join('')}`,
    ...names.map((name) => {
      const counts = flowNames.map((flow) => cell(s.flows[flow][name]));
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
