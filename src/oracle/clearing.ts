/**
 * The ledger's totals against the other sides' books, without the messages between: what a channel or a
 * service holds for us by its own book is what its clearing account says, and what members' balances
 * moved is what the ledger has of them.
 */
import type { BookedOperation, BookedOrder, Evidence } from './evidence.js';
import type { OrderStory, TaskStory } from './task-story.js';
import type { Violation } from './verdict.js';

/** What an order that is carried out does to what the other side holds for us. A card's balance is not ours. */
const signs: Readonly<Record<BookedOperation, bigint>> = {
  charge: 1n,
  debit: 1n,
  refund: -1n,
  payout: -1n,
  restore: -1n,
  pre_recharge: 0n,
  credit: 0n,
  void: 0n,
};

export function judgeClearing(
  { books, accounts, memberEntries = [], deadLetters = [], quiet }: Evidence,
  stories: ReadonlyMap<string, TaskStory>,
): readonly Violation[] {
  // What is not in the books yet, or is before a person, is missed message by message (ledger.ts).
  if (accounts === undefined || !quiet || deadLetters.length > 0) return [];
  const has = new Map<string, bigint>();
  for (const { account, debit_minor: debit, credit_minor: credit } of accounts) {
    has.set(account, (has.get(account) ?? 0n) + BigInt(debit) - BigInt(credit));
  }
  const wanted = heldElsewhere(books, stories);
  const moved = memberEntries.filter(({ kind }) => kind !== 'deposited');
  wanted.set(
    'member_balances',
    moved.reduce((sum, { amount_minor: amount }) => sum - BigInt(amount), 0n),
  );
  for (const account of has.keys()) {
    if (account.startsWith('channel_clearing:') && !wanted.has(account)) wanted.set(account, 0n);
  }
  return [...wanted]
    .filter(([account, sum]) => (has.get(account) ?? 0n) !== sum)
    .map(([about, sum]) => ({
      kind: 'books_differ',
      about,
      detail: `the ledger has ${has.get(about) ?? 0n}, the other side's book ${sum}`,
    }));
}

/**
 * By clearing account. Where an order was laid before a person, and of what a channel did again by
 * itself, it counts what our log has heard.
 */
function heldElsewhere(
  books: readonly BookedOrder[],
  stories: ReadonlyMap<string, TaskStory>,
): Map<string, bigint> {
  const heard = new Map<string, OrderStory>();
  const shown = new Map<string, OrderStory>();
  for (const { cases, orders } of stories.values()) {
    for (const order of orders.values()) heard.set(order.orderNo, order);
    for (const { attemptNo } of cases.values()) {
      const order = orders.get(attemptNo);
      if (order !== undefined) shown.set(order.orderNo, order);
    }
  }
  const held = new Map<string, bigint>();
  const move = (channelId: string, operation: BookedOperation, sum: bigint): void => {
    const account = `channel_clearing:${channelId}`;
    held.set(account, (held.get(account) ?? 0n) + signs[operation] * sum);
  };
  for (const { channelId, orderNo, operation = 'charge', captures, refunds = [] } of books) {
    if (!shown.has(orderNo)) {
      const known = heard.get(orderNo)?.captures ?? 0;
      move(channelId, operation, sumOf(captures.filter(({ own }, at) => !own || at < known)));
    }
    move(channelId, 'refund', sumOf(refunds.filter((one) => !shown.has(one.orderNo ?? ''))));
  }
  for (const { channelId, operation, status, captures, amountMinor } of shown.values()) {
    move(channelId, operation, status === 'succeeded' ? BigInt(captures) * amountMinor : 0n);
  }
  return held;
}

const sumOf = (all: readonly { readonly amountMinor: bigint }[]): bigint =>
  all.reduce((sum, { amountMinor }) => sum + amountMinor, 0n);
