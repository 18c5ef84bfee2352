/**
 * One order at one channel, as the log tells it: what is known of it, when to ask again, and what
 * proves it dead.
 */
import { assertNever } from '../assert.js';
import { isPlacing, type EntryOf, type Intent } from './entries.js';
import type { ChannelNature, Order } from './order.js';
import type { NotExecutedProof, NotFound, Reply, UnknownWhy } from './reply.js';

export type AttemptStatus =
  'sending' | 'pending' | 'unknown' | 'succeeded' | 'declined' | 'not_executed';

export interface Attempt {
  readonly no: number;
  readonly order: Order;
  readonly nature: ChannelNature;
  readonly status: AttemptStatus;
  /** More than one send, or a taken over one: "not sent" then says nothing about the others. */
  readonly sends: number;
  /** The channel has shown that it knows the order; a later "not found" is then no proof. */
  readonly seen: boolean;
  /**
   * When the last query that answered "not found" was sent, if nothing has happened since; by the channel's
   * clock where that was earlier: the order expires by it, and ours may be ahead.
   */
  readonly notFoundSentAtMs: number | null;
  readonly closeConfirmed: boolean;
  /** Asks used up of the poll schedule. */
  readonly asks: number;
  /** `asks` when the order was last told to close: one close an ask, at most. */
  readonly closedAtAsk: number;
  /** When to ask next; null when nothing is to be asked, or the schedule is used up. */
  readonly nextAskMs: number | null;
  readonly channelRef: string | null;
  readonly decline: Extract<Reply, { kind: 'declined' }> | null;
  readonly proof: NotExecutedProof | null;
  /** We kept it back ourselves: its channel was never asked. */
  readonly withheld: boolean;
  /** Why the outcome was last unknown; kept when it is found out, for the report. */
  readonly unknownWhy: UnknownWhy | 'taken_over' | null;
  readonly endedAtMs: number | null;
  /** The place in the log that first told of its success. */
  readonly succeededSeq: number | null;
  /**
   * The place in the log at which it was found that this capture belongs to nobody: the task had
   * ended without it. It is owed back unless a decision adopts it. Null: not so.
   */
  readonly excessSeq: number | null;
  /** How often the channel took the money; above one it did so by itself, and owes the rest back. */
  readonly captures: number;
  /** A decision says that this excess capture is to be credited after all. */
  readonly adopted: boolean;
}

export const isLive = (attempt: Attempt): boolean =>
  attempt.status === 'sending' || attempt.status === 'pending' || attempt.status === 'unknown';

export const isDead = (attempt: Attempt): boolean =>
  attempt.status === 'declined' || attempt.status === 'not_executed';

export function newAttempt(entry: Intent): Attempt {
  return {
    no: entry.attemptNo,
    order: entry.order,
    nature: entry.nature,
    status: 'sending',
    sends: 1,
    seen: false,
    notFoundSentAtMs: null,
    closeConfirmed: false,
    asks: 0,
    closedAtAsk: 0,
    nextAskMs: null,
    channelRef: null,
    decline: null,
    proof: null,
    withheld: false,
    unknownWhy: null,
    endedAtMs: null,
    succeededSeq: null,
    excessSeq: null,
    captures: 1,
    adopted: false,
  };
}

/** Rule 8. Null: not proven, however long it has been not found. */
export function proofOfDeath(attempt: Attempt): 'closed' | 'expired_unseen' | null {
  const { nature, order } = attempt;
  if (nature.closeProof === 'refuses_unseen' && attempt.closeConfirmed) return 'closed';
  const deadAtMs = order.expiresAtMs + nature.visibilityMs;
  const askedSince = attempt.notFoundSentAtMs !== null && attempt.notFoundSentAtMs >= deadAtMs;
  return nature.honoursExpiry && !attempt.seen && askedSince ? 'expired_unseen' : null;
}

/** What an answer makes of an attempt. */
export function answered(attempt: Attempt, entry: EntryOf<'replied'>): Attempt {
  const { answer } = entry;
  if (answer.kind === 'succeeded') {
    const { channelRef } = answer;
    const endedAtMs = attempt.endedAtMs ?? entry.atMs;
    return { ...attempt, status: 'succeeded', seen: true, channelRef, nextAskMs: null, endedAtMs };
  }
  // A dead attempt or a captured one moves for a success alone; the rest is for a person to see.
  if (!isLive(attempt)) return attempt;
  const open = {
    ...attempt,
    status: attempt.status === 'sending' ? 'unknown' : attempt.status,
  } as const;
  switch (answer.kind) {
    case 'declined':
      return {
        ...attempt,
        status: 'declined',
        seen: true,
        decline: answer,
        nextAskMs: null,
        endedAtMs: entry.atMs,
      };
    case 'not_executed':
      return notExecuted(attempt, open, answer, entry);
    case 'pending':
      return askLater(
        {
          ...open,
          status: 'pending',
          seen: true,
          channelRef: answer.channelRef ?? open.channelRef,
        },
        entry,
      );
    case 'not_found':
      return askLater(
        { ...open, notFoundSentAtMs: entry.via === 'query' ? notFoundAtMs(answer, entry) : null },
        entry,
      );
    case 'closed':
      return askLater({ ...open, closeConfirmed: true }, entry);
    case 'refused':
      return askLater({ ...open, seen: true }, entry);
    case 'unknown':
      return askLater({ ...open, unknownWhy: answer.why }, entry);
    case 'mismatch':
      // It speaks of our order, if not well: the channel knows it.
      return askLater({ ...open, seen: open.seen || answer.field !== 'order_no' }, entry);
    default:
      return assertNever(answer);
  }
}

/** What the channel or the wire says of its own accord; the proof by time is ours (`proofOfDeath`). */
function notExecuted(
  attempt: Attempt,
  open: Attempt,
  { proof, withheld }: Extract<Reply, { kind: 'not_executed' }>,
  entry: EntryOf<'replied'>,
): Attempt {
  // "Not sent" speaks of one send only; where there was another, the order may be alive.
  if (proof === 'not_sent' && isPlacing(entry.via) && attempt.sends === 1) {
    return { ...dead(attempt, proof, entry.atMs), withheld: withheld === true };
  }
  return askLater({ ...open, closeConfirmed: open.closeConfirmed || proof === 'closed' }, entry);
}

export const dead = (attempt: Attempt, proof: NotExecutedProof, atMs: number): Attempt => ({
  ...attempt,
  status: 'not_executed',
  proof,
  nextAskMs: null,
  endedAtMs: atMs,
});

const notFoundAtMs = (
  { saidAtMs = Infinity }: NotFound,
  { sentAtMs }: EntryOf<'replied'>,
): number => Math.min(saidAtMs, sentAtMs);

/** Plans the next ask: by the schedule, and once more when a "not found" would be proof. */
function askLater(attempt: Attempt, entry: EntryOf<'replied'>): Attempt {
  const { nature } = attempt;
  const asks = attempt.asks + (entry.via === 'query' ? 1 : 0);
  const pause = nature.pollScheduleMs[asks] ?? pauseAfterClose(nature, asks, entry);
  const proofMs = nature.honoursExpiry && !attempt.seen ? nextProofMs(attempt, asks, entry) : null;
  const scheduledMs = pause === undefined ? Infinity : entry.atMs + pause;
  const nextAskMs = Math.min(scheduledMs, proofMs ?? Infinity);
  const stillNotFound = entry.answer.kind === 'not_found' ? attempt.notFoundSentAtMs : null;
  return {
    ...attempt,
    asks,
    notFoundSentAtMs: stillNotFound,
    nextAskMs: Number.isFinite(nextAskMs) ? nextAskMs : null,
  };
}

/** Asks past the end of the schedule, where one more answer would be proof. */
const proofAsksMax = 5;

/** A close that was not confirmed has most likely met what is to be heard of: it is asked about. */
function pauseAfterClose(
  { pollScheduleMs }: ChannelNature,
  asks: number,
  { via }: EntryOf<'replied'>,
): number | undefined {
  const asksAgain = via === 'close' && asks < pollScheduleMs.length + proofAsksMax;
  return asksAgain ? pollScheduleMs.at(-1) : undefined;
}

/** When to ask for the sake of the proof by time: at its moment, and again if that went unheard. */
function nextProofMs(attempt: Attempt, asks: number, entry: EntryOf<'replied'>): number | null {
  const { nature, order } = attempt;
  const deadAtMs = order.expiresAtMs + nature.visibilityMs;
  if (entry.atMs < deadAtMs) return deadAtMs;
  if (asks >= nature.pollScheduleMs.length + proofAsksMax) return null;
  // It was asked in time by our clock, and too early by the channel's: once more when that is there.
  const aheadMs = deadAtMs - (attempt.notFoundSentAtMs ?? deadAtMs);
  return entry.atMs + (aheadMs > 0 ? aheadMs : (nature.pollScheduleMs.at(-1) ?? 0));
}
