/**
 * The channels to practise on: what each promises (its nature), whom it serves, what it costs and
 * how it writes things down. The engine learns the same facts only from its own channel profiles.
 */

/** What can become of a request, in the sandbox's own words; each channel has its own codes. */
export const outcomes = [
  'succeeded',
  'processing',
  'not_found',
  'insufficient_funds',
  'account_closed',
  'account_invalid',
  'cancelled_by_borrower',
  'risk_refused',
  'limit_exceeded',
  'bank_unsupported',
  'bank_unavailable',
  'contract_missing',
  'channel_unavailable',
  'refund_refused',
  'insufficient_balance',
  'voided',
  'already_credited',
  'already_restored',
  'original_unknown',
  'duplicate_order',
  'order_conflict',
  'order_expired',
  'order_closed',
  'closed',
  'close_refused',
  'bad_signature',
  'bad_request',
  'throttled',
  'system_error',
] as const;

export type Outcome = (typeof outcomes)[number];

export const declineOutcomes = [
  'insufficient_funds',
  'account_closed',
  'account_invalid',
  'cancelled_by_borrower',
  'risk_refused',
  'limit_exceeded',
  'bank_unsupported',
  'bank_unavailable',
  'contract_missing',
  'channel_unavailable',
  /** Nothing was captured there, or not so much is left of it. */
  'refund_refused',
  'insufficient_balance',
  'voided',
  'already_credited',
  'already_restored',
  /** What it is about is not known, or was something else. */
  'original_unknown',
] as const satisfies readonly Outcome[];

export type DeclineOutcome = (typeof declineOutcomes)[number];

const channelIds = ['swiftpay', 'unionlink', 'oldbank', 'voucherpay'] as const;
/** A card system and an account service: processes and books of their own. */
const partyIds = ['cards', 'accounts'] as const;
export const sandboxIds = [...channelIds, ...partyIds] as const;
export type SandboxChannelId = (typeof sandboxIds)[number];

/** What one process is: the four channels, or one of the parties. */
export const sandboxRoles = ['channels', ...partyIds] as const;
export type SandboxRole = (typeof sandboxRoles)[number];

export const idsOf = (role: SandboxRole): readonly SandboxChannelId[] =>
  role === 'channels' ? channelIds : [role];

/** What an order can ask for. */
export const placements = [
  'charge',
  'refund',
  'payout',
  'debit',
  'restore',
  'pre_recharge',
  'credit',
  'void',
] as const;
export type Placement = (typeof placements)[number];

export type Range = readonly [min: number, max: number];

/** What a channel promises of its orders. */
export interface Promises {
  readonly idempotent: boolean;
  readonly honoursExpiry: boolean;
  /** Can close, and refuses a closed number for ever, seen or unseen. */
  readonly tombstones: boolean;
}

/** What differs for payouts. */
export interface PayoutSpec extends Promises {
  readonly amountMax: number;
  readonly fee: ChannelSpec['fee'];
  readonly declines: ChannelSpec['declines'];
}

export interface ChannelSpec extends Promises {
  readonly id: SandboxChannelId;
  readonly wire: 'json' | 'json_flat' | 'form';
  /** What it does besides charges and refunds; a party does nothing else. */
  readonly does?: readonly Placement[];
  /** Absent: it pays nothing out. */
  readonly payouts?: PayoutSpec;
  /** What is on an account, or a card, of which nothing is known yet. */
  readonly openingBalance?: number;
  /** Answers with the final outcome, or accepts and decides later. */
  readonly sync: boolean;
  /** Where an address is set for it. */
  readonly callsBack: boolean;
  /** Callbacks are encrypted with AES-256-GCM. */
  readonly sealsCallbacks?: boolean;
  /** 0: answers about one order at a time. */
  readonly queryManyMax: number;
  /** The longest that a started order stays invisible to a query. Its profile must promise more. */
  readonly visibilityMs: number;
  readonly answerMs: Range;
  readonly settleMs: Range;
  readonly declines: Readonly<Partial<Record<DeclineOutcome, number>>>;
  readonly amountMin: number;
  readonly amountMax: number;
  /** An account's limit in a day (Asia/Shanghai) at this channel. */
  readonly accountDailyMax: number;
  /** Bank code to the most a single order may take from an account there. */
  readonly banks: Readonly<Record<string, number>>;
  /** Whatever bank an account is said to be of. */
  readonly anyBank?: true;
  readonly fee: { readonly flat: number; readonly basisPoints: number; readonly max: number };
  /** An outcome that is not listed is its own name in capitals. */
  readonly codes: Readonly<Partial<Record<Outcome, string>>>;
}

/** A channel pays out on other terms than it charges. */
export const specFor = (spec: ChannelSpec, placement: Placement): ChannelSpec =>
  placement === 'payout' && spec.payouts !== undefined
    ? { ...spec, ...spec.payouts, accountDailyMax: Number.MAX_SAFE_INTEGER }
    : spec;

/** Whether the channel does that at all. */
export function does({ does: listed, payouts }: ChannelSpec, placement: Placement): boolean {
  if (listed !== undefined) return listed.includes(placement);
  return placement === 'payout' ? payouts !== undefined : ['charge', 'refund'].includes(placement);
}
