import type { NoticeAnswer, Verdict } from './ports.js';

export interface BackOffSettings {
  /** Waits after each try in vain; the last of them is used until the end. */
  readonly retryMs: readonly number[];
  /** How long after its first try a delivery is given up. */
  readonly giveUpMs: number;
}

export interface Tried {
  /** Tries in vain before this one. */
  readonly tries: number;
  readonly beganAtMs: number;
  readonly nowMs: number;
}

/** What a destination asks us to wait, at most. */
const askedMsMax = 3_600_000;

/**
 * What follows from an answer. Anything but a 2xx is tried again: a receiver in the middle of its own
 * deployment answers anything at all. The last try is made when the day is over, not before.
 *
 * @param random 0..1; waits vary by a fifth, so that what failed together does not come back together.
 */
export function verdictOn(
  answer: NoticeAnswer,
  { tries, beganAtMs, nowMs }: Tried,
  { retryMs, giveUpMs }: BackOffSettings,
  random: number,
): Verdict {
  const status = answer.kind === 'answered' ? answer.status : null;
  if (status !== null && status >= 200 && status < 300) return { kind: 'delivered' };
  if (status === 410) return { kind: 'gone' };
  const lastMs = beganAtMs + giveUpMs;
  if (nowMs >= lastMs) return { kind: 'exhausted' };
  const ownMs = (retryMs[tries] ?? retryMs.at(-1) ?? giveUpMs) * (0.8 + 0.4 * random);
  const askedMs = answer.kind === 'answered' ? (answer.retryAfterMs ?? 0) : 0;
  const waitMs = Math.max(ownMs, Math.min(askedMs, askedMsMax));
  return { kind: 'again', atMs: Math.min(Math.round(nowMs + waitMs), lastMs) };
}
