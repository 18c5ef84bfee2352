/** Cases over the wire: what comes in, what goes out, with an example of each. */
import { z } from 'zod';
import { caseSources, type CaseNote, type CaseRecord } from '../cases/case.js';
import type { CaseStory } from '../cases/case-desk.js';
import type { Proposal } from '../cases/proposal.js';
import { actions, actionsFor, decodeResolution } from '../cases/resolution.js';
import { isTaskId, type TaskId } from '../ids.js';
import { amountMinor } from '../money.js';
import { namesSomebody } from '../personal.js';

const at = '2026-11-22T01:00:00.000Z';
const task = '019a9e6c-5a00-7c3e-8f1d-0242ac120002';
const digest = '5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef';
const time = z.iso.datetime().describe('UTC, ISO 8601');
const amount = z.int().min(0).describe('Minor units (fen), a whole number');

const words = (min: number, max: number) =>
  z
    .string()
    .trim()
    .min(min)
    .max(max)
    .refine((text) => !namesSomebody(text), 'no account, card, identity or telephone number');

const proof = words(4, 500).describe('What proves it, and where it can be seen');
export const reason = words(4, 500);

export const resolutionBody = z
  .discriminatedUnion('action', [
    z.strictObject({ action: z.literal('ask_again') }),
    z.strictObject({
      action: z.literal('adopt_captured'),
      channel_ref: z
        .string()
        .regex(/^[\x21-\x7e]{1,128}$/, '1 to 128 printable ASCII characters')
        .describe("The channel's own number for the order"),
      proof,
    }),
    z.strictObject({ action: z.literal('mark_not_executed'), proof }),
    z.strictObject({
      action: z.literal('refund'),
      amount_minor: z.int().min(1).max(999_999_999_999_999),
      reason,
    }),
    z.strictObject({ action: z.literal('restore'), reason }),
    z.strictObject({ action: z.literal('write_off'), reason }),
  ])
  .meta({
    examples: [
      {
        action: 'adopt_captured',
        channel_ref: 'SP2026112200000017',
        proof: 'statement of 2026-11-22, line 118',
      },
    ],
  });

export const approvalBody = z
  .strictObject({
    digest: z
      .string()
      .regex(/^[0-9a-f]{64}$/, '64 hexadecimal digits')
      .describe('Of the proposal as you have read it: what you approve is what is carried out'),
  })
  .meta({ examples: [{ digest }] });

export const rejectionBody = z
  .strictObject({ reason })
  .meta({ examples: [{ reason: 'the statement shows another order' }] });

export const ownerBody = z
  .strictObject({ owner: words(1, 100).nullable().describe('Null: nobody') })
  .meta({ examples: [{ owner: 'Wang Fang' }] });

export const noteBody = z
  .strictObject({ note: words(1, 2_000) })
  .meta({ examples: [{ note: 'asked the channel by phone; they look it up until noon' }] });

export const casesQuery = z.strictObject({
  open: z
    .enum(['true', 'false'])
    .optional()
    .describe('Only those still open, or only those closed'),
  source: z.enum(caseSources).optional(),
  kind: z
    .string()
    .regex(/^[a-z_]{1,40}$/, 'a kind such as outcome_unknown')
    .optional(),
  owner: z.string().min(1).max(100).optional().describe('Only those of this owner'),
  unowned: z.literal('true').optional().describe('Only those that nobody owns'),
  task_id: z
    .string()
    .refine((text): text is TaskId => isTaskId(text), 'a UUID')
    .optional(),
  cursor: z.string().max(300).optional().describe('From `next_cursor` of the page before'),
  limit: z.coerce.number().int().min(1).max(500).default(100),
});

export const caseParams = z.object({ id: z.string().max(100) });
export const proposalParams = z.object({
  id: z.string().max(100),
  no: z.coerce.number().int().min(1).max(1_000_000),
});

const caseFields = {
  id: z.string().describe('`task:<task>:<no>`, or `<source>:<no>`'),
  source: z.enum(caseSources).describe('Whose facts these are'),
  kind: z.string().describe('Why it was opened'),
  task_id: z.string().nullable().describe('The task it is about'),
  task_kind: z.enum(['deduction', 'refund', 'withdrawal', 'top_up']).nullable(),
  attempt_no: z.int().nullable(),
  amount_minor: amount.describe('What is at risk, in minor units (fen)'),
  evidence: z.string(),
  owner: z.string().nullable(),
  opened_at: time,
  closed_at: time.nullable(),
  resolution: z.string().nullable(),
  open_proposal_no: z
    .int()
    .nullable()
    .describe('The proposal that waits for a checker, or is approved and not yet carried out'),
};

const caseExample = {
  id: `task:${task}:1`,
  source: 'task' as const,
  kind: 'outcome_unknown',
  task_id: task,
  task_kind: 'deduction' as const,
  attempt_no: 1,
  amount_minor: 128_050,
  evidence: 'asked 15 times, last known as unknown; no definite answer',
  owner: 'Wang Fang',
  opened_at: at,
  closed_at: null,
  resolution: null,
  open_proposal_no: 1,
};

export const casePage = z
  .object({
    cases: z.array(z.object(caseFields)).describe('Oldest first'),
    next_cursor: z.string().nullable(),
    next: z.string().nullable().describe('The address of the next page'),
  })
  .meta({ id: 'CasePage', examples: [{ cases: [caseExample], next_cursor: null, next: null }] });

const proposalFields = {
  no: z.int(),
  action: z.enum(actions),
  payload: z.looseObject({}).describe('What is carried out when it is approved'),
  digest: z.string().describe('Send it back to approve'),
  state: z
    .enum(['open', 'approved', 'executed', 'void', 'rejected', 'expired'])
    .describe('`approved`: not yet carried out. `void`: it no longer applied'),
  maker: z.string(),
  made_at: time,
  expires_at: time,
  checker: z.string().nullable(),
  decided_at: time.nullable(),
  reject_reason: z.string().nullable(),
  ended_at: time.nullable(),
  outcome: z.string().nullable().describe('What came of carrying it out'),
  last_problem: z.string().nullable().describe('Why it is not carried out yet; it is tried again'),
};

const proposalExample = {
  no: 1,
  action: 'adopt_captured' as const,
  payload: {
    action: 'adopt_captured',
    channel_ref: 'SP2026112200000017',
    proof: 'statement of 2026-11-22, line 118',
  },
  digest,
  state: 'open' as const,
  maker: 'Wang Fang',
  made_at: at,
  expires_at: '2026-11-23T01:00:00.000Z',
  checker: null,
  decided_at: null,
  reject_reason: null,
  ended_at: null,
  outcome: null,
  last_problem: null,
};

export const proposal = z
  .object(proposalFields)
  .meta({ id: 'Proposal', examples: [proposalExample] });

export const caseDetail = z
  .object({
    ...caseFields,
    possible: z.array(z.enum(actions)).describe('What may be proposed'),
    notes: z.array(z.object({ at: time, author: z.string(), note: z.string() })),
    proposals: z.array(z.object(proposalFields)),
  })
  .meta({
    id: 'CaseDetail',
    examples: [
      {
        ...caseExample,
        possible: ['ask_again', 'adopt_captured', 'mark_not_executed'],
        notes: [{ at, author: 'Wang Fang', note: 'asked the channel by phone' }],
        proposals: [proposalExample],
      },
    ],
  });

type Wire<T extends z.ZodType> = z.input<T>;
const timeOrNull = (date: Date | null): string | null => date?.toISOString() ?? null;

export function caseView(record: CaseRecord): Wire<typeof casePage>['cases'][number] {
  return {
    id: record.id,
    source: record.source,
    kind: record.kind,
    task_id: record.taskId,
    task_kind: record.taskKind,
    attempt_no: record.attemptNo,
    amount_minor: Number(record.amountMinor),
    evidence: record.evidence,
    owner: record.owner,
    opened_at: record.openedAt.toISOString(),
    closed_at: timeOrNull(record.closedAt),
    resolution: record.resolution,
    open_proposal_no: record.openProposalNo,
  };
}

export function proposalView(record: Proposal): Wire<typeof proposal> {
  return {
    no: record.no,
    action: record.action,
    payload: payloadView(record.payload),
    digest: record.payloadDigest,
    state: record.state,
    maker: record.maker,
    made_at: record.madeAt.toISOString(),
    expires_at: record.expiresAt.toISOString(),
    checker: record.checker,
    decided_at: timeOrNull(record.decidedAt),
    reject_reason: record.rejectReason,
    ended_at: timeOrNull(record.endedAt),
    outcome: record.outcome,
    last_problem: record.lastProblem,
  };
}

/** As it was asked for: names in snake_case, amounts as numbers. */
function payloadView(payload: string): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(decodeResolution(payload)).map(([name, value]) => [
      name.replaceAll(/[A-Z]/g, (capital) => `_${capital.toLowerCase()}`),
      typeof value === 'bigint' ? Number(value) : value,
    ]),
  );
}

export function caseStoryView(story: CaseStory): Wire<typeof caseDetail> {
  return {
    ...caseView(story.case),
    possible: story.case.closedAt === null ? [...actionsFor(story.case)] : [],
    notes: story.notes.map(noteView),
    proposals: story.proposals.map(proposalView),
  };
}

const noteView = ({ at: noted, author, note }: CaseNote) => ({
  at: noted.toISOString(),
  author,
  note,
});

/** What was asked for, as a resolution. */
export function resolutionOf(body: z.output<typeof resolutionBody>) {
  switch (body.action) {
    case 'adopt_captured':
      return { action: body.action, channelRef: body.channel_ref, proof: body.proof };
    case 'refund': {
      const { action, reason: why } = body;
      return { action, amountMinor: amountMinor(body.amount_minor), reason: why };
    }
    default:
      return body;
  }
}
