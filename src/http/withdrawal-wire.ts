/** Withdrawals and members over the wire: what comes in, what goes out, with an example of each. */
import { z } from 'zod';
import { taskStatuses } from '../engine/orders-state.js';
import type { Member, MemberEntry } from '../intake/member.js';
import type { WithdrawalRecord } from '../intake/withdrawal.js';
import { currencies } from '../money.js';
import { minor } from './views.js';
import { amount, failure, nextPage, taskStory, time } from './wire-replies.js';
import {
  accountToken,
  askedAmount,
  bankCode,
  channelId,
  currency,
  last4,
  limitUpTo,
  newOwnId,
  ownId,
  taskPageQuery,
} from './wire-requests.js';

export const withdrawalBody = z
  .strictObject({
    member_id: newOwnId.describe('Whose balance it is taken from'),
    amount_minor: askedAmount,
    currency,
    bank_code: bankCode.describe('Where it is paid to'),
    account_token: accountToken,
    account_last4: last4,
    account_service: z
      .strictObject({ id: channelId, account_token: accountToken, account_last4: last4 })
      .optional()
      .describe('The remote service that keeps the balance. Left out: a balance kept here'),
  })
  .meta({
    examples: [
      {
        member_id: 'mb_1001',
        amount_minor: 50_000,
        currency: 'CNY',
        bank_code: 'ICBC',
        account_token: 'tok_8fQk2mXw41',
        account_last4: '4321',
      },
    ],
  });

export type WithdrawalBody = z.output<typeof withdrawalBody>;

export const withdrawalsQuery = z.strictObject({
  ...taskPageQuery,
  member_id: ownId.optional(),
});

const withdrawalFields = {
  id: z.uuid(),
  status: z
    .enum(taskStatuses)
    .describe(
      '`succeeded`: paid out. `failed`: not paid out, and given back. Both are final. ' +
        '`needs_review`: only a person can decide',
    ),
  member_id: z.string(),
  amount_minor: amount,
  currency: z.enum(currencies),
  bank_code: z.string(),
  account_last4: z.string(),
  account_service: z.string().nullable(),
  channel_id: z.string().nullable(),
  order_no: z.string().nullable(),
  failure,
  created_at: time,
  ended_at: time.nullable(),
};

const at = '2026-11-22T01:00:00.000Z';
const withdrawalExample = {
  id: '019a9e6c-5a00-7c3e-8f1d-0242ac120004',
  status: 'succeeded' as const,
  member_id: 'mb_1001',
  amount_minor: 50_000,
  currency: 'CNY' as const,
  bank_code: 'ICBC',
  account_last4: '4321',
  account_service: null,
  channel_id: 'swiftpay',
  order_no: 'R2B7GQ0R9W1V4C5T6Y8U1I2O3P01',
  failure: null,
  created_at: at,
  ended_at: '2026-11-22T01:00:00.412Z',
};

export const withdrawal = z
  .object(withdrawalFields)
  .meta({ id: 'Withdrawal', examples: [withdrawalExample] });

export const withdrawalDetail = z
  .object({
    ...withdrawalFields,
    ...taskStory,
  })
  .meta({
    id: 'WithdrawalDetail',
    examples: [{ ...withdrawalExample, attempts: [], log: [], cases: [] }],
  });

export const withdrawalPage = z
  .object({
    withdrawals: z.array(withdrawal).describe('Newest first'),
    ...nextPage,
  })
  .meta({
    id: 'WithdrawalPage',
    examples: [{ withdrawals: [withdrawalExample], next_cursor: null, next: null }],
  });

export function withdrawalView(record: WithdrawalRecord): z.input<typeof withdrawal> {
  const { failureCode, failureDetail } = record;
  return {
    id: record.id,
    status: record.status,
    member_id: record.memberId,
    amount_minor: minor(record.amountMinor),
    currency: record.currency,
    bank_code: record.bankCode,
    account_last4: record.accountLast4,
    account_service: record.accountService,
    channel_id: record.channelId,
    order_no: record.orderNo,
    failure: failureCode === null ? null : { code: failureCode, detail: failureDetail ?? '' },
    created_at: record.createdAt.toISOString(),
    ended_at: record.endedAt?.toISOString() ?? null,
  };
}

export const memberBody = z
  .strictObject({ id: newOwnId, currency })
  .meta({ examples: [{ id: 'mb_1001', currency: 'CNY' }] });

export const depositBody = z
  .strictObject({
    deposit_id: newOwnId.describe('Yours, new for each deposit: the same id is the same deposit'),
    amount_minor: askedAmount,
    currency,
  })
  .meta({ examples: [{ deposit_id: 'dp_20261122_0001', amount_minor: 80_000, currency: 'CNY' }] });

export const memberQuery = z.strictObject({
  currency: currency.default('CNY'),
  limit: limitUpTo(500, 100).describe('Lines of the money log, newest first'),
});

const memberFields = {
  id: z.string(),
  currency: z.enum(currencies),
  balance_minor: amount.describe('What is left: withdrawals under way have been taken from it'),
  created_at: time,
};
const memberExample = {
  id: 'mb_1001',
  currency: 'CNY' as const,
  balance_minor: 30_000,
  created_at: at,
};

export const member = z.object(memberFields).meta({ id: 'Member', examples: [memberExample] });

export const memberDetail = z
  .object({
    ...memberFields,
    money_log: z.array(
      z.object({
        cause_id: z.string().describe("The deposit's id, or the withdrawal's"),
        kind: z.enum(['deposited', 'withdrawn', 'given_back']),
        amount_minor: z.int().describe('Below zero: taken'),
        at: time,
      }),
    ),
  })
  .meta({
    id: 'MemberDetail',
    examples: [
      {
        ...memberExample,
        money_log: [
          { cause_id: withdrawalExample.id, kind: 'withdrawn', amount_minor: -50_000, at },
          { cause_id: 'dp_20261122_0001', kind: 'deposited', amount_minor: 80_000, at },
        ],
      },
    ],
  });

export const memberView = (record: Member): z.input<typeof member> => ({
  id: record.id,
  currency: record.currency,
  balance_minor: minor(record.balanceMinor),
  created_at: record.createdAt.toISOString(),
});

export const memberDetailView = (
  record: Member,
  entries: readonly MemberEntry[],
): z.input<typeof memberDetail> => ({
  ...memberView(record),
  money_log: entries.map(({ causeId, kind, amountMinor, at: when }) => ({
    cause_id: causeId,
    kind,
    amount_minor: minor(amountMinor),
    at: when.toISOString(),
  })),
});
