import { z } from 'zod';
import type { ChannelNature, Operation } from '../engine/order.js';
import { isChannelId } from '../ids.js';
import { amountMinor, currencies } from '../money.js';
import { windowMsDefault } from './freshness.js';
import { offered } from './operations.js';

/**
 * What a channel can do and how it must be treated, as data. Written by people in YAML or JSON
 * (snake_case, amounts in minor units, times with their unit last), imported with
 * `recoup channels import`, kept in the database.
 */
const minor = z
  .number()
  .int()
  .nonnegative()
  .transform((n) => amountMinor(n));
const ms = z.number().int().positive();
const bankCode = z.string().regex(/^[A-Z]{2,12}$/, 'a bank code is 2 to 12 capital letters');
const timeOfDay = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'a time of day is HH:MM');

const declineCodes = [
  'insufficient_funds',
  'account_closed',
  'account_invalid',
  'cancelled_by_borrower',
  'risk_refused',
  'limit_exceeded',
  'bank_unsupported',
  'bank_unavailable',
  'channel_unavailable',
  'contract_missing',
  'order_expired',
  'refund_refused',
  /** The account at the account service holds less than is to be taken. */
  'insufficient_balance',
  /** At a card system: the pre-recharge was voided, and is never credited. */
  'voided',
  /** At a card system: the pre-recharge was credited, and is never voided, nor credited again. */
  'already_credited',
  'already_restored',
  /** What the order is about is not known there, or was something else. */
  'original_unknown',
  'declined_other',
] as const;

/**
 * What a listed code of the channel means for the order that the reply names. A code that is not
 * listed means `unknown` (rule 2). List a code as `declined` only if it speaks of the order and not
 * of this one request: when an order is sent or asked about again, "too many requests" or "bad
 * signature" say nothing about the first sending.
 */
const codeMeaning = z.discriminatedUnion('reply', [
  z.strictObject({ reply: z.literal('succeeded') }),
  z.strictObject({ reply: z.literal('pending') }),
  z.strictObject({ reply: z.literal('not_found') }),
  /** The order is closed. Proof only where `close_proof` says so. */
  z.strictObject({ reply: z.literal('closed') }),
  /** The order can no longer be closed. */
  z.strictObject({ reply: z.literal('close_refused') }),
  z.strictObject({ reply: z.literal('unknown') }),
  z.strictObject({
    reply: z.literal('declined'),
    code: z.enum(declineCodes),
    scope: z.enum(['final', 'other_channel']),
  }),
]);

const path = z.string().regex(/^\/[\w./-]*$/, 'a path starts with / and holds no query');
const header = z
  .string()
  .regex(/^[a-z0-9-]{1,40}$/, 'a header is lower-case letters, digits and -');
/** Dots nest: `account.token` is the field `token` of the object `account`. */
const field = z
  .string()
  .regex(/^[A-Za-z_]\w*(\.[A-Za-z_]\w*)?$/, 'a field is a name, or two with a dot');

/**
 * How a channel of the dialect `json_hmac` writes things down, where it differs from the usual. So
 * another channel of the family is another profile and not another adapter.
 */
export const jsonLayoutSchema = z.strictObject({
  paths: z
    .strictObject({
      charge: path.default('/v1/charges'),
      query: path.default('/v1/charges/query'),
      close: path.default('/v1/charges/close'),
      refund: path.default('/v1/refunds'),
      refund_query: path.default('/v1/refunds/query'),
      payout: path.default('/v1/payouts'),
      payout_query: path.default('/v1/payouts/query'),
      payout_close: path.default('/v1/payouts/close'),
      debit: path.default('/v1/debits'),
      restore: path.default('/v1/restores'),
      pre_recharge: path.default('/v1/pre-recharges'),
      credit: path.default('/v1/credits'),
      void: path.default('/v1/voids'),
      /** Of the five above: what is asked about names its operation. */
      order_query: path.default('/v1/orders/query'),
      order_close: path.default('/v1/orders/close'),
    })
    .prefault({}),
  signature: z
    .strictObject({
      header: header.default('x-signature'),
      timestamp_header: header.default('x-timestamp'),
      /** Names the key, where the profile pins `channel_keys`. */
      serial_header: header.default('x-key-serial'),
      /** On callbacks, where `freshness` asks for one. */
      nonce_header: header.default('x-nonce'),
      timestamp_unit: z.enum(['ms', 's']).default('ms'),
      encoding: z.enum(['hex', 'base64']).default('hex'),
      /** What is signed: `<timestamp>.<body>` or `<body>|<timestamp>`; a nonce joins the timestamp. */
      covers: z.enum(['timestamp_dot_body', 'body_bar_timestamp']).default('timestamp_dot_body'),
    })
    .prefault({}),
  /** An amount is a whole number of minor units, or text with two decimals. */
  amount: z.enum(['minor_integer', 'decimal_text']).default('minor_integer'),
  /** ISO 8601 in UTC, or yyyyMMddHHmmss at UTC+8. */
  time: z.enum(['iso', 'compact']).default('iso'),
  fields: z
    .strictObject({
      merchant: field.default('merchant_id'),
      order_no: field.default('order_no'),
      amount: field.default('amount'),
      currency: field.default('currency'),
      account_token: field.default('account.token'),
      account_bank: field.default('account.bank'),
      account_last4: field.default('account.last4'),
      created_at: field.default('created_at'),
      expires_at: field.default('expires_at'),
      code: field.default('code'),
      message: field.default('message'),
      channel_ref: field.default('channel_ref'),
      original_order_no: field.default('original_order_no'),
      original_channel_ref: field.default('original_channel_ref'),
      operation: field.default('operation'),
      credit_amount: field.default('credit_amount'),
      rule: field.default('rule'),
    })
    .prefault({}),
});

export type JsonLayout = z.output<typeof jsonLayoutSchema>;

/** How the channel's settlement file of a day is written, and how it is held against our book. */
const statement = z.strictObject({
  /** See docs/reconciliation.md: CSV; tab-separated GBK; JSON lines, gzip. */
  format: z.enum(['csv', 'tab_gbk', 'jsonl_gzip']),
  /** An order near midnight may stand in the next day's file: so many days it is waited for. */
  held_days: z.number().int().min(0).max(31).default(2),
  /** What "near midnight" is: clocks differ, and channels close their day when they like. */
  midnight_slack_ms: ms.max(43_200_000).default(1_800_000),
  /** How the share of the fee is brought to a whole minor unit. */
  fee_rounding: z.enum(['half_up', 'up', 'down']).default('half_up'),
});

export type StatementTerms = z.output<typeof statement>;

const keySerial = z.string().regex(/^[\w.-]{1,64}$/, 'a serial is letters, digits, _ . and -');

const limits = z.strictObject({
  per_transaction_max_minor: minor.optional(),
  daily_max_minor: minor.optional(),
});

const transactionLimits = limits.extend({ per_transaction_min_minor: minor.optional() });

const fees = z.strictObject({
  flat_minor: minor,
  basis_points: z.number().int().min(0).max(10_000),
  max_minor: minor.optional(),
});

const closeProof = z.enum(['none', 'refuses_unseen']);

/**
 * What the channel promises of payouts and what they cost. It is never assumed to promise what it
 * promises of charges: left out, it promises nothing. Times, limits, banks and fees that are left out
 * are those of charges; what is used up of a daily limit is counted apart.
 */
const payouts = z.strictObject({
  idempotent: z.boolean().default(false),
  honours_expiry: z.boolean().default(false),
  close_proof: closeProof.default('none'),
  visibility_ms: ms.optional(),
  order_ttl_ms: ms.optional(),
  poll_schedule_ms: z.array(ms).min(1).max(60).optional(),
  limits: transactionLimits.optional(),
  banks: z.record(bankCode, limits).optional(),
  fees: fees.optional(),
});

export const channelProfileSchema = z.strictObject({
  id: z
    .string()
    .refine(isChannelId, 'a channel id is lower-case letters, digits and _, at most 32'),
  name: z.string().min(1).max(80),
  /** The dialect: which adapter speaks to it. */
  adapter: z.enum(['json_hmac', 'form_rsa']),
  /** May hold ${NAME}: taken from the environment when the channel is opened. */
  base_url: z.string().min(1),
  /** For `json_hmac`: names and forms that differ from the usual. */
  layout: jsonLayoutSchema.optional(),
  merchant_id: z.string().min(1).max(64),
  /** Names of environment variables; a secret itself never stands in a profile. */
  secrets: z.strictObject({
    hmac_key_env: z.string().optional(),
    private_key_env: z.string().optional(),
    channel_public_key_env: z.string().optional(),
    /**
     * In place of `hmac_key_env` or `channel_public_key_env`: the keys the channel signs with, by the
     * serial its messages name. Two while it changes them; ours is the first where it is shared.
     */
    channel_keys: z
      .array(z.strictObject({ serial: keySerial, key_env: z.string() }))
      .min(1)
      .max(2)
      .optional(),
    /** The channel seals its callbacks with this key (AES-256-GCM; 32 bytes in hex or base64). */
    callback_key_env: z.string().optional(),
  }),
  /**
   * Answers and callbacks bear a time under the signature, and callbacks a nonce. `json_hmac` always
   * has the time; a `form_rsa` channel only where this section stands.
   */
  freshness: z
    .strictObject({
      window_ms: ms.max(86_400_000).default(windowMsDefault),
      nonce: z.boolean().default(false),
    })
    .optional(),
  mode: z.enum(['sync', 'async']),
  paused: z.boolean().default(false),
  /** 1 is tried first; equal tiers are ranked by expected cost. */
  tier: z.number().int().min(1).max(99),
  nature: z.strictObject({
    idempotent: z.boolean(),
    honours_expiry: z.boolean(),
    close_proof: closeProof,
    visibility_ms: ms,
    /** How long after the intent the order expires. */
    order_ttl_ms: ms,
    poll_schedule_ms: z.array(ms).min(1).max(60),
  }),
  timeouts: z.strictObject({ charge_ms: ms, query_ms: ms, close_ms: ms }),
  /** Orders a single query may ask about; 1 where the channel answers one at a time. */
  query_many_max: z.number().int().min(1).max(500).default(1),
  /**
   * What it can be asked to do. A card system offers `pre_recharge`, `credit` and `void`, an account
   * service `debit` and `restore`: `nature` is then that of these orders, and it is never routed.
   */
  operations: z.array(z.enum(offered)).min(1).default(['charge']),
  payouts: payouts.optional(),
  /** Pays captured money back on request, under order numbers of the same nature. */
  can_refund: z.boolean().default(false),
  /** Its references are long numbers, and are kept even where one has the form of a card number. */
  numeric_references: z.boolean().default(false),
  /** Calls under way at once from one process; more wait their turn. */
  concurrency_max: z.number().int().min(1).max(2000).default(64),
  currencies: z.array(z.enum(currencies)).min(1),
  limits: transactionLimits,
  /** The banks it supports, each with its own limits at this channel. */
  banks: z.record(bankCode, limits),
  fees,
  /** Daily windows in the channel's zone; `to` before `from` crosses midnight. */
  maintenance: z
    .array(
      z.strictObject({ from: timeOfDay, to: timeOfDay, zone: z.string().default('Asia/Shanghai') }),
    )
    .default([]),
  /** None: this channel's days cannot be reconciled. */
  statement: statement.optional(),
  error_codes: z.record(z.string().min(1), codeMeaning),
});

export type ChannelProfile = z.output<typeof channelProfileSchema>;
export type CodeMeaning = z.output<typeof codeMeaning>;

/** What an operation's orders may be judged by. */
export function natureOf(profile: ChannelProfile, operation: Operation = 'charge'): ChannelNature {
  const { nature } = profile;
  const own = {
    idempotent: nature.idempotent,
    honoursExpiry: nature.honours_expiry,
    closeProof: nature.close_proof,
    visibilityMs: nature.visibility_ms,
    pollScheduleMs: nature.poll_schedule_ms,
  };
  switch (operation) {
    case 'refund':
      // Channels promise neither to close refunds nor to honour an expiry for them.
      return { ...own, honoursExpiry: false, closeProof: 'none' };
    case 'payout': {
      const payouts = payoutsOf(profile);
      return {
        idempotent: payouts.idempotent,
        honoursExpiry: payouts.honours_expiry,
        closeProof: payouts.close_proof,
        visibilityMs: payouts.visibility_ms ?? own.visibilityMs,
        pollScheduleMs: payouts.poll_schedule_ms ?? own.pollScheduleMs,
      };
    }
    default:
      return own;
  }
}

const noPromises = payouts.parse({});

const payoutsOf = ({ payouts: section }: ChannelProfile): z.output<typeof payouts> =>
  section ?? noPromises;

/** How long after the intent an order expires. */
export const orderTtlMsOf = (profile: ChannelProfile, operation: Operation = 'charge'): number =>
  (operation === 'payout' ? payoutsOf(profile).order_ttl_ms : undefined) ??
  profile.nature.order_ttl_ms;

/** Routes are planned over it; card systems and account services are named by whoever needs them. */
export const isRouted = ({ operations }: ChannelProfile): boolean =>
  operations.includes('charge') || operations.includes('payout');

/** The terms of payouts: what their section leaves out is that of charges. */
export function payoutTermsOf(
  profile: ChannelProfile,
): Pick<ChannelProfile, 'limits' | 'banks' | 'fees'> {
  const { limits: theirLimits, banks: theirBanks, fees: theirFees } = profile.payouts ?? {};
  return {
    limits: theirLimits ?? profile.limits,
    banks: theirBanks ?? profile.banks,
    fees: theirFees ?? profile.fees,
  };
}

export const offers = (profile: ChannelProfile, operation: Operation): boolean =>
  operation === 'refund'
    ? profile.can_refund
    : (profile.operations as readonly Operation[]).includes(operation);
