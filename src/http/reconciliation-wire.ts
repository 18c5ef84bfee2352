/** What reconciliation takes and gives over HTTP. */
import { z } from 'zod';
import { isChannelId, type ChannelId } from '../ids.js';
import { isDate } from '../intake/due-file.js';
import type { BreakRecord, Run } from '../reconciliation/ports.js';

const channel = z
  .string()
  .refine((text): text is ChannelId => isChannelId(text), 'a channel id')
  .meta({ examples: ['swiftpay'] });
const date = z.string().refine(isDate, 'a date such as 2026-11-22');
const limit = z.coerce.number().int().min(1).max(500).default(100);

export const reconcileQuery = z.strictObject({
  channel_id: channel,
  date: date.describe('The business date of the statement'),
  supersede: z
    .enum(['true', 'false'])
    .default('false')
    .describe('The date has another statement, and this file takes its place'),
});

/** A stream by the time it is looked at. */
export const statementBody = z.unknown().meta({
  type: 'string',
  format: 'binary',
  description: "The statement's file, as the channel gave it; its form is named by the profile",
  examples: ['statement,v1,swiftpay,M-RECOUP-01,2026-11-22,CNY\n…'],
});

export const runsQuery = z.strictObject({
  channel_id: channel.optional(),
  date: date.optional(),
  limit,
});

export const breaksQuery = z.strictObject({
  channel_id: channel.optional(),
  date: date.optional(),
  open: z
    .enum(['true', 'false'])
    .optional()
    .describe('Only those still open, or only those closed'),
  after: z
    .string()
    .regex(/^\d{1,18}$/)
    .optional()
    .describe('The id of the last one of the page before'),
  limit,
});

const time = z.iso.datetime().describe('UTC, ISO 8601');
const minor = z.int().describe('Minor units (fen)');

const report = z.object({
  statement: z.object({ sha256: z.string(), rows: z.int() }),
  lines: z
    .array(
      z.object({
        kind: z.string(),
        type: z.string(),
        their_rows: z.int(),
        their_minor: minor,
        their_fee_minor: minor,
        our_rows: z.int(),
        our_minor: minor,
      }),
    )
    .describe('Each row of either side stands in one line'),
  theirs: z.object({
    captured_minor: minor,
    refunded_minor: minor,
    paid_out_minor: minor,
    fees_minor: minor,
  }),
  ours: z.object({ captured_minor: minor, refunded_minor: minor, paid_out_minor: minor }),
  controls: z
    .array(z.object({ total: z.string(), unit: z.string(), stated: z.int(), counted: z.int() }))
    .describe('Each total counted in two ways'),
  unexplained_minor: minor.describe('0, or the run is `unexplained` and not `complete`'),
  mended: z.int().describe('Successes that the statement proved, now in our books'),
});

const example = {
  id: '019a9e6c-5a00-7c3e-8f1d-0242ac120004',
  channel_id: 'swiftpay',
  business_date: '2026-11-22',
  state: 'complete' as const,
  asked_by: 'operator key (key_1)',
  created_at: '2026-11-23T02:00:00.000Z',
  ended_at: '2026-11-23T02:00:41.000Z',
  breaks_open: 0,
  report: {
    statement: { sha256: '0'.repeat(64), rows: 1 },
    lines: [
      {
        kind: 'matched',
        type: 'capture',
        their_rows: 1,
        their_minor: 128_050,
        their_fee_minor: 257,
        our_rows: 1,
        our_minor: 128_050,
      },
    ],
    theirs: { captured_minor: 128_050, refunded_minor: 0, paid_out_minor: 0, fees_minor: 257 },
    ours: { captured_minor: 128_050, refunded_minor: 0, paid_out_minor: 0 },
    controls: [{ total: 'their captures', unit: 'minor', stated: 128_050, counted: 128_050 }],
    unexplained_minor: 0,
    mended: 0,
  },
};

export const reconciliation = z
  .object({
    id: z.string(),
    channel_id: z.string(),
    business_date: z.string(),
    state: z.enum(['running', 'complete', 'unexplained', 'abandoned']),
    asked_by: z.string(),
    created_at: time,
    ended_at: time.nullable(),
    breaks_open: z.int().describe('Of this channel and date, now'),
    report: report.nullable(),
  })
  .meta({ id: 'Reconciliation', examples: [example] });

export const reconciliationList = z
  .object({ reconciliations: z.array(reconciliation) })
  .meta({ id: 'ReconciliationList', examples: [{ reconciliations: [example] }] });

const breakExample = {
  id: '1',
  channel_id: 'swiftpay',
  business_date: '2026-11-22',
  kind: 'amount_mismatch',
  type: 'capture',
  order_no: 'R2B7GQ0R9W1V4C5T6Y8U1I2O3P01',
  ours_minor: 128_050,
  theirs_minor: 128_051,
  amount_minor: 1,
  evidence: 'their statement, line 3: capture succeeded, 1280.51, channel number SW1; our book: …',
  opened_at: '2026-11-23T02:00:41.000Z',
  closed_at: null,
  closed_by: null,
  resolution: null,
};

export const breakList = z
  .object({
    breaks: z.array(
      z.object({
        id: z.string(),
        channel_id: z.string(),
        business_date: z.string(),
        kind: z.string(),
        type: z.string(),
        order_no: z.string(),
        ours_minor: minor.nullable(),
        theirs_minor: minor.nullable(),
        amount_minor: minor.describe('At risk'),
        evidence: z.string(),
        opened_at: time,
        closed_at: time.nullable(),
        closed_by: z.string().nullable(),
        resolution: z.string().nullable(),
      }),
    ),
    next: z.string().nullable(),
  })
  .meta({ id: 'BreakList', examples: [{ breaks: [breakExample], next: null }] });

export function reconciliationView(run: Run, breaksOpen: number): z.input<typeof reconciliation> {
  return {
    id: run.id,
    channel_id: run.channelId,
    business_date: run.date,
    state: run.state,
    asked_by: run.by,
    created_at: run.createdAt.toISOString(),
    ended_at: run.endedAt?.toISOString() ?? null,
    breaks_open: breaksOpen,
    report: run.report === null ? null : reportView(run.report),
  };
}

function reportView(of: NonNullable<Run['report']>): z.input<typeof report> {
  return {
    statement: { sha256: of.statement.digest, rows: of.statement.rows },
    lines: of.lines.map((line) => ({
      kind: line.kind,
      type: line.type,
      their_rows: line.theirRows,
      their_minor: Number(line.theirMinor),
      their_fee_minor: Number(line.theirFeeMinor),
      our_rows: line.ourRows,
      our_minor: Number(line.ourMinor),
    })),
    theirs: {
      captured_minor: Number(of.theirMinor.captured),
      refunded_minor: Number(of.theirMinor.refunded),
      paid_out_minor: Number(of.theirMinor.paidOut ?? 0n),
      fees_minor: Number(of.theirMinor.fees),
    },
    ours: {
      captured_minor: Number(of.ourMinor.captured),
      refunded_minor: Number(of.ourMinor.refunded),
      paid_out_minor: Number(of.ourMinor.paidOut ?? 0n),
    },
    controls: of.controls.map(({ total, unit, stated, counted }) => ({
      total,
      unit,
      stated: Number(stated),
      counted: Number(counted),
    })),
    unexplained_minor: Number(of.unexplainedMinor),
    mended: of.mended,
  };
}

const minorOrNull = (amount: bigint | null): number | null =>
  amount === null ? null : Number(amount);

export const breakView = (one: BreakRecord) => ({
  id: one.id,
  channel_id: one.channelId,
  business_date: one.date,
  kind: one.kind,
  type: one.type,
  order_no: one.orderNo,
  ours_minor: minorOrNull(one.oursMinor),
  theirs_minor: minorOrNull(one.theirsMinor),
  amount_minor: Number(one.amountMinor),
  evidence: one.evidence,
  opened_at: one.openedAt.toISOString(),
  closed_at: one.closedAt?.toISOString() ?? null,
  closed_by: one.closedBy,
  resolution: one.resolution,
});
