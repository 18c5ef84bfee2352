/** What the log tells of the day, counted: failovers, unknowns, what was resumed. Pure. */
import type { LogRow } from '../oracle/index.js';
import type { HeldTask } from './our-books.js';

export interface Tally {
  readonly what: string;
  readonly count: number;
}

export interface Unknowns {
  readonly attempts: number;
  /** Attempts whose outcome is still not known. */
  readonly open: number;
  /** `timeout → query: succeeded` -> 12. */
  readonly settled: readonly Tally[];
}

/** A deduction that left a channel for another: which, and why it was allowed to. */
export function failovers(log: readonly LogRow[]): readonly Tally[] {
  const tally = new Map<string, number>();
  const last = new Map<string, { channelId: string; why: string }>();
  for (const { taskId, kind, body } of log) {
    const before = last.get(taskId);
    if (kind === 'charge_intended' && body.order !== undefined) {
      const { channelId } = body.order;
      if (before !== undefined) add(tally, `${before.channelId} → ${channelId}: ${before.why}`);
      last.set(taskId, { channelId, why: '' });
      continue;
    }
    if (before === undefined) continue;
    const why = definite(kind, body);
    if (why !== null) before.why = why;
  }
  return sorted(tally);
}

/** Every attempt whose outcome was not known at some time, and what settled it. */
export function unknowns(log: readonly LogRow[]): Unknowns {
  const unsure = new Map<string, string>();
  const tally = new Map<string, number>();
  const resent = new Set<string>();
  let attempts = 0;
  for (const { taskId, kind, body } of log) {
    const key = `${taskId} ${body.attemptNo}`;
    if (kind === 'resend_intended') resent.add(key);
    const doubt = doubtOf(kind, body);
    if (doubt !== null && !unsure.has(key)) {
      attempts += 1;
      unsure.set(key, doubt);
    }
    const why = unsure.get(key);
    if (why === undefined || why === 'settled') continue;
    const how = settlement(kind, body);
    if (how === null) continue;
    add(tally, `${why} → ${resent.has(key) ? 'sent again, ' : ''}${how}`);
    unsure.set(key, 'settled');
  }
  const open = [...unsure.values()].filter((why) => why !== 'settled').length;
  return { attempts, open, settled: sorted(tally) };
}

function doubtOf(kind: string, body: LogRow['body']): string | null {
  if (kind === 'taken_over') return 'process died';
  if (kind !== 'replied' || body.via !== 'charge') return null;
  return body.answer?.kind === 'unknown' ? (body.answer.why ?? 'unknown') : null;
}

function settlement(kind: string, { via, answer, proof }: LogRow['body']): string | null {
  if (kind === 'not_executed') return proofs[proof ?? ''] ?? `not executed (${proof})`;
  if (kind !== 'replied') return null;
  if (answer?.kind === 'succeeded') return `${via}: succeeded`;
  return answer?.kind === 'declined' ? `${via}: declined` : null;
}

const proofs: Readonly<Record<string, string>> = {
  not_sent: 'never sent',
  closed: 'closed at the channel: not executed',
  expired_unseen: 'not found after its expiry: not executed',
};

function definite(kind: string, { answer, proof, via }: LogRow['body']): string | null {
  if (kind === 'not_executed') return `not executed (${proof})`;
  if (kind !== 'replied') return null;
  if (answer?.kind === 'declined') return answer.code ?? 'declined';
  return answer?.kind === 'not_executed' && via === 'charge' ? 'not sent' : null;
}

export interface Resumed {
  /** Tasks of the dead process that another one has carried on. */
  readonly tasks: number;
  /** Of these, those that died between the intent and the answer. */
  readonly midCall: number;
  /** Of these, taken over by an entry that says so. */
  readonly takenOver: number;
  /** What became of those that died in mid-call. */
  readonly outcomes: readonly Tally[];
}

/** What a dead process had in its hands, and who went on with it. */
export function resumed(
  held: readonly HeldTask[],
  deadInstance: string,
  log: readonly LogRow[],
  statusOf: ReadonlyMap<string, string>,
): Resumed {
  const carriedOn = new Set<string>();
  const takenOver = new Set<string>();
  const heldAt = new Map(held.map(({ taskId, seq }) => [taskId, seq]));
  for (const { taskId, seq, writer, kind } of log) {
    const at = heldAt.get(taskId);
    if (at === undefined || seq <= at || writer.startsWith(`${deadInstance}.`)) continue;
    carriedOn.add(taskId);
    if (kind === 'taken_over' && seq === at + 1) takenOver.add(taskId);
  }
  const midCall = held.filter((task) => task.midCall && carriedOn.has(task.taskId));
  const tally = new Map<string, number>();
  for (const { taskId } of midCall) add(tally, statusOf.get(taskId) ?? 'gone');
  return {
    tasks: carriedOn.size,
    midCall: midCall.length,
    takenOver: takenOver.size,
    outcomes: sorted(tally),
  };
}

export interface ChannelDay {
  readonly channelId: string;
  readonly orders: number;
  readonly succeeded: number;
  readonly declined: number;
  readonly notExecuted: number;
  readonly open: number;
  readonly collectedMinor: bigint;
}

export function byChannel(
  orders: readonly { channelId: string; status: string; amountMinor: bigint }[],
): readonly ChannelDay[] {
  const days = new Map<string, ChannelDay>();
  for (const { channelId, status, amountMinor } of orders) {
    const day = days.get(channelId) ?? {
      channelId,
      orders: 0,
      succeeded: 0,
      declined: 0,
      notExecuted: 0,
      open: 0,
      collectedMinor: 0n,
    };
    const one = (name: string): number => (status === name ? 1 : 0);
    days.set(channelId, {
      ...day,
      orders: day.orders + 1,
      succeeded: day.succeeded + one('succeeded'),
      declined: day.declined + one('declined'),
      notExecuted: day.notExecuted + one('not_executed'),
      open: day.open + one('open'),
      collectedMinor: day.collectedMinor + (status === 'succeeded' ? amountMinor : 0n),
    });
  }
  return [...days.values()].sort((a, b) => b.orders - a.orders);
}

function add(tally: Map<string, number>, what: string): void {
  tally.set(what, (tally.get(what) ?? 0) + 1);
}

const sorted = (tally: ReadonlyMap<string, number>): readonly Tally[] =>
  [...tally].map(([what, count]) => ({ what, count })).sort((a, b) => b.count - a.count);
