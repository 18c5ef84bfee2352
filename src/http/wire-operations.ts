/** What operators and their tools get: plans, queues, channels, how a process fares, and problems. */
import { z } from 'zod';
import { amount } from './wire-replies.js';

const place = z.object({
  channel_id: z.string(),
  reason: z.string(),
  expected_cost_minor: z.number().describe('Fee and penalty, expected; may have a fraction'),
});

export const routePlan = z
  .object({
    places: z.array(place).describe('Best first'),
    rejected: z.array(z.object({ channel_id: z.string(), code: z.string(), reason: z.string() })),
  })
  .meta({
    id: 'RoutePlan',
    examples: [
      {
        places: [
          { channel_id: 'swiftpay', reason: 'tier 1, fee 2.56, …', expected_cost_minor: 266.1 },
        ],
        rejected: [
          { channel_id: 'oldbank', code: 'per_transaction_limit', reason: 'at most 5000.00' },
        ],
      },
    ],
  });

export const workQueues = z
  .object({
    queues: z
      .array(z.object({ kind: z.string(), due: z.int(), overflow: z.int(), later: z.int() }))
      .nullable(),
  })
  .meta({
    id: 'WorkQueues',
    examples: [{ queues: [{ kind: 'deduction', due: 12, overflow: 0, later: 4_310 }] }],
  });

export const channelList = z
  .object({
    channels: z.array(
      z.object({
        id: z.string(),
        name: z.string(),
        mode: z.string(),
        tier: z.int(),
        paused: z.boolean(),
        currencies: z.array(z.string()),
        banks: z.array(z.string()),
        operations: z.array(z.string()).describe('What it can be asked to do'),
        per_transaction_min_minor: amount.nullable(),
        per_transaction_max_minor: amount.nullable(),
      }),
    ),
  })
  .meta({
    id: 'ChannelList',
    examples: [
      {
        channels: [
          {
            id: 'swiftpay',
            name: 'SwiftPay 速付',
            mode: 'sync',
            tier: 1,
            paused: false,
            currencies: ['CNY'],
            banks: ['ICBC', 'CCB'],
            operations: ['charge', 'payout', 'refund'],
            per_transaction_min_minor: 100,
            per_transaction_max_minor: 5_000_000,
          },
        ],
      },
    ],
  });

export const health = z
  .object({ status: z.literal('ok') })
  .meta({ id: 'Health', examples: [{ status: 'ok' as const }] });

export const readiness = z
  .object({
    status: z.enum(['ready', 'not_ready']),
    database: z.enum(['ok', 'unreachable', 'schema_outdated']),
    redis: z
      .enum(['ok', 'degraded'])
      .describe('Degraded is still ready: no money depends on Redis, only time'),
    channels: z.int().describe('Channels this process could open'),
  })
  .meta({
    id: 'Readiness',
    examples: [
      { status: 'ready' as const, database: 'ok' as const, redis: 'ok' as const, channels: 3 },
    ],
  });

export const problem = z
  .looseObject({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    code: z.string(),
    action: z.string().describe('What the caller can do about it'),
    request_id: z.string(),
  })
  .meta({ id: 'Problem', description: 'RFC 9457. Some codes add members of their own.' });
