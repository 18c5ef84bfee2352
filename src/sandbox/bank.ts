import type { Book } from './book.js';
import { chance, chanceBetween } from './chance.js';
import type { ChannelSpec, DeclineOutcome } from './channel-spec.js';

/** What the banks behind a channel would do with an order: the same for the same seed and order. */
export interface Fate {
  readonly decline: DeclineOutcome | null;
  /** Before the channel answers. */
  readonly answerAfterMs: number;
  /** From acceptance to the decision, where the channel decides later. */
  readonly settleAfterMs: number;
  /** Whether the payer pays at once, has to be waited for, or never does. */
  readonly payer: 'pays' | 'pays_later' | 'never_pays';
}

export interface Asked {
  readonly orderNo: string;
  readonly amountMinor: number;
  readonly accountToken: string;
  readonly bank: string;
}

/** `tok_<word>_…` fixes what happens to every order on that account, at every channel. */
const tokenFates: Readonly<Record<string, DeclineOutcome | 'succeeds'>> = {
  ok: 'succeeds',
  later: 'succeeds',
  unpaid: 'succeeds',
  empty: 'succeeds',
  slow: 'succeeds',
  insufficient: 'insufficient_funds',
  closed: 'account_closed',
  invalid: 'account_invalid',
  cancelled: 'cancelled_by_borrower',
  risk: 'risk_refused',
  limit: 'limit_exceeded',
  bankdown: 'bank_unavailable',
  nocontract: 'contract_missing',
};

const slowFactor = 10;
const payerThinksMs = 2_000;

export function fateOf(
  seed: string,
  latencyScale: number,
  spec: ChannelSpec,
  book: Book,
  asked: Asked,
): Fate {
  const word = /^tok_([a-z]+)_/.exec(asked.accountToken)?.[1] ?? '';
  const key = [seed, spec.id, asked.orderNo] as const;
  const scale = latencyScale * (word === 'slow' ? slowFactor : 1);
  return {
    decline: ruleDecline(spec, book, asked) ?? accountDecline(word, spec, key),
    answerAfterMs: scale * chanceBetween(spec.answerMs, ...key, 'answer'),
    settleAfterMs:
      scale * chanceBetween(spec.settleMs, ...key, 'settle') +
      (word === 'later' ? latencyScale * payerThinksMs : 0),
    payer: payers.get(word) ?? 'pays',
  };
}

const payers: ReadonlyMap<string, Fate['payer']> = new Map([
  ['later', 'pays_later'],
  ['unpaid', 'never_pays'],
]);

function ruleDecline(spec: ChannelSpec, book: Book, asked: Asked): DeclineOutcome | null {
  if (spec.anyBank === true) return null;
  const bankMax = Object.hasOwn(spec.banks, asked.bank) ? spec.banks[asked.bank] : undefined;
  if (bankMax === undefined) return 'bank_unsupported';
  const most = Math.min(spec.amountMax, bankMax);
  if (asked.amountMinor < spec.amountMin || asked.amountMinor > most) return 'limit_exceeded';
  const taken = book.takenToday(spec.id, asked.accountToken, Date.now());
  return taken + asked.amountMinor > spec.accountDailyMax ? 'limit_exceeded' : null;
}

function accountDecline(
  word: string,
  spec: ChannelSpec,
  key: readonly [string, string, string],
): DeclineOutcome | null {
  const fixed = Object.hasOwn(tokenFates, word) ? tokenFates[word] : undefined;
  if (fixed !== undefined) return fixed === 'succeeds' ? null : fixed;
  let draw = chance(...key, 'decline');
  for (const [code, share] of Object.entries(spec.declines)) {
    draw -= share;
    if (draw < 0) return code as DeclineOutcome;
  }
  return null;
}

export function feeOf(spec: ChannelSpec, amountMinor: number): number {
  const byShare = spec.fee.flat + Math.ceil((amountMinor * spec.fee.basisPoints) / 10_000);
  return Math.min(spec.fee.max, byShare);
}
