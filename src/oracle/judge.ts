/**
 * The invariants, checked against the channels' books and our tables. One module for the simulator,
 * the chaos run and the demo. Pure: the same evidence gets the same verdict.
 */
import type { BookedOrder, Evidence, LogRow } from './evidence.js';
import { readLogs } from './log-story.js';
import type { CaseStory, OrderStory, TaskStory } from './task-story.js';
import { judgeFlows } from './flows.js';
import { judgeClearing } from './clearing.js';
import { judgeLedger } from './ledger.js';
import { judgeRefunds } from './refunds.js';
import { compareTables } from './tables.js';
import { judgeTold } from './told.js';
import type { Verdict, Violation } from './verdict.js';

/** @param earlier what was found before the end, and may not be seen any more. */
export function judge(evidence: Evidence, earlier: readonly Violation[] = []): Verdict {
  const stories = readLogs(evidence.log);
  const announced = new Map<string, Announced>();
  const violations: Violation[] = [...earlier];
  for (const story of stories.values()) {
    violations.push(...story.violations);
    for (const order of story.orders.values()) {
      if (announced.has(order.orderNo)) {
        const detail = 'announced by two attempts';
        violations.push({ kind: 'edge', about: order.orderNo, detail });
      }
      announced.set(order.orderNo, { story, order });
    }
  }
  // Withdrawals and top-ups are judged by themselves (flows.ts).
  const isFlow = (orderNo: string): boolean => {
    const kind = announced.get(orderNo)?.story.kind;
    return kind === 'withdrawal' || kind === 'top_up';
  };
  const captured = evidence.books.filter(
    ({ captures, orderNo }) => captures.length > 0 && !isFlow(orderNo),
  );
  const byNumber = new Map(captured.map((order) => [keyOf(order), order]));
  for (const booked of evidence.books) {
    violations.push(...unannounced(booked, announced.get(booked.orderNo)?.order.channelId));
  }
  for (const order of captured) violations.push(...onCapture(order, announced, evidence.quiet));
  for (const story of stories.values()) {
    violations.push(...notShown(story));
    if (story.kind === 'deduction') violations.push(...onSuccess(story, byNumber));
  }
  violations.push(...chargedTwice(captured, announced));
  violations.push(...overcharged(captured, announced, evidence));
  violations.push(...judgeRefunds(evidence.books, stories, evidence.quiet));
  violations.push(...judgeFlows(evidence, stories));
  violations.push(...judgeLedger(evidence, stories));
  violations.push(...judgeClearing(evidence, stories));
  violations.push(...judgeTold(evidence, stories));
  violations.push(...compareTables(evidence, stories));
  return {
    violations,
    count: (kind) => new Set(violations.filter((v) => v.kind === kind).map((v) => v.about)).size,
    agree: violations.length === 0,
    doubledByChannel: captured.filter(doubledByItself).map(({ orderNo }) => orderNo),
    ordersCompared: new Set([...announced.keys(), ...evidence.books.map((one) => one.orderNo)])
      .size,
    capturedMinor: captured.reduce((sum, order) => sum + takenOf(order), 0n),
  };
}

/**
 * Rule 1 in the middle of the day, when a resumption cannot yet have announced what was sent before
 * it was announced.
 *
 * @param log at least the intents; read after the books.
 */
export function sentUnannounced(
  books: readonly BookedOrder[],
  log: readonly LogRow[],
): readonly Violation[] {
  const announced = new Map(
    log.flatMap(({ body: { order } }) =>
      order === undefined ? [] : [[order.orderNo, order.channelId] as const],
    ),
  );
  return books.flatMap((booked) => unannounced(booked, announced.get(booked.orderNo)));
}

interface Announced {
  readonly story: TaskStory;
  readonly order: OrderStory;
}

/** An order number is ours alone; the channel it was captured at must be the one announced. */
const keyOf = (order: { readonly channelId: string; readonly orderNo: string }): string =>
  `${order.channelId} ${order.orderNo}`;

const doubledByItself = ({ captures }: BookedOrder): boolean => captures.length > 1;

/** What a channel took under an order number by our doing, without what it did by itself or by breach. */
const grossOf = ({ captures }: BookedOrder): bigint =>
  sumOf(captures.filter((one, at) => isOurs(one, at)));

const isOurs = ({ own, violation }: BookedOrder['captures'][number], at: number): boolean =>
  violation !== true && (own === false || (own === undefined && at === 0));

/** The same, net. What the channel took of its own is not what we pay back. */
function takenOf(order: BookedOrder): bigint {
  const net = grossOf(order) - sumOf(order.refunds ?? []);
  return net > 0n ? net : 0n;
}

const sumOf = (all: readonly { readonly amountMinor: bigint }[]): bigint =>
  all.reduce((sum, { amountMinor }) => sum + amountMinor, 0n);

function unannounced(
  { orderNo, channelId, state }: BookedOrder,
  announcedFor: string | undefined,
): readonly Violation[] {
  if (announcedFor === channelId) return [];
  const where = announcedFor === undefined ? 'nowhere in our log' : `announced for ${announcedFor}`;
  return [
    { kind: 'unannounced', about: orderNo, detail: `${channelId} has it as ${state}; ${where}` },
  ];
}

function onCapture(
  booked: BookedOrder,
  announced: ReadonlyMap<string, Announced>,
  quiet: boolean,
): readonly Violation[] {
  const { orderNo, channelId } = booked;
  const found: Violation[] = [];
  const find = (kind: Violation['kind'], detail: string): void =>
    void found.push({ kind, about: orderNo, detail: `${channelId}: ${detail}` });
  const ours = announced.get(orderNo);
  if (ours === undefined) {
    find('lost', 'captured, and our log does not know the order');
    return found;
  }
  const { story, order } = ours;
  const [gross, taken] = [grossOf(booked), takenOf(booked)];
  if (taken > order.amountMinor) {
    find('double_charged', `took ${taken} of ${order.amountMinor}`);
  } else if (gross !== 0n && gross < order.amountMinor) {
    find('amount_differs', `took ${gross} of ${order.amountMinor}`);
  }
  const told = [...story.cases.values()].some((one) => one.open || decidedAway(one, order));
  const settled = story.end === 'succeeded' && story.settledOrderNo === orderNo;
  const unheard = story.end === null && !quiet;
  if (!settled && !told && !unheard) find('lost', `captured, and our deduction is ${story.end}`);
  if (order.status === 'open') {
    if (!told && quiet) find('open_but_captured', 'our log has no outcome');
  } else if (order.status !== 'succeeded') {
    find('dead_but_captured', `our log says ${order.status}`);
  }
  return found;
}

/** Two people have said what becomes of this money; whether it has is judged elsewhere. */
const decidedAway = ({ attemptNo, decision }: CaseStory, order: OrderStory): boolean =>
  attemptNo === order.attemptNo &&
  (decision?.action === 'refund' || decision?.action === 'write_off');

function onSuccess(
  story: TaskStory,
  byNumber: ReadonlyMap<string, BookedOrder>,
): readonly Violation[] {
  const about = story.taskId;
  return [...story.orders.values()].flatMap((order): readonly Violation[] => {
    if (order.amountMinor !== story.amountMinor) {
      const detail = `asked for ${story.amountMinor}, ordered ${order.amountMinor}`;
      return [{ kind: 'amount_differs', about, detail }];
    }
    if (order.status !== 'succeeded' || byNumber.has(keyOf(order))) return [];
    const detail = `${order.channelId} has no capture under ${order.orderNo}`;
    return [{ kind: 'not_captured', about, detail }];
  });
}

function notShown({ taskId, suspicions, cases }: TaskStory): readonly Violation[] {
  const shown = new Set([...cases.values()].map((one) => `${one.reason} ${one.attemptNo}`));
  return [...suspicions]
    .filter((suspicion) => !shown.has(suspicion))
    .map((detail) => ({ kind: 'not_shown', about: taskId, detail }));
}

/** Two order numbers of one deduction that were both captured, net of refunds. */
function chargedTwice(
  captured: readonly BookedOrder[],
  announced: ReadonlyMap<string, Announced>,
): readonly Violation[] {
  const numbers = new Map<string, string[]>();
  for (const order of captured) {
    const id = announced.get(order.orderNo)?.story.taskId;
    if (id === undefined || takenOf(order) === 0n) continue;
    numbers.set(id, [...(numbers.get(id) ?? []), keyOf(order)]);
  }
  return [...numbers]
    .filter(([, orders]) => orders.length > 1)
    .map(([about, orders]) => ({
      kind: 'double_charged',
      about,
      detail: `captured under ${orders.join(' and ')}`,
    }));
}

/** More taken for a repayment than was due on it, by whatever deductions. */
function overcharged(
  captured: readonly BookedOrder[],
  announced: ReadonlyMap<string, Announced>,
  { repayments }: Evidence,
): readonly Violation[] {
  const taken = new Map<string, bigint>();
  for (const order of captured) {
    const id = announced.get(order.orderNo)?.story.repaymentId;
    if (id !== undefined) taken.set(id, (taken.get(id) ?? 0n) + takenOf(order));
  }
  return repayments
    .filter(({ id, due_minor: due }) => (taken.get(id) ?? 0n) > BigInt(due))
    .map(({ id, due_minor: due }) => ({
      kind: 'double_charged',
      about: id,
      detail: `captured ${taken.get(id)}, due ${due}`,
    }));
}
