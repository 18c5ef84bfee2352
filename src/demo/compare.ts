/**
 * Two books of the same day, order by order: ours (the execution log and the tables) and the
 * channels' (what they captured). Pure. It knows no code of the engine, so that a bug there cannot
 * hide itself here; everything it reports was found by comparing.
 */

/** An attempt as our log announced it, before anything was sent. */
export interface OurOrder {
  readonly orderNo: string;
  readonly deductionId: string;
  readonly channelId: string;
  readonly amountMinor: bigint;
  /** As the log tells it: of the last entry that speaks of its outcome. */
  readonly status: 'open' | 'succeeded' | 'declined' | 'not_executed';
}

export interface OurDeduction {
  readonly id: string;
  readonly repaymentId: string;
  readonly status: 'processing' | 'needs_review' | 'succeeded' | 'failed';
  readonly amountMinor: bigint;
  /** The order number that the money came under; null unless succeeded. */
  readonly orderNo: string | null;
  readonly hasOpenCase: boolean;
  /** How often the log says `settled`. */
  readonly settlements: number;
}

export interface OurRepayment {
  readonly id: string;
  readonly dueMinor: bigint;
  readonly paidMinor: bigint;
  readonly collectingMinor: bigint;
}

export interface OurBooks {
  readonly orders: readonly OurOrder[];
  readonly deductions: readonly OurDeduction[];
  readonly repayments: readonly OurRepayment[];
}

export interface BookedOrder {
  readonly channelId: string;
  readonly orderNo: string;
  readonly state: 'executing' | 'captured' | 'declined' | 'closed' | 'expired';
  readonly amountMinor: bigint | null;
  readonly captures: readonly { readonly amountMinor: bigint }[];
}

export type FindingKind =
  /** A borrower was charged under two order numbers for one deduction, or more than was due. */
  | 'double_charged'
  /** Money was captured that no succeeded deduction and no open case of ours accounts for. */
  | 'lost'
  /** A channel has an order that our log never announced (rule 1). */
  | 'unannounced'
  /** We say that it was collected; the channel has no capture. */
  | 'not_captured'
  /** We say that the order is dead; the channel captured it. */
  | 'dead_but_captured'
  /** Captured, and we do not know it yet. */
  | 'open_but_captured'
  | 'amount_differs'
  /** A repayment's paid or collecting amount is not the sum of its deductions. */
  | 'repayment_differs'
  /** The tables and the log tell different stories. */
  | 'log_differs'
  /** The channel captured one order number more than once: its own doing, counted apart. */
  | 'channel_doubled';

export interface Finding {
  readonly kind: FindingKind;
  /** A deduction, a repayment or an order number. */
  readonly about: string;
  readonly detail: string;
}

export interface Comparison {
  readonly findings: readonly Finding[];
  readonly count: (kind: FindingKind) => number;
  /** Whether both books agree but for what the channel did by itself. */
  readonly agree: boolean;
  readonly ordersCompared: number;
  readonly capturedMinor: bigint;
}

/** @param earlier what was found before the end, and may not be seen any more. */
export function compare(
  ours: OurBooks,
  book: readonly BookedOrder[],
  earlier: readonly Finding[] = [],
): Comparison {
  const announced = new Map(ours.orders.map((order) => [order.orderNo, order]));
  const deductions = new Map(ours.deductions.map((deduction) => [deduction.id, deduction]));
  const captured = book.filter(({ captures }) => captures.length > 0);
  const byNumber = new Map(captured.map((order) => [keyOf(order), order]));
  const findings = [
    ...earlier,
    ...sentUnannounced(book, announced),
    ...captured.flatMap((order) => onCapture(order, announced, deductions)),
    ...ours.deductions.flatMap((deduction) => onDeduction(deduction, announced, byNumber)),
    ...chargedTwice(captured, announced, deductions),
    ...overcharged(captured, announced, deductions, ours.repayments),
    ...onRepayments(ours),
  ];
  return {
    findings,
    count: (kind) => new Set(findings.filter((f) => f.kind === kind).map((f) => f.about)).size,
    agree: findings.every(({ kind }) => kind === 'channel_doubled'),
    ordersCompared: new Set([...announced.keys(), ...book.map(({ orderNo }) => orderNo)]).size,
    capturedMinor: captured.reduce((sum, order) => sum + takenOf(order), 0n),
  };
}

/**
 * Rule 1 in the middle of the day, when a resumption cannot yet have announced what was sent before
 * it was announced. The book must be the older of the two.
 */
export function sentUnannounced(
  book: readonly BookedOrder[],
  announced: ReadonlyMap<string, OurOrder>,
): readonly Finding[] {
  return book.flatMap((order) => unannounced(order, announced));
}

/** An order number is ours alone; the channel it was captured at must be the one announced. */
const keyOf = (order: { channelId: string; orderNo: string }): string =>
  `${order.channelId} ${order.orderNo}`;

/** What a channel took under an order number, its own doublings left out. */
const takenOf = ({ captures }: BookedOrder): bigint => captures[0]?.amountMinor ?? 0n;

function unannounced(
  order: BookedOrder,
  announced: ReadonlyMap<string, OurOrder>,
): readonly Finding[] {
  const known = announced.get(order.orderNo);
  if (known?.channelId === order.channelId) return [];
  const where = known === undefined ? 'nowhere in our log' : `announced for ${known.channelId}`;
  const detail = `${order.channelId} has it as ${order.state}; ${where}`;
  return [{ kind: 'unannounced', about: order.orderNo, detail }];
}

function onCapture(
  order: BookedOrder,
  announced: ReadonlyMap<string, OurOrder>,
  deductions: ReadonlyMap<string, OurDeduction>,
): readonly Finding[] {
  const { orderNo, channelId, captures } = order;
  const findings: Finding[] = [];
  const find = (kind: FindingKind, detail: string): void =>
    void findings.push({ kind, about: orderNo, detail: `${channelId}: ${detail}` });
  if (captures.length > 1) find('channel_doubled', `captured ${captures.length} times`);
  const ourOrder = announced.get(orderNo);
  const deduction = ourOrder === undefined ? undefined : deductions.get(ourOrder.deductionId);
  const accounted =
    deduction !== undefined &&
    ((deduction.status === 'succeeded' && deduction.orderNo === orderNo) || deduction.hasOpenCase);
  if (!accounted) {
    find('lost', `captured, and our deduction is ${deduction?.status ?? 'not there'}`);
  }
  if (ourOrder === undefined) return findings;
  for (const capture of captures) {
    if (capture.amountMinor !== ourOrder.amountMinor) {
      find('amount_differs', `captured ${capture.amountMinor}, ordered ${ourOrder.amountMinor}`);
    }
  }
  if (ourOrder.status === 'open') find('open_but_captured', 'our log has no outcome');
  else if (ourOrder.status !== 'succeeded') {
    find('dead_but_captured', `our log says ${ourOrder.status}`);
  }
  return findings;
}

function onDeduction(
  deduction: OurDeduction,
  announced: ReadonlyMap<string, OurOrder>,
  byNumber: ReadonlyMap<string, BookedOrder>,
): readonly Finding[] {
  const { id, status, orderNo, settlements, amountMinor } = deduction;
  const findings: Finding[] = [];
  const find = (kind: FindingKind, detail: string): void =>
    void findings.push({ kind, about: id, detail });
  if (settlements !== (status === 'succeeded' ? 1 : 0)) {
    find('log_differs', `${status}, and the log settles it ${settlements} times`);
  }
  if (status !== 'succeeded') return findings;
  const order = orderNo === null ? undefined : announced.get(orderNo);
  if (order === undefined || order.deductionId !== id) {
    find('log_differs', `succeeded under ${orderNo}, which its log never announced`);
    return findings;
  }
  if (order.amountMinor !== amountMinor) {
    find('amount_differs', `asked for ${amountMinor}, ordered ${order.amountMinor}`);
  }
  if (!byNumber.has(keyOf(order))) {
    find('not_captured', `${order.channelId} has no capture under ${order.orderNo}`);
  }
  return findings;
}

/** Two order numbers of one deduction that were both captured. */
function chargedTwice(
  captured: readonly BookedOrder[],
  announced: ReadonlyMap<string, OurOrder>,
  deductions: ReadonlyMap<string, OurDeduction>,
): readonly Finding[] {
  const numbers = new Map<string, string[]>();
  for (const order of captured) {
    const id = announced.get(order.orderNo)?.deductionId;
    if (id !== undefined) numbers.set(id, [...(numbers.get(id) ?? []), keyOf(order)]);
  }
  return [...numbers]
    .filter(([, orders]) => orders.length > 1)
    .map(([id, orders]) => ({
      kind: 'double_charged',
      about: deductions.get(id)?.repaymentId ?? id,
      detail: `captured under ${orders.join(' and ')}`,
    }));
}

/** More taken for a repayment than was due on it, by whatever deductions. */
function overcharged(
  captured: readonly BookedOrder[],
  announced: ReadonlyMap<string, OurOrder>,
  deductions: ReadonlyMap<string, OurDeduction>,
  repayments: readonly OurRepayment[],
): readonly Finding[] {
  const taken = new Map<string, bigint>();
  for (const order of captured) {
    const id = announced.get(order.orderNo)?.deductionId ?? '';
    const repaymentId = deductions.get(id)?.repaymentId;
    if (repaymentId === undefined) continue;
    taken.set(repaymentId, (taken.get(repaymentId) ?? 0n) + takenOf(order));
  }
  return repayments
    .filter(({ id, dueMinor }) => (taken.get(id) ?? 0n) > dueMinor)
    .map(({ id, dueMinor }) => ({
      kind: 'double_charged',
      about: id,
      detail: `captured ${taken.get(id)}, due ${dueMinor}`,
    }));
}

function onRepayments({ deductions, repayments }: OurBooks): readonly Finding[] {
  const paid = new Map<string, bigint>();
  const collecting = new Map<string, bigint>();
  for (const { repaymentId: id, status, amountMinor } of deductions) {
    const sums = status === 'succeeded' ? paid : status === 'failed' ? null : collecting;
    sums?.set(id, (sums.get(id) ?? 0n) + amountMinor);
  }
  return repayments.flatMap(({ id, paidMinor, collectingMinor }) => {
    const shouldPaid = paid.get(id) ?? 0n;
    const shouldCollecting = collecting.get(id) ?? 0n;
    if (paidMinor === shouldPaid && collectingMinor === shouldCollecting) return [];
    const detail =
      `paid ${paidMinor} and collecting ${collectingMinor}; its deductions make ` +
      `${shouldPaid} and ${shouldCollecting}`;
    return [{ kind: 'repayment_differs' as const, about: id, detail }];
  });
}
