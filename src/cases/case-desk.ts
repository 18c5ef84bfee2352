import type { Clock } from '../clock.js';
import { RecoupError } from '../errors.js';
import { placeOf, type CaseFilter, type CaseNote, type CaseRecord, type Person } from './case.js';
import type { Decisions } from './decisions.js';
import type { CaseBook, ProposalBook } from './ports.js';
import type { Proposal } from './proposal.js';
import { actionsFor, digestOf, encodeResolution, type Resolution } from './resolution.js';

export interface CaseStory {
  readonly case: CaseRecord;
  readonly notes: readonly CaseNote[];
  readonly proposals: readonly Proposal[];
}

/**
 * Where people work on cases. What is checked here serves the clear answer; that two people agree, in
 * time, on what is then done is kept by the database (migrations/008).
 */
export class CaseDesk {
  constructor(
    private readonly book: CaseBook,
    private readonly proposals: ProposalBook,
    private readonly decisions: Pick<Decisions, 'carryOutOne'>,
    private readonly clock: Clock,
    private readonly settings: { readonly proposalTtlMs: number },
  ) {}

  async list(filter: CaseFilter): Promise<readonly CaseRecord[]> {
    return await this.book.list(filter);
  }

  /** @throws RecoupError `case_unknown` */
  async show(id: string): Promise<CaseStory> {
    const found = await this.#find(id);
    const [notes, proposals] = await Promise.all([
      this.book.notes(found.id),
      this.proposals.proposals(found.id),
    ]);
    return { case: found, notes, proposals };
  }

  /**
   * @param owner null: nobody's.
   * @throws RecoupError `case_unknown`
   */
  async assign(id: string, owner: string | null, by: Person): Promise<CaseRecord> {
    const found = await this.#find(id);
    await this.book.assign(found.id, owner, by, this.clock.nowMs());
    return await this.#find(id);
  }

  /** @throws RecoupError `case_unknown` */
  async note(id: string, note: string, by: Person): Promise<CaseStory> {
    const found = await this.#find(id);
    await this.book.addNote(found.id, note, by, this.clock.nowMs());
    return await this.show(id);
  }

  /**
   * @throws RecoupError `case_unknown`, `case_closed`, `resolution_not_possible`,
   *   `refund_not_whole`, `proposal_open`
   */
  async propose(id: string, resolution: Resolution, by: Person): Promise<Proposal> {
    const found = await this.#findOpen(id);
    const possible = actionsFor(found);
    if (!possible.includes(resolution.action)) {
      throw new RecoupError('resolution_not_possible', { kind: found.kind, possible });
    }
    if (resolution.action === 'refund' && resolution.amountMinor !== found.amountMinor) {
      // Part of it would leave the rest without an owner: the case closes with its refund.
      const at = { at_risk_minor: Number(found.amountMinor) };
      throw new RecoupError('refund_not_whole', at);
    }
    const madeAt = new Date(this.clock.nowMs());
    const what = {
      caseId: found.id,
      makerKey: by.keyId,
      madeAt,
      payload: encodeResolution(resolution),
    };
    return await this.proposals.propose({
      ...what,
      action: resolution.action,
      payloadDigest: digestOf(what),
      by,
      expiresAt: new Date(madeAt.getTime() + this.settings.proposalTtlMs),
    });
  }

  /**
   * Approves and carries out. When this process dies in between, or the task is in use, the sweep
   * carries it out.
   *
   * @param digest of the payload that the checker has read.
   * @throws RecoupError `case_unknown`, `case_closed`, `proposal_unknown`, `proposal_decided`,
   *   `proposal_expired`, `same_person`, `payload_changed`
   */
  async approve(id: string, no: number, digest: string, by: Person): Promise<Proposal> {
    const found = await this.#find(id);
    const known = await this.#proposal(found, no);
    if (found.closedAt !== null && known.state === 'open') throw new RecoupError('case_closed');
    const nowMs = this.clock.nowMs();
    await this.proposals.approve(found.id, no, digest, by, nowMs);
    await this.decisions.carryOutOne(found.id, no);
    return await this.#proposal(found, no);
  }

  /**
   * By anybody: the maker so takes it back.
   *
   * @throws RecoupError `case_unknown`, `proposal_unknown`, `proposal_decided`, `proposal_expired`
   */
  async reject(id: string, no: number, reason: string, by: Person): Promise<Proposal> {
    const found = await this.#find(id);
    await this.#proposal(found, no);
    return await this.proposals.reject(found.id, no, reason, by, this.clock.nowMs());
  }

  async #proposal(found: CaseRecord, no: number): Promise<Proposal> {
    const proposal = await this.proposals.findProposal(found.id, no);
    if (proposal === null) throw new RecoupError('proposal_unknown');
    return proposal;
  }

  async #find(id: string): Promise<CaseRecord> {
    const place = placeOf(id);
    const found = place === null ? null : await this.book.find(place);
    if (found === null) throw new RecoupError('case_unknown');
    return found;
  }

  async #findOpen(id: string): Promise<CaseRecord> {
    const found = await this.#find(id);
    if (found.closedAt !== null) {
      throw new RecoupError('case_closed', { resolution: found.resolution });
    }
    return found;
  }
}
