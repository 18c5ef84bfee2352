/** What the API answers of channels' messages. */
import { z } from 'zod';

const at = '2026-11-22T01:00:00.000Z';

export const callbackCounts = z
  .object({
    channel_id: z.string(),
    days: z.array(
      z.object({
        day: z.string().describe('UTC'),
        verdicts: z.record(
          z.string(),
          z.object({ messages: z.int().nonnegative(), last_at: z.string() }),
        ),
      }),
    ),
  })
  .meta({
    id: 'CallbackCounts',
    examples: [
      {
        channel_id: 'unionlink',
        days: [
          {
            day: '2026-11-22',
            verdicts: {
              accepted: { messages: 70_210, last_at: at },
              duplicate: { messages: 30_014, last_at: at },
              forged: { messages: 3, last_at: at },
            },
          },
        ],
      },
    ],
  });

const shown = z
  .record(z.string(), z.union([z.string(), z.number()]))
  .nullable()
  .describe('By a list of fields; what is not on it is known by `bytes` alone');

export const callList = z
  .object({
    calls: z.array(
      z.object({
        started_at: z.string(),
        channel_id: z.string(),
        order_no: z.string(),
        operation: z.string(),
        duration_ms: z.int().nonnegative(),
        http_status: z.int().nullable(),
        verdict: z.string(),
        detail: z.string(),
        sent: shown,
        received: shown,
      }),
    ),
  })
  .meta({
    id: 'CallList',
    examples: [
      {
        calls: [
          {
            started_at: at,
            channel_id: 'swiftpay',
            order_no: 'R01DCNQXBQ8OFD9ZLRNY8KAXFY01',
            operation: 'charge',
            duration_ms: 38,
            http_status: 200,
            verdict: 'succeeded',
            detail: '',
            sent: {
              merchant: 'M-RECOUP-01',
              order_no: 'R01DCNQXBQ8OFD9ZLRNY8KAXFY01',
              amount_minor: '128050',
              currency: 'CNY',
              bank: 'ICBC',
              account: '[masked]',
              bytes: 312,
            },
            received: { code: 'OK', amount_minor: '128050', currency: 'CNY', bytes: 214 },
          },
        ],
      },
    ],
  });
