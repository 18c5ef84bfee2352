/** Messages to the books: one a fact of the log, and one entry in the books a message. */
import type { BookedOperation, Evidence } from './evidence.js';
import type { TaskStory } from './task-story.js';
import type { Violation, ViolationKind } from './verdict.js';

/** What the log wants told: topic and key, and the amount. */
type Facts = ReadonlyMap<string, bigint>;

const nameOf = ({ topic, message_key: key }: { topic: string; message_key: string }): string =>
  `${topic} ${key}`;

export function judgeLedger(
  { outbox, posted, deadLetters = [], quiet }: Evidence,
  stories: ReadonlyMap<string, TaskStory>,
): readonly Violation[] {
  const found: Violation[] = [];
  const find = (kind: ViolationKind, about: string, detail: string): void =>
    void found.push({ kind, about, detail });
  const facts = factsOf(stories);
  const messages = countBy(outbox.map(nameOf));
  for (const name of new Set([...facts.keys(), ...messages.keys()])) {
    const [count, wanted] = [messages.get(name) ?? 0, facts.has(name) ? 1 : 0];
    if (count !== wanted) find('ledger_differs', name, `${count} messages, ${wanted} wanted`);
  }
  if (posted === undefined) return found;
  const entries = countBy(posted.map(nameOf));
  const given = new Set(deadLetters.map(nameOf));
  for (const row of posted) {
    const wanted = facts.get(nameOf(row));
    if (wanted === undefined)
      find('books_differ', nameOf(row), 'posted, and the log has no such fact');
    else if (BigInt(row.amount_minor) !== wanted) {
      find('books_differ', nameOf(row), `posted ${row.amount_minor}, the log says ${wanted}`);
    }
  }
  for (const [name, count] of entries) {
    if (count > 1) find('books_differ', name, `posted ${count} times`);
  }
  for (const name of facts.keys()) {
    const missing = quiet && !entries.has(name) && !given.has(name);
    if (missing) find('books_differ', name, 'in no books, and before no person');
  }
  return found;
}

function factsOf(stories: ReadonlyMap<string, TaskStory>): Facts {
  const facts = new Map<string, bigint>();
  for (const story of stories.values()) {
    const { taskId, kind, end, amountMinor, orders } = story;
    if (kind === 'withdrawal' || kind === 'top_up') {
      onFlow(story, facts);
      continue;
    }
    const topic = endTopicOf(story);
    if (end === 'succeeded') facts.set(`${topic} ${taskId}`, amountMinor);
    if (kind === 'refund') continue;
    for (const order of orders.values()) {
      const name = `ledger.late_capture ${order.orderNo}`;
      if (order.excess) facts.set(name, order.amountMinor);
      for (let nth = 2; nth <= order.captures; nth += 1) {
        facts.set(`${name}.${nth}`, order.amountMinor);
      }
    }
  }
  return facts;
}

function endTopicOf({ kind, refund }: TaskStory): string {
  if (kind !== 'refund') return 'ledger.repayment_collected';
  return refund?.topUpId === undefined ? 'ledger.refund_paid' : 'ledger.top_up_refunded';
}

/** Whatever became of the task: each of these orders that we have heard of, and a balance of ours. */
function onFlow(story: TaskStory, facts: Map<string, bigint>): void {
  const { taskId, orders, creditMinor, kind, withdrawal, amountMinor, end } = story;
  for (const { operation, attemptNo, doneAt, captures } of orders.values()) {
    const topic = topics[kind][operation];
    if (topic === undefined || doneAt === 0) continue;
    const name = `ledger.${topic} ${taskId}/${attemptNo}`;
    facts.set(name, operation === 'credit' ? creditMinor : amountMinor);
    for (let nth = 2; nth <= captures; nth += 1) facts.set(`${name}.${nth}`, amountMinor);
  }
  if (kind !== 'withdrawal' || withdrawal?.funding !== null) return;
  facts.set(`ledger.withdrawal_taken ${taskId}`, amountMinor);
  if (end === 'failed') facts.set(`ledger.withdrawal_given_back ${taskId}`, amountMinor);
}

type Topics = Partial<Readonly<Record<BookedOperation, string>>>;

const topics: Readonly<Record<TaskStory['kind'], Topics>> = {
  deduction: {},
  refund: {},
  withdrawal: {
    debit: 'withdrawal_taken',
    payout: 'withdrawal_paid',
    restore: 'withdrawal_given_back',
  },
  top_up: { charge: 'top_up_paid', credit: 'top_up_credited', refund: 'top_up_refunded' },
};

function countBy(names: readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}
