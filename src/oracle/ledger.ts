/** Messages to the books: one a fact of the log, and one entry in the books a message. */
import type { BookedOperation, Evidence } from './evidence.js';
import type { TaskStory } from './log-story.js';
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
    if (kind === 'top_up') onTopUp(story, facts);
    if (kind === 'withdrawal' || kind === 'top_up') continue;
    const topic = kind === 'refund' ? 'ledger.refund_paid' : 'ledger.repayment_collected';
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

/** Each payment, credit and refund of a top-up that we have heard of, whatever became of the top-up. */
function onTopUp({ taskId, orders, creditMinor }: TaskStory, facts: Map<string, bigint>): void {
  for (const { operation, attemptNo, amountMinor, doneAt } of orders.values()) {
    const topic = topUpTopics[operation];
    if (topic === undefined || doneAt === 0) continue;
    facts.set(
      `ledger.${topic} ${taskId}/${attemptNo}`,
      operation === 'credit' ? creditMinor : amountMinor,
    );
  }
}

const topUpTopics: Partial<Readonly<Record<BookedOperation, string>>> = {
  charge: 'top_up_paid',
  credit: 'top_up_credited',
  refund: 'top_up_refunded',
};

function countBy(names: readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}
