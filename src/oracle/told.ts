/** What callers were told against what there is: an answer that was given is kept, and each key did one thing. */
import type { Evidence, ToldRow } from './evidence.js';
import type { TaskStory } from './task-story.js';
import type { Violation } from './verdict.js';

export function judgeTold(
  { told, memberEntries = [] }: Evidence,
  stories: ReadonlyMap<string, TaskStory>,
): readonly Violation[] {
  if (told === undefined) return [];
  const found: Violation[] = [];
  const find = (about: string, detail: string): void =>
    void found.push({ kind: 'told_otherwise', about, detail });
  const deposits = new Map<string, bigint>();
  for (const { kind, cause_id: cause, amount_minor: amount } of memberEntries) {
    if (kind === 'deposited') deposits.set(cause, (deposits.get(cause) ?? 0n) + BigInt(amount));
  }
  const here = ({ kind, id }: ToldRow): bigint | undefined => {
    if (kind === 'deposit') return deposits.get(id ?? '');
    const story = stories.get(id ?? '');
    return story?.kind === kind ? story.amountMinor : undefined;
  };
  for (const row of told) {
    const { kind, key, id, amountMinor } = row;
    if (id === null) continue;
    const has = here(row);
    if (has === undefined) find(id, `${kind} ${key} was accepted, and is not there`);
    else if (has !== amountMinor) find(id, `${kind} ${key} is of ${has}, not ${amountMinor}`);
  }
  for (const kind of ['deposit', 'withdrawal', 'top_up'] as const) {
    const those = told.filter((row) => row.kind === kind);
    const ids = new Set(those.flatMap(({ id }) => id ?? []));
    const unanswered = those.filter(({ id }) => id === null).length;
    const there =
      kind === 'deposit'
        ? [...deposits.keys()]
        : [...stories.values()].filter((one) => one.kind === kind).map(({ taskId }) => taskId);
    const unasked = there.filter((id) => !ids.has(id));
    // Whoever heard nothing may have been heard.
    if (unasked.length <= unanswered) continue;
    for (const id of unasked) find(id, `a ${kind} that nobody was told of`);
  }
  return found;
}
