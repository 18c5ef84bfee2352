import type { Answer, ChargeAnswer, QueryAnswer } from '../engine/reply.js';
import type { ChannelId } from '../ids.js';
import { assertNever } from '../assert.js';

/** Something a channel did or failed to do, as far as routing cares. */
export interface Observation {
  readonly channelId: ChannelId;
  readonly bankCode: string;
  /** `charge`: the reply to placing an order. `later`: a query, a close or a callback about it. */
  readonly via: 'charge' | 'later';
  readonly kind: Answer['kind'];
  /** The decline's code, the proof of `not_executed` or the why of `unknown`. */
  readonly code?: string | undefined;
  /** When it was observed (not when the order was placed), ms since the epoch. */
  readonly atMs: number;
}

/** Decline codes that are about the channel, as data: the codes belong to the channels' profiles. */
export interface DeclineClassification {
  /** The channel is at fault: it counts against its success rate and moves its breaker. */
  readonly channelFaults: ReadonlySet<string>;
  /** The bank behind it is: it counts against the channel with that bank and no further. */
  readonly bankFaults: ReadonlySet<string>;
}

export const declineDefaults: DeclineClassification = {
  channelFaults: new Set(['channel_unavailable']),
  bankFaults: new Set(['bank_unavailable']),
};

/** What an observation says. `null` where it says nothing. */
export interface Evidence {
  /** For the success rate of the channel with this bank. */
  readonly success: boolean | null;
  /** For the channel's breaker: did it answer when an order was placed? */
  readonly answered: boolean | null;
}

const nothing: Evidence = { success: null, answered: null };
const answeredOnly: Evidence = { success: null, answered: true };
const bad: Evidence = { success: false, answered: false };

export function evidenceOf(
  { via, kind, code = '' }: Pick<Observation, 'via' | 'kind' | 'code'>,
  declines: DeclineClassification = declineDefaults,
): Evidence {
  const evidence = evidenceOfReply(kind, code, declines);
  if (via === 'charge') return evidence;
  // A charge that got no answer was counted when it got none. What is learnt later adds the outcome
  // of an order, if there is one, and says nothing of whether placing orders works now.
  const isOutcome = kind === 'succeeded' || kind === 'declined';
  return isOutcome ? { success: evidence.success, answered: null } : nothing;
}

function evidenceOfReply(
  kind: Answer['kind'],
  code: string,
  declines: DeclineClassification,
): Evidence {
  switch (kind) {
    case 'succeeded':
      return { success: true, answered: true };
    case 'declined':
      if (declines.channelFaults.has(code)) return bad;
      if (declines.bankFaults.has(code)) return { success: false, answered: true };
      // No money, a closed card, a borrower who said no: nothing of this is the channel's doing.
      return answeredOnly;
    case 'unknown':
      // Our own process died: the channel was not even asked, for all we know.
      return code === 'taken_over' ? nothing : bad;
    case 'not_executed':
      // Closed or expired orders were closed by us; only an order that could not be sent counts.
      return code === '' || code === 'not_sent' ? bad : nothing;
    case 'mismatch':
      // It answers about other orders than it is asked about.
      return bad;
    case 'pending':
    case 'not_found':
    case 'closed':
    case 'refused':
      return answeredOnly;
    default:
      return assertNever(kind);
  }
}

/** The observation that an answer amounts to. */
export function observationOf(
  answer: ChargeAnswer | QueryAnswer,
  about: Pick<Observation, 'channelId' | 'bankCode' | 'via' | 'atMs'>,
): Observation {
  return { ...about, kind: answer.kind, code: codeOf(answer) };
}

function codeOf(answer: ChargeAnswer | QueryAnswer): string | undefined {
  switch (answer.kind) {
    case 'declined':
      return answer.code;
    case 'not_executed':
      return answer.proof;
    case 'unknown':
      return answer.why;
    default:
      return undefined;
  }
}
