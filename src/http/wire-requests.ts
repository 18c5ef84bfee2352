/** What callers send, field by field, with an example of each. */
import { z } from 'zod';
import { taskStatuses } from '../engine/orders-state.js';
import { isRepaymentId, type RepaymentId } from '../ids.js';
import { isAccountToken, isDate } from '../intake/due-file.js';
import { currencies } from '../money.js';
import { isBareNumber, namesSomebody } from '../personal.js';

/** 15 digits: far below where JSON numbers lose units. */
const amountMax = 999_999_999_999_999;

export const currency = z.enum(currencies);
export const channelId = z.string().regex(/^[a-z][a-z0-9_]{0,31}$/, 'a channel id');
export const bankCode = z.string().regex(/^[A-Z]{2,12}$/, '2 to 12 capital letters');
export const ownId = z
  .string()
  .refine((text): text is RepaymentId => isRepaymentId(text), '1 to 64 letters, digits, . _ -');
/** Its sign is judged by what it is for, with a code of its own. */
export const askedAmount = z
  .int('a whole number of minor units (fen)')
  .max(amountMax)
  .min(-amountMax)
  .describe('Minor units (fen), above zero');

export const deductionBody = z
  .strictObject({
    repayment_id: ownId.describe('The registered repayment to collect'),
    amount_minor: askedAmount
      .optional()
      .describe('Minor units (fen). Left out: all that is outstanding'),
    reason: z
      .string()
      .max(2_000)
      .optional()
      .describe('By agents only, and required there: 4 to 500 characters'),
  })
  .meta({ examples: [{ repayment_id: 'rp_20261122_0001', amount_minor: 128_050 }] });

export const createHeaders = z.object({
  'idempotency-key': z
    .string()
    .describe('1 to 128 printable ASCII characters without spaces; a new one for each deduction')
    .meta({ examples: ['9f1c2d7e-4b3a-4f7e-9c57-6d1f2ab34c88'] }),
  prefer: z
    .string()
    .optional()
    .describe('`wait=N`: wait up to N seconds (60 at most) for the final result (RFC 7240)')
    .meta({ examples: ['wait=10'] }),
});

const repaymentsMax = 200;

/** Where an id is first brought: not a number that may be somebody's card, id or telephone. */
export const newOwnId = ownId.refine(
  (text) => !isBareNumber(text),
  'not a bare number of eleven digits or more: put a letter before it',
);

export const accountToken = z
  .string()
  .refine(isAccountToken, 'a token of 8 to 128 characters, not an account number');
export const last4 = z.string().regex(/^\d{4}$/, 'four digits');

const newRepayment = z.strictObject({
  id: newOwnId,
  borrower_id: newOwnId,
  currency,
  due_minor: askedAmount,
  due_date: z.string().refine(isDate, 'a date such as 2026-11-22'),
  bank_code: bankCode,
  account_token: accountToken,
  account_last4: last4,
});

const repaymentExample = {
  id: 'rp_20261122_0001',
  borrower_id: 'bw_1001',
  currency: 'CNY' as const,
  due_minor: 128_050,
  due_date: '2026-11-22',
  bank_code: 'ICBC',
  account_last4: '4321',
};

export const repaymentsBody = z
  .strictObject({ repayments: z.array(newRepayment).min(1).max(repaymentsMax) })
  .meta({
    examples: [{ repayments: [{ ...repaymentExample, account_token: 'tok_8fQk2mXw41' }] }],
  });

const again = z
  .string()
  .regex(/^[A-Za-z0-9_.-]{1,40}$/, '1 to 40 letters, digits, . _ -')
  .optional()
  .describe('Names a second batch of the same file or date that is really meant');

export const batchBody = z
  .strictObject({
    business_date: z.string().refine(isDate, 'a date such as 2026-11-22'),
    again,
  })
  .meta({ examples: [{ business_date: '2026-11-22' }] });

export const batchQuery = z.strictObject({
  name: z
    .string()
    .min(1)
    .max(100)
    .refine((text) => !namesSomebody(text), 'no account, card, identity or telephone number')
    .optional()
    .describe('A name for people; for uploads'),
  again,
});

/** A stream by the time it is looked at; the documentation calls it what it is. */
export const csvBody = z.unknown().meta({
  type: 'string',
  description: 'The file of due repayments, UTF-8, a header and one repayment a line',
  examples: [
    'repayment_id,borrower_id,bank_code,account_token,account_last4,currency,amount_due,due_date\n' +
      'rp_20261122_0001,bw_1001,ICBC,tok_8fQk2mXw41,4321,CNY,1280.50,2026-11-22\n',
  ],
});

export const previewBody = z
  .strictObject({
    bank_code: bankCode,
    amount_minor: askedAmount,
    currency,
    operation: z.enum(['charge', 'payout']).default('charge'),
    refundable: z.boolean().default(false).describe('Only channels that can give it back'),
  })
  .meta({ examples: [{ bank_code: 'ICBC', amount_minor: 128_050, currency: 'CNY' }] });

export const limitUpTo = (max: number, usual: number) =>
  z.coerce.number().int().min(1).max(max).default(usual);

/** Of a list of tasks, newest first. */
export const taskPageQuery = {
  limit: limitUpTo(100, 50),
  cursor: z.string().max(200).optional().describe('From `next_cursor` of the page before'),
  status: z.enum(taskStatuses).optional(),
};

const instant = z.iso.datetime({
  offset: true,
  error: 'a time with its zone, such as 2026-11-22T00:00:00Z',
});

export const deductionsQuery = z.strictObject({
  ...taskPageQuery,
  repayment_id: ownId.optional(),
  batch_id: z.string().max(64).optional(),
  borrower_id: ownId.optional(),
  order_no: z
    .string()
    .regex(/^[A-Za-z0-9]{1,32}$/, 'an order number, as a channel knows it')
    .optional()
    .describe('Whichever attempt placed it, and whatever became of it'),
  created_from: instant.optional().describe('Accepted at this time or later'),
  created_before: instant.optional().describe('Accepted before this time'),
});

export const rejectedQuery = z.strictObject({
  limit: limitUpTo(500, 100),
  after_line: z.coerce.number().int().min(0).default(0),
});

export const callsQuery = z.strictObject({ limit: limitUpTo(1_000, 200) });

export const callbackCountsQuery = z.strictObject({ days: limitUpTo(90, 7) });

export const casesQuery = z.strictObject({
  open: z
    .enum(['true', 'false'])
    .optional()
    .describe('Only those still open, or only those closed'),
  limit: limitUpTo(500, 100),
});

export const idParams = z.object({ id: z.string().max(100) });
