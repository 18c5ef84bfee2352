import { z } from 'zod';
import type { ChannelNature } from '../engine/order.js';
import { isChannelId } from '../ids.js';
import { amountMinor, currencies } from '../money.js';
import { windowMsDefault } from './freshness.js';

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

export const declineCodes = [
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
    close_proof: z.enum(['none', 'refuses_unseen']),
    visibility_ms: ms,
    /** How long after the intent the order expires. */
    order_ttl_ms: ms,
    poll_schedule_ms: z.array(ms).min(1).max(60),
  }),
  timeouts: z.strictObject({ charge_ms: ms, query_ms: ms, close_ms: ms }),
  /** Orders a single query may ask about; 1 where the channel answers one at a time. */
  query_many_max: z.number().int().min(1).max(500).default(1),
  /** Pays captured money back on request, under order numbers of the same nature. */
  can_refund: z.boolean().default(false),
  /** Its references are long numbers, and are kept even where one has the form of a card number. */
  numeric_references: z.boolean().default(false),
  /** Calls under way at once from one process; more wait their turn. */
  concurrency_max: z.number().int().min(1).max(2000).default(64),
  currencies: z.array(z.enum(currencies)).min(1),
  limits: limits.extend({ per_transaction_min_minor: minor.optional() }),
  /** The banks it supports, each with its own limits at this channel. */
  banks: z.record(bankCode, limits),
  fees: z.strictObject({
    flat_minor: minor,
    basis_points: z.number().int().min(0).max(10_000),
    max_minor: minor.optional(),
  }),
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

export function natureOf(profile: ChannelProfile): ChannelNature {
  return {
    idempotent: profile.nature.idempotent,
    honoursExpiry: profile.nature.honours_expiry,
    closeProof: profile.nature.close_proof,
    visibilityMs: profile.nature.visibility_ms,
    pollScheduleMs: profile.nature.poll_schedule_ms,
  };
}
