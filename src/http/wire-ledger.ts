/** What the ledger's routes answer, field by field, with an example of each. */
import { z } from 'zod';

const amount = z.int().describe('Minor units (fen)');
const at = '2026-11-22T08:00:00.000Z';

export const trialBalance = z
  .object({
    kept_by: z
      .enum(['recoup', 'lender'])
      .describe("`lender`: posted to the lender's own service; no accounts are kept here"),
    balanced: z.boolean().describe('Debits equal credits in every currency'),
    totals: z.array(z.object({ currency: z.string(), debit_minor: amount, credit_minor: amount })),
    accounts: z.array(
      z.object({
        account: z.string(),
        class: z.enum(['asset', 'liability', 'income', 'expense']),
        currency: z.string(),
        debit_minor: amount,
        credit_minor: amount,
        balance_minor: amount.describe('On the side where the class of the account grows'),
      }),
    ),
    undelivered: z
      .object({ messages: z.int(), oldest_at: z.string().nullable() })
      .describe('Known to have happened and not in the books yet, dead letters included'),
    dead_letters_open: z.int(),
  })
  .meta({
    id: 'TrialBalance',
    examples: [
      {
        kept_by: 'recoup' as const,
        balanced: true,
        totals: [{ currency: 'CNY', debit_minor: 128_050, credit_minor: 128_050 }],
        accounts: [
          {
            account: 'borrower_receivable',
            class: 'asset' as const,
            currency: 'CNY',
            debit_minor: 0,
            credit_minor: 128_050,
            balance_minor: -128_050,
          },
          {
            account: 'channel_clearing:swiftpay',
            class: 'asset' as const,
            currency: 'CNY',
            debit_minor: 128_050,
            credit_minor: 0,
            balance_minor: 128_050,
          },
        ],
        undelivered: { messages: 0, oldest_at: null },
        dead_letters_open: 0,
      },
    ],
  });

export const deadLetterList = z
  .object({
    dead_letters: z
      .array(
        z.object({
          id: z.string(),
          topic: z.string(),
          message_key: z.string(),
          kind: z.enum(['malformed', 'refused', 'conflict', 'retries_exhausted']),
          amount_minor: amount,
          evidence: z.string(),
          tries: z.int(),
          replays: z.int(),
          opened_at: z.string(),
          closed_at: z.string().nullable(),
          resolution: z.string().nullable(),
        }),
      )
      .describe('Oldest first'),
  })
  .meta({
    id: 'DeadLetterList',
    examples: [
      {
        dead_letters: [
          {
            id: '1',
            topic: 'ledger.repayment_collected',
            message_key: '019a9e6c-7d4e-7a3b-9c51-0d8e6f1a2b3c',
            kind: 'refused' as const,
            amount_minor: 128_050,
            evidence: '422: unknown channel',
            tries: 1,
            replays: 0,
            opened_at: at,
            closed_at: null,
            resolution: null,
          },
        ],
      },
    ],
  });

export const replayed = z
  .object({ id: z.string(), replayed: z.literal(true) })
  .meta({ id: 'Replayed', examples: [{ id: '1', replayed: true as const }] });
