/** Records as they go over the wire. Every field is named: what is not named does not leave. */
import type { z } from 'zod';
import type { ChannelProfile } from '../channels/profile.js';
import type { Route } from '../engine/route.js';
import type { Batch, BatchProgress } from '../intake/batch.js';
import type { AttemptRecord, CaseRecord, DeductionRecord, LoggedEntry } from '../intake/records.js';
import type { Repayment } from '../intake/repayment.js';
import type { TaskStory } from '../intake/task-story.js';
import type * as operations from './wire-operations.js';
import type * as wire from './wire-replies.js';

type Wire<T extends z.ZodType> = z.input<T>;

const time = (date: Date): string => date.toISOString();
const timeOrNull = (date: Date | null): string | null => date?.toISOString() ?? null;

/** @throws RangeError above 2^53: a JSON number would lose units. */
export function minor(amount: bigint): number {
  const number = Number(amount);
  if (!Number.isSafeInteger(number)) throw new RangeError('an amount does not fit a JSON number');
  return number;
}

const minorOrNull = (amount: bigint | undefined): number | null =>
  amount === undefined ? null : minor(amount);

export function deductionView(record: DeductionRecord): Wire<typeof wire.deduction> {
  const { failureCode, failureDetail, agentName, agentReason } = record;
  return {
    id: record.id,
    status: record.status,
    repayment_id: record.repaymentId,
    borrower_id: record.borrowerId,
    amount_minor: minor(record.amountMinor),
    currency: record.currency,
    bank_code: record.bankCode,
    account_last4: record.accountLast4,
    source: record.source,
    channel_id: record.channelId,
    order_no: record.orderNo,
    failure: failureCode === null ? null : { code: failureCode, detail: failureDetail ?? '' },
    batch_id: record.batchId,
    agent: agentName === null ? null : { name: agentName, reason: agentReason ?? '' },
    created_at: time(record.createdAt),
    ended_at: timeOrNull(record.endedAt),
  };
}

export function attemptView(
  record: AttemptRecord,
): Wire<typeof wire.deductionDetail>['attempts'][number] {
  return {
    attempt_no: record.attemptNo,
    operation: record.operation,
    order_no: record.orderNo,
    channel_id: record.channelId,
    status: record.status,
    channel_ref: record.channelRef,
    decline_code: record.declineCode,
    channel_code: record.channelCode,
    proof: record.proof,
    unknown_why: record.unknownWhy,
    asks: record.asks,
    next_ask_at: timeOrNull(record.nextAskAt),
    created_at: time(record.createdAt),
    expires_at: time(record.expiresAt),
    ended_at: timeOrNull(record.endedAt),
  };
}

export function caseView(record: CaseRecord): Wire<typeof wire.reviewCase> {
  return {
    deduction_id: record.deductionId,
    case_no: record.caseNo,
    reason: record.reason,
    attempt_no: record.attemptNo,
    amount_minor: minor(record.amountMinor),
    evidence: record.evidence,
    owner: record.owner,
    opened_at: time(record.openedAt),
    closed_at: timeOrNull(record.closedAt),
    resolution: record.resolution,
  };
}

export function logEntryView({ seq, writer, entry }: LoggedEntry): {
  seq: number;
  kind: string;
  at: string;
  writer: string;
} {
  const { kind, atMs, ...fields } = entry;
  return {
    seq,
    kind,
    at: new Date(atMs).toISOString(),
    writer,
    ...(plain(fields) as object),
  };
}

export const storyView = ({ attempts, cases, log }: TaskStory) => ({
  attempts: attempts.map(attemptView),
  cases: cases.map(caseView),
  log: log.map(logEntryView),
});

/** Account tokens, and what lets somebody repeat another caller's request. */
const withheld = new Set(['token', 'requestKey', 'requestDigest']);

/** An entry's fields: snake_case, amounts as numbers, moments as ISO 8601. */
function plain(value: unknown, name = ''): unknown {
  if (typeof value === 'bigint') return minor(value);
  if (typeof value === 'number' && /(?:At|Until)Ms$/.test(name)) {
    return new Date(value).toISOString();
  }
  if (Array.isArray(value)) return value.map((one) => plain(one));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => !withheld.has(key))
      .map(([key, inner]) => [snakeCase(key), plain(inner, key)]),
  );
}

const snakeCase = (key: string): string =>
  key
    .replace(/(?<=At|Until)Ms$/, '')
    .replaceAll(/[A-Z]/g, (capital) => `_${capital.toLowerCase()}`);

export function repaymentView(repayment: Repayment): Wire<typeof wire.repayment> {
  return {
    id: repayment.id,
    borrower_id: repayment.borrowerId,
    currency: repayment.currency,
    due_minor: minor(repayment.dueMinor),
    paid_minor: minor(repayment.paidMinor),
    collecting_minor: minor(repayment.collectingMinor),
    outstanding_minor: minor(repayment.dueMinor - repayment.paidMinor),
    due_date: repayment.dueDate,
    bank_code: repayment.account.bankCode,
    account_last4: repayment.account.last4,
  };
}

export function batchView(batch: Batch, progress: BatchProgress): Wire<typeof wire.batch> {
  return {
    id: batch.id,
    name: batch.name,
    state: batch.state,
    rows_total: batch.rowsTotal,
    rows_rejected: batch.rowsRejected,
    created_at: time(batch.createdAt),
    loaded_at: timeOrNull(batch.loadedAt),
    ended_at: timeOrNull(batch.endedAt),
    progress: {
      pending: progress.pending,
      started: progress.started,
      rejected: progress.rejected,
      processing: progress.processing,
      succeeded: progress.succeeded,
      failed: progress.failed,
      needs_review: progress.needsReview,
      collected_minor: minor(progress.collectedMinor),
    },
  };
}

export function routeView({ places, rejected }: Route): Wire<typeof operations.routePlan> {
  return {
    places: places.map(({ channelId, reason, expectedCostMinor }) => ({
      channel_id: channelId,
      reason,
      expected_cost_minor: expectedCostMinor,
    })),
    rejected: rejected.map(({ channelId, code, reason }) => ({
      channel_id: channelId,
      code,
      reason,
    })),
  };
}

export function channelView(
  profile: ChannelProfile,
): Wire<typeof operations.channelList>['channels'][number] {
  const { limits } = profile;
  return {
    id: profile.id,
    name: profile.name,
    mode: profile.mode,
    tier: profile.tier,
    paused: profile.paused,
    currencies: [...profile.currencies],
    banks: Object.keys(profile.banks),
    operations: [...profile.operations, ...(profile.can_refund ? ['refund'] : [])],
    per_transaction_min_minor: minorOrNull(limits.per_transaction_min_minor),
    per_transaction_max_minor: minorOrNull(limits.per_transaction_max_minor),
  };
}
