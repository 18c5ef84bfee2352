/**
 * Withdrawals and top-ups against the books of channels, card systems and account services, and the
 * members' balances against the money log. What a party did against its own word is no fault of ours;
 * that it is shown to a person is judged all the same.
 */
import type { BookedOperation, BookedOrder, Evidence } from './evidence.js';
import { ordersOf } from './flow-edges.js';
import { owesDebits } from './late-debits.js';
import type { OrderStory, TaskStory } from './task-story.js';
import type { Violation, ViolationKind } from './verdict.js';

type Find = (kind: ViolationKind, about: string, detail: string) => void;

export function judgeFlows(
  evidence: Evidence,
  stories: ReadonlyMap<string, TaskStory>,
): readonly Violation[] {
  const found: Violation[] = [];
  const find: Find = (kind, about, detail) => void found.push({ kind, about, detail });
  const books = new Books(evidence.books);
  for (const story of stories.values()) {
    if (story.kind !== 'withdrawal' && story.kind !== 'top_up') continue;
    for (const order of story.orders.values()) onOrder(story, order, books, evidence.quiet, find);
    if (story.kind === 'withdrawal') onWithdrawal(story, books, find);
    else onTopUp(story, books, evidence.quiet, find);
  }
  onBalances(evidence, stories, find);
  return found;
}

const sumOf = (all: readonly { readonly amountMinor: bigint }[]): bigint =>
  all.reduce((sum, { amountMinor }) => sum + amountMinor, 0n);

/** What was carried out, by order. */
class Books {
  readonly #orders = new Map<string, BookedOrder>();
  readonly #refunds = new Map<string, number>();

  constructor(books: readonly BookedOrder[]) {
    for (const book of books) {
      this.#orders.set(`${book.channelId} ${book.orderNo}`, book);
      for (const { orderNo = '' } of book.refunds ?? []) {
        this.#refunds.set(orderNo, (this.#refunds.get(orderNo) ?? 0) + 1);
      }
    }
  }

  of({ channelId, orderNo }: OrderStory): BookedOrder | undefined {
    return this.#orders.get(`${channelId} ${orderNo}`);
  }

  /** How often, whoever's fault it was. */
  times(order: OrderStory): number {
    if (order.operation === 'refund') return this.#refunds.get(order.orderNo) ?? 0;
    return this.of(order)?.captures.length ?? 0;
  }

  /** How often by our doing. */
  ours(order: OrderStory): number {
    if (order.operation === 'refund') return this.times(order);
    const captures = this.of(order)?.captures ?? [];
    return captures.filter(({ own = false, violation = false }) => !own && !violation).length;
  }

  /** What its payments took, less what went back of them, whichever task gave it back. */
  kept(story: TaskStory): bigint {
    return ordersOf(story, 'charge').reduce((sum, order) => {
      const { captures = [], refunds = [] } = this.of(order) ?? {};
      return sum + sumOf(captures) - sumOf(refunds);
    }, 0n);
  }

  /** How often, but for what the other side did again by itself. */
  taken(order: OrderStory): number {
    return (this.of(order)?.captures ?? []).filter(({ own = false }) => !own).length;
  }

  sum(story: TaskStory, operation: BookedOperation, how: 'times' | 'ours' | 'taken'): number {
    return ordersOf(story, operation).reduce((sum, order) => sum + this[how](order), 0);
  }
}

/** Before a person, or people have decided what becomes of the money. */
const told = ({ cases }: TaskStory): boolean =>
  [...cases.values()].some(({ open, decision }) => open || decision?.action === 'write_off');

function onOrder(
  story: TaskStory,
  order: OrderStory,
  books: Books,
  quiet: boolean,
  find: Find,
): void {
  const { orderNo, operation, status, amountMinor } = order;
  if (amountMinor !== story.amountMinor) {
    find('amount_differs', orderNo, `${operation} of ${amountMinor}, asked ${story.amountMinor}`);
  }
  const times = books.times(order);
  if (status === 'succeeded' && times === 0) {
    find('not_captured', orderNo, `${operation}: ${order.channelId} has not done it`);
  }
  if (times === 0) return;
  if (status === 'open' && quiet && !told(story)) {
    find('open_but_captured', orderNo, `${operation}: our log has no outcome`);
  }
  if (status === 'declined' || status === 'not_executed') {
    find('dead_but_captured', orderNo, `${operation}: our log says ${status}`);
  }
}

function onWithdrawal(story: TaskStory, books: Books, find: Find): void {
  const { taskId, end, withdrawal } = story;
  const paid = books.sum(story, 'payout', 'ours');
  const restored = books.sum(story, 'restore', 'ours');
  const local = withdrawal?.funding === null;
  // Whoever's fault it was; but for what a service took again under one number.
  const debited = books.sum(story, 'debit', 'taken');
  if (paid > 1) find('double_paid', taskId, `paid out ${paid} times`);
  for (const [debit, times] of restoresOf(story, books)) {
    if (times > 1) find('restored_twice', taskId, `${debit} restored ${times} times`);
  }
  if (books.sum(story, 'debit', 'ours') > 1) find('double_charged', taskId, 'debited twice');
  // What went out is never more than what came in: one debit is paid out or given back.
  const given = local ? end === 'failed' : restored > 0 && paid + restored > debited;
  if (paid > 0 && given) find('double_paid', taskId, 'paid out, and given back');
  if (end === null || told(story)) return;
  const gone = books.sum(story, 'payout', 'times');
  if (gone > 0 && end === 'failed') find('lost', taskId, 'paid out, and our withdrawal failed');
  if (local || owesDebits(story) || debited <= restored + gone) return;
  find('lost', taskId, 'debited, and neither paid out, restored nor shown to a person');
}

/** How often each debit was restored by our doing. */
function restoresOf(story: TaskStory, books: Books): ReadonlyMap<string, number> {
  const times = new Map<string, number>();
  for (const order of ordersOf(story, 'restore')) {
    const debit = order.regarding ?? '';
    times.set(debit, (times.get(debit) ?? 0) + books.ours(order));
  }
  return times;
}

function onTopUp(story: TaskStory, books: Books, quiet: boolean, find: Find): void {
  const { taskId, end } = story;
  const ours = (operation: BookedOperation): number => books.sum(story, operation, 'ours');
  const times = (operation: BookedOperation): number => books.sum(story, operation, 'times');
  if (ours('credit') > 1) find('double_credited', taskId, `credited ${ours('credit')} times`);
  if (ours('charge') > 1) find('double_charged', taskId, `paid ${ours('charge')} times`);
  if (ours('refund') > 1) find('refunded_twice', taskId, `refunded ${ours('refund')} times`);
  if (ours('credit') > 0 && (times('refund') > 0 || books.kept(story) < story.amountMinor)) {
    find('wrongly_refunded', taskId, 'the card is credited, and the payment went back');
  }
  inOrder(story, books, find);
  const nobody = !told(story) && (end !== null || quiet);
  if (!nobody || end === 'succeeded') return;
  if (times('credit') > 0) find('lost', taskId, `credited, and our top-up is ${end}`);
  else if (times('charge') > 0 && times('refund') === 0) {
    find('lost', taskId, `paid, neither credited nor refunded, and our top-up is ${end}`);
  }
}

/** Recorded, then paid, then credited; by the clock where the books have one. */
function inOrder(story: TaskStory, books: Books, find: Find): void {
  const times = (operation: BookedOperation): readonly number[] =>
    ordersOf(story, operation).flatMap((order) =>
      (books.of(order)?.captures ?? []).map(({ atMs = Number.NaN }) => atMs),
    );
  const [recorded, paid, credited] = [times('pre_recharge'), times('charge'), times('credit')];
  if (credited.length > 0 && !someUntil(paid, Math.min(...credited))) {
    find('credited_unpaid', story.taskId, 'credited before it was paid');
  }
  for (const order of ordersOf(story, 'charge')) {
    const { captures, startedAtMs = Number.NaN } = books.of(order) ?? { captures: [] };
    // Some books have refused numbers, too, that were never placed.
    if (captures.length === 0 || someUntil(recorded, startedAtMs)) continue;
    find('paid_unrecorded', order.orderNo, 'placed before the pre-recharge was recorded');
  }
}

/** What is not known to be later may have been earlier. */
const someUntil = (times: readonly number[], limitMs: number): boolean =>
  times.some((atMs) => !(atMs > limitMs));

/** A balance is what was deposited, less what withdrawals took that have not given it back. */
function onBalances(
  { members, memberEntries }: Evidence,
  stories: ReadonlyMap<string, TaskStory>,
  find: Find,
): void {
  if (members === undefined || memberEntries === undefined) return;
  const wanted = new Map<string, bigint>();
  for (const { taskId, kind, withdrawal, amountMinor, end } of stories.values()) {
    if (kind !== 'withdrawal' || withdrawal?.funding !== null) continue;
    wanted.set(`${taskId} withdrawn`, -amountMinor);
    if (end === 'failed') wanted.set(`${taskId} given_back`, amountMinor);
  }
  const sums = new Map<string, bigint>();
  const causes = new Map<string, bigint>();
  for (const { cause_id: cause, kind, member_id: id, currency, amount_minor } of memberEntries) {
    const amount = BigInt(amount_minor);
    const account = `${id} ${currency}`;
    sums.set(account, (sums.get(account) ?? 0n) + amount);
    if (kind === 'deposited') continue;
    const name = `${cause} ${kind}`;
    causes.set(name, (causes.get(name) ?? 0n) + amount);
    const should = wanted.get(name);
    if (should !== amount) find('balance_differs', cause, `${kind} ${amount}, not ${should}`);
  }
  for (const [name, amount] of wanted) {
    if (causes.has(name)) continue;
    find(
      'balance_differs',
      name.split(' ')[0] ?? '',
      `${name} of ${amount} is not in the money log`,
    );
  }
  for (const { id, currency, balance_minor } of members) {
    const [has, should] = [BigInt(balance_minor), sums.get(`${id} ${currency}`) ?? 0n];
    if (has !== should) find('balance_differs', id, `${has}, the money log makes ${should}`);
    if (has < 0n) find('balance_differs', id, `${has} is below zero`);
  }
}
