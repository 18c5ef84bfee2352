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
