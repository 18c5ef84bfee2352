/** What the routes about notices take and answer, field by field, with an example of each. */
import { z } from 'zod';
import { noticeTypes } from '../notices/destination.js';
import {
  deliveryStates,
  type DestinationRecord,
  type NoticeRecord,
  type NoticeStory,
} from '../notices/records.js';

const time = z.string().describe('UTC, ISO 8601');
const at = '2026-11-22T08:00:00.000Z';
const messageId = 'msg_5f0a9d6b2c7e4f1388aa01d2c3b4e5f6';
const task = '019a9e6c-7d4e-7a3b-9c51-0d8e6f1a2b3c';
const destinationId = z
  .string()
  .regex(/^[a-z][a-z0-9_]{0,31}$/, 'a small letter, then up to 31 letters, digits and _');

export const noticesQuery = z.strictObject({
  type: z.string().max(40).optional(),
  task_id: z.string().max(64).optional(),
  state: z.enum(deliveryStates).optional().describe('Only with a delivery in this state'),
  destination_id: destinationId.optional().describe('Only for this destination'),
  before: z.string().max(40).optional().describe('From `next_before` of the page before'),
  limit: z.coerce.number().int().min(1).max(500).default(100),
});

export const noticeParams = z.object({ id: z.string().max(100) });

export const redeliverQuery = z.strictObject({
  destination_id: destinationId.optional().describe('Left out: every destination it is for'),
});

const counts = z
  .object({ waiting: z.int(), delivered: z.int(), exhausted: z.int(), dropped: z.int() })
  .describe('Deliveries by state; all 0 until it is fanned out');

const noticeFields = {
  id: z.string().describe('The `webhook-id`, the same on every try'),
  type: z.string(),
  task_id: z.string().nullable(),
  created_at: time,
  deliveries: counts,
};

const noticeExample = {
  id: messageId,
  type: 'deduction.succeeded',
  task_id: task,
  created_at: at,
  deliveries: { waiting: 0, delivered: 1, exhausted: 0, dropped: 0 },
};

export const noticePage = z
  .object({
    notices: z.array(z.object(noticeFields)).describe('Newest first'),
    next_before: z.string().nullable(),
    next: z.string().nullable().describe('Address of the next page'),
  })
  .meta({
    id: 'NoticePage',
    examples: [{ notices: [noticeExample], next_before: null, next: null }],
  });

export const noticeDetail = z
  .object({
    ...noticeFields,
    body: z.string().describe('Exactly what is sent'),
    destinations: z.array(
      z.object({
        destination_id: z.string(),
        state: z.enum(deliveryStates).describe('`exhausted`: given up after a day of tries'),
        tries: z.int(),
        next_at: time.nullable(),
        last_status: z.int().nullable(),
        last_error: z.string().nullable(),
        delivered_at: time.nullable(),
      }),
    ),
    tries: z
      .array(
        z.object({
          destination_id: z.string(),
          at: time,
          duration_ms: z.int(),
          http_status: z.int().nullable().describe('Null: no answer'),
          error: z.string().nullable(),
        }),
      )
      .describe('The delivery log, oldest first'),
  })
  .meta({
    id: 'Notice',
    examples: [
      {
        ...noticeExample,
        body: `{"type":"deduction.succeeded","timestamp":"${at}","data":{"id":"${task}"}}`,
        destinations: [
          {
            destination_id: 'crm',
            state: 'delivered' as const,
            tries: 1,
            next_at: null,
            last_status: 204,
            last_error: null,
            delivered_at: at,
          },
        ],
        tries: [{ destination_id: 'crm', at, duration_ms: 41, http_status: 204, error: null }],
      },
    ],
  });

const secretEnvs = z
  .array(z.string().max(60))
  .max(10)
  .describe('Names of environment variables that hold secrets; several while one is replaced');

const types = z
  .array(z.string().max(40))
  .max(50)
  .describe(`Of ${noticeTypes.map((one) => `\`${one}\``).join(', ')}; left out: all of them`);

export const destinationBody = z
  .strictObject({
    id: destinationId,
    url: z.string().max(600).describe('https, and a public address'),
    types: types.optional(),
    secret_envs: secretEnvs,
  })
  .meta({
    examples: [
      {
        id: 'crm',
        url: 'https://crm.example.com/recoup',
        types: ['deduction.succeeded', 'deduction.failed'],
        secret_envs: ['RECOUP_NOTICE_SECRET_CRM'],
      },
    ],
  });

export const secretsBody = z.strictObject({ secret_envs: secretEnvs }).meta({
  examples: [{ secret_envs: ['RECOUP_NOTICE_SECRET_CRM_2', 'RECOUP_NOTICE_SECRET_CRM'] }],
});

const destinationFields = {
  id: z.string(),
  url: z.string(),
  types: z.union([z.literal('*'), z.array(z.string())]),
  secret_envs: z.array(z.string()),
  paused: z.object({ at: time, why: z.string() }).nullable(),
  created_at: time,
  waiting: z.int(),
  exhausted: z.int(),
  overdue_since: time.nullable().describe('The longest that one is due and was not sent'),
};

const destinationExample = {
  id: 'crm',
  url: 'https://crm.example.com/recoup',
  types: ['deduction.succeeded', 'deduction.failed'],
  secret_envs: ['RECOUP_NOTICE_SECRET_CRM'],
  paused: null,
  created_at: at,
  waiting: 0,
  exhausted: 0,
  overdue_since: null,
};

export const destination = z
  .object(destinationFields)
  .meta({ id: 'NoticeDestination', examples: [destinationExample] });

export const destinationList = z
  .object({ destinations: z.array(z.object(destinationFields)) })
  .meta({ id: 'NoticeDestinationList', examples: [{ destinations: [destinationExample] }] });

export const removed = z
  .object({ id: z.string(), removed: z.literal(true) })
  .meta({ id: 'NoticeDestinationRemoved', examples: [{ id: 'crm', removed: true as const }] });

const timeOf = (date: Date | null): string | null => date?.toISOString() ?? null;

export const noticeView = (
  notice: NoticeRecord,
): z.input<typeof noticePage>['notices'][number] => ({
  id: notice.id,
  type: notice.type,
  task_id: notice.taskId,
  created_at: notice.createdAt.toISOString(),
  deliveries: notice.deliveries,
});

export const storyView = ({
  notice,
  body,
  deliveries,
  tries,
}: NoticeStory): z.input<typeof noticeDetail> => ({
  ...noticeView(notice),
  body,
  destinations: deliveries.map((one) => ({
    destination_id: one.destinationId,
    state: one.state,
    tries: one.tries,
    next_at: timeOf(one.nextAt),
    last_status: one.lastStatus,
    last_error: one.lastError,
    delivered_at: timeOf(one.deliveredAt),
  })),
  tries: tries.map((one) => ({
    destination_id: one.destinationId,
    at: one.at.toISOString(),
    duration_ms: one.durationMs,
    http_status: one.httpStatus,
    error: one.error,
  })),
});

export const destinationView = (one: DestinationRecord): z.input<typeof destination> => ({
  id: one.id,
  url: one.url,
  types: one.types === '*' ? '*' : [...one.types],
  secret_envs: [...one.secretEnvs],
  paused: one.paused === null ? null : { at: one.paused.at.toISOString(), why: one.paused.why },
  created_at: one.createdAt.toISOString(),
  waiting: one.waiting,
  exhausted: one.exhausted,
  overdue_since: timeOf(one.overdueSince),
});
