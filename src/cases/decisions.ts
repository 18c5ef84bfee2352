import type { Clock } from '../clock.js';
import type { Log } from '../log.js';
import { placeOf, type CaseId, type CaseSource } from './case.js';
import type { CaseBook, Carrier, ProposalBook } from './ports.js';
import type { CarriedOut, Proposal } from './proposal.js';
import { decodeResolution, digestOf, type Resolution } from './resolution.js';

/** Longer than a task's lock may be waited for and a channel be asked. */
const claimMs = 120_000;
const pageSize = 16;
const expirePage = 500;
/** Pauses before a decision that could not be carried out is tried again, ms; the last one repeats. */
const againMs = [5_000, 15_000, 60_000, 300_000] as const;

export interface DecisionsReport {
  readonly executed: number;
  readonly void: number;
  readonly later: number;
  readonly expired: number;
}

/**
 * Carries approved proposals out, at least once each: right after the approval, and by the sweep when
 * the process died in between. Carrying out twice is carrying out once, since what it does is fenced
 * by the log (a task's entry, a refund's id that follows from the proposal) or conditional.
 */
export class Decisions {
  constructor(
    private readonly book: CaseBook,
    private readonly proposals: ProposalBook,
    private readonly carriers: Readonly<Record<CaseSource, Carrier>>,
    private readonly clock: Clock,
    private readonly log: Log,
  ) {}

  /** What is approved and not in another's hands; the sweep of one moment. */
  async runOnce(): Promise<DecisionsReport> {
    const nowMs = this.clock.nowMs();
    const counts = { executed: 0, void: 0, later: 0 };
    for (;;) {
      const page = await this.#claim(nowMs);
      const ends = await Promise.all(page.map((proposal) => this.#carryOut(proposal)));
      for (const end of ends) if (end !== null) counts[end] += 1;
      if (page.length < pageSize) break;
    }
    return { ...counts, expired: await this.proposals.expire(nowMs, expirePage) };
  }

  /** Never throws for what carrying out meets: the proposal is approved and stays so. */
  async carryOutOne(caseId: CaseId, no: number): Promise<void> {
    for (const proposal of await this.#claim(this.clock.nowMs(), { caseId, no })) {
      await this.#carryOut(proposal);
    }
  }

  async #claim(
    nowMs: number,
    only?: { readonly caseId: CaseId; readonly no: number },
  ): Promise<readonly Proposal[]> {
    const one = only === undefined ? {} : { only };
    const untilMs = nowMs + claimMs;
    return await this.proposals.claimApproved({ ...one, nowMs, untilMs, limit: pageSize });
  }

  async #carryOut(proposal: Proposal): Promise<'executed' | 'void' | 'later' | null> {
    const result = await this.#attempt(proposal);
    const { caseId: case_id, no, action } = proposal;
    const nowMs = this.clock.nowMs();
    if (result.kind === 'later') {
      const pauseMs = againMs[Math.min(proposal.tries, againMs.length - 1)] ?? againMs[0];
      this.log.warn('decision not carried out yet', { case_id, no, action, why: result.why });
      await this.proposals.postpone(proposal, result.why, nowMs + pauseMs);
      return 'later';
    }
    const state = result.kind === 'done' ? 'executed' : 'void';
    const { outcome } = result;
    const first = await this.proposals.finish(proposal, { state, outcome }, nowMs);
    if (!first) return null;
    this.log[state === 'executed' ? 'info' : 'warn']('decision carried out', {
      case_id,
      no,
      action,
      state,
      outcome,
    });
    return state;
  }

  async #attempt(proposal: Proposal): Promise<CarriedOut> {
    try {
      const resolution = await this.#asApproved(proposal);
      if (resolution === null) {
        return { kind: 'refused', outcome: 'what is written is not what was approved' };
      }
      const place = placeOf(proposal.caseId);
      const found = place === null ? null : await this.book.find(place);
      if (found === null) return { kind: 'refused', outcome: 'there is no such case' };
      const { no, maker: by, checker } = proposal;
      const decided = { case: found, no, resolution, by, approvedBy: checker ?? '' };
      return await this.carriers[found.source](decided);
    } catch (error) {
      return { kind: 'later', why: whyOf(error) };
    }
  }

  /** The approved payload is the executed one: by its digest, by the checker's and by the audit's. */
  async #asApproved(proposal: Proposal): Promise<Resolution | null> {
    const digest = digestOf(proposal);
    if (digest !== proposal.payloadDigest || digest !== proposal.approvedDigest) return null;
    const audited = await this.proposals.auditedDigest(proposal.caseId, proposal.no);
    return digest === audited ? decodeResolution(proposal.payload) : null;
  }
}

/** Never a statement's own words: a driver quotes what was written. */
function whyOf(error: unknown): string {
  const {
    name = 'Error',
    code,
    sqlMessage,
    message,
  } = error as Partial<Error & { code: string; sqlMessage: string }>;
  if (sqlMessage !== undefined || code !== undefined) return `${name} ${code ?? ''}`.trim();
  return `${name}: ${message ?? ''}`.slice(0, 300);
}
