/** What the cases need of the rest. `store/` provides the book; the composition root the rest. */
import type { CaseFilter, CaseId, CaseNote, CasePlace, CaseRecord, Person } from './case.js';
import type { CarriedOut, NewProposal, Proposal } from './proposal.js';
import type { Resolution } from './resolution.js';

/** Every write is audited in its own transaction. */
export interface CaseBook {
  /** Oldest first. */
  list(filter: CaseFilter): Promise<readonly CaseRecord[]>;
  find(place: CasePlace): Promise<CaseRecord | null>;
  notes(id: CaseId): Promise<readonly CaseNote[]>;
  assign(id: CaseId, owner: string | null, by: Person, nowMs: number): Promise<void>;
  addNote(id: CaseId, note: string, by: Person, nowMs: number): Promise<void>;
}

export interface ProposalBook {
  /** Newest last. */
  proposals(id: CaseId): Promise<readonly Proposal[]>;
  findProposal(id: CaseId, no: number): Promise<Proposal | null>;
  /**
   * The same proposal by the same person while it is open is the one that is there.
   *
   * @throws RecoupError `proposal_open` with its number.
   */
  propose(proposal: NewProposal): Promise<Proposal>;
  /**
   * @param digest of what the checker has read.
   * @throws RecoupError `proposal_unknown`, `proposal_decided`, `proposal_expired`, `same_person`,
   *   `payload_changed`.
   */
  approve(id: CaseId, no: number, digest: string, by: Person, nowMs: number): Promise<Proposal>;
  /** @throws RecoupError `proposal_unknown`, `proposal_decided`, `proposal_expired`. */
  reject(id: CaseId, no: number, reason: string, by: Person, nowMs: number): Promise<Proposal>;
  /**
   * Claims approved proposals to be carried out, oldest first; instances share them. A claim ends by
   * itself at `untilMs`: whoever dies with one is followed by another.
   */
  claimApproved(claim: {
    readonly only?: { readonly caseId: CaseId; readonly no: number };
    readonly nowMs: number;
    readonly untilMs: number;
    readonly limit: number;
  }): Promise<readonly Proposal[]>;
  /** What the audit says was approved; null when it says nothing. */
  auditedDigest(id: CaseId, no: number): Promise<string | null>;
  /** False when it has been written down before: by another executor, or by us before a crash. */
  finish(
    proposal: Proposal,
    end: { readonly state: 'executed' | 'void'; readonly outcome: string },
    nowMs: number,
  ): Promise<boolean>;
  /** Not now: tried again at `tryAtMs`. */
  postpone(proposal: Proposal, why: string, tryAtMs: number): Promise<void>;
  /** Ends what was open and has expired; returns how many. */
  expire(nowMs: number, limit: number): Promise<number>;
}

/** A resolution that two people have agreed on, to be carried out at least once. */
export interface Decided {
  readonly case: CaseRecord;
  readonly no: number;
  readonly resolution: Resolution;
  readonly by: string;
  readonly approvedBy: string;
}

/** Carries a decision out where the case belongs. Doing it twice is doing it once. */
export type Carrier = (decided: Decided) => Promise<CarriedOut>;
