import type { CaseId, Person } from './case.js';
import type { Action } from './resolution.js';

/**
 *   open ─ approved by another ─ approved ─ carried out ─────────────── executed
 *     ├─ rejected, by anybody ── rejected      ├─ it no longer applies ─┬─ void
 *     └─ nobody came in time ─── expired       └─ it was tampered with ─┘
 */
export type ProposalState = 'open' | 'approved' | 'executed' | 'void' | 'rejected' | 'expired';

export interface Proposal {
  readonly caseId: CaseId;
  readonly no: number;
  readonly action: Action;
  /** As written down when it was proposed; `resolutionOf` reads it. */
  readonly payload: string;
  readonly payloadDigest: string;
  readonly maker: string;
  readonly makerKey: string;
  readonly madeAt: Date;
  readonly expiresAt: Date;
  readonly state: ProposalState;
  readonly checker: string | null;
  readonly checkerKey: string | null;
  readonly decidedAt: Date | null;
  readonly approvedDigest: string | null;
  readonly rejectReason: string | null;
  readonly endedAt: Date | null;
  /** What came of carrying it out. */
  readonly outcome: string | null;
  readonly tries: number;
  readonly lastProblem: string | null;
}

export interface NewProposal {
  readonly caseId: CaseId;
  readonly action: Action;
  readonly payload: string;
  readonly payloadDigest: string;
  readonly by: Person;
  readonly madeAt: Date;
  readonly expiresAt: Date;
}

/** What carrying a decision out came to. */
export type CarriedOut =
  | { readonly kind: 'done'; readonly outcome: string }
  /** It no longer applies: the case has ended otherwise, or the flow refuses it. */
  | { readonly kind: 'refused'; readonly outcome: string }
  /** Not now: somebody else has the task, a store is away. The sweep comes again. */
  | { readonly kind: 'later'; readonly why: string };
