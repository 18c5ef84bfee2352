/**
 * Proposals: what one person wants done with a case and another must approve. The constraints of
 * migrations/008 are the rules; a broken one becomes a coded error here. Whoever writes about a case
 * holds its row of `case_work`, so that two writers never meet half-way.
 */
import type { Knex } from 'knex';
import type { CaseId, Person } from '../cases/case.js';
import type { ProposalBook } from '../cases/ports.js';
import type { NewProposal, Proposal } from '../cases/proposal.js';
import { RecoupError } from '../errors.js';
import { audited, closeRequest } from './case-book.js';
import { execute, inTransaction, selectRows, sqlTime, type Database } from './database.js';
import { constraintOf } from './sql-errors.js';

const columns = `case_id AS caseId, proposal_no AS no, action, payload,
  payload_digest AS payloadDigest, maker, maker_key AS makerKey, made_at AS madeAt,
  expires_at AS expiresAt, state, checker, checker_key AS checkerKey, decided_at AS decidedAt,
  approved_digest AS approvedDigest, reject_reason AS rejectReason, ended_at AS endedAt, outcome,
  tries, last_problem AS lastProblem`;

/** Carrying decisions out is nobody's hand: the audit names the program. */
const recoup: Person = { name: 'recoup', keyId: 'sweep' };

export class CaseProposalStore implements ProposalBook {
  constructor(private readonly database: Database) {}

  async proposals(id: CaseId): Promise<readonly Proposal[]> {
    return await selectRows<Proposal>(
      this.database,
      `SELECT ${columns} FROM case_proposal WHERE case_id = ? ORDER BY proposal_no`,
      [id],
    );
  }

  async findProposal(id: CaseId, no: number): Promise<Proposal | null> {
    return await find(this.database, id, no);
  }

  async propose(proposal: NewProposal): Promise<Proposal> {
    const { caseId, payload, by, madeAt } = proposal;
    const nowMs = madeAt.getTime();
    const no = await this.#alone(caseId, async (transaction) => {
      await expireOf(transaction, caseId, nowMs);
      const all = await selectRows<Proposal>(
        transaction,
        `SELECT ${columns} FROM case_proposal WHERE case_id = ? ORDER BY proposal_no FOR UPDATE`,
        [caseId],
      );
      // A request that was sent twice: its answer may have been lost.
      const same = all.find(({ state }) => state === 'open');
      if (same?.makerKey === by.keyId && same.payload === payload) return same.no;
      const next = (all.at(-1)?.no ?? 0) + 1;
      await insertProposal(transaction, proposal, next);
      return next;
    }).catch(async (error: unknown) => {
      if (constraintOf(error) !== 'case_proposal_one_open') throw error;
      const open = await this.#openOf(caseId);
      throw new RecoupError('proposal_open', { proposal_no: open?.no ?? null });
    });
    return await this.#get(caseId, no);
  }

  async approve(
    id: CaseId,
    no: number,
    digest: string,
    by: Person,
    nowMs: number,
  ): Promise<Proposal> {
    const refused = await this.#alone(id, async (transaction) => {
      const found = await find(transaction, id, no, 'FOR UPDATE');
      if (found === null) return 'proposal_unknown';
      const again = found.checkerKey === by.keyId && found.approvedDigest === digest;
      // A request that was sent twice: its answer may have been lost.
      if (again && (found.state === 'approved' || found.state === 'executed')) return null;
      if (found.state === 'expired') return 'proposal_expired';
      if (found.state !== 'open') return 'proposal_decided';
      if (found.expiresAt.getTime() <= nowMs) {
        await expireOf(transaction, id, nowMs);
        return 'proposal_expired';
      }
      await execute(
        transaction,
        `UPDATE case_proposal SET state = 'approved', checker = ?, checker_key = ?, decided_at = ?,
           approved_digest = ?, try_at = ? WHERE case_id = ? AND proposal_no = ?`,
        [by.name, by.keyId, sqlTime(nowMs), digest, sqlTime(nowMs), id, no],
      );
      const detail = { no, action: found.action, digest };
      await audited(transaction, by, 'proposal_approved', id, detail, nowMs);
      return null;
    }).catch((error: unknown) => {
      const constraint = constraintOf(error) ?? '';
      const code = refusals[constraint];
      if (code === undefined) throw error;
      return code;
    });
    if (refused === null) return await this.#get(id, no);
    if (refused === 'same_person' || refused === 'payload_changed') {
      await audited(this.database, by, 'approval_refused', id, { no, code: refused }, nowMs);
    }
    throw new RecoupError(refused);
  }

  async reject(
    id: CaseId,
    no: number,
    reason: string,
    by: Person,
    nowMs: number,
  ): Promise<Proposal> {
    const refused = await this.#alone(id, async (transaction) => {
      const found = await find(transaction, id, no, 'FOR UPDATE');
      if (found === null) return 'proposal_unknown';
      if (found.state === 'rejected' && found.checkerKey === by.keyId) return null;
      if (found.state === 'expired') return 'proposal_expired';
      if (found.state !== 'open') return 'proposal_decided';
      await execute(
        transaction,
        `UPDATE case_proposal SET state = 'rejected', checker = ?, checker_key = ?, decided_at = ?,
           reject_reason = ?, ended_at = ? WHERE case_id = ? AND proposal_no = ?`,
        [by.name, by.keyId, sqlTime(nowMs), reason, sqlTime(nowMs), id, no],
      );
      await audited(transaction, by, 'proposal_rejected', id, { no, reason }, nowMs);
      if (found.action === 'refund') {
        const how = by.keyId === found.makerKey ? 'withdrawn' : 'declined';
        await closeRequest(transaction, id, `${how} by ${by.name}: ${reason}`, nowMs);
      }
      return null;
    });
    if (refused !== null) throw new RecoupError(refused);
    return await this.#get(id, no);
  }

  async claimApproved(
    claim: Parameters<ProposalBook['claimApproved']>[0],
  ): Promise<readonly Proposal[]> {
    const { only } = claim;
    return await inTransaction(this.database, async (transaction) => {
      const due = await selectRows<Proposal>(
        transaction,
        `SELECT ${columns} FROM case_proposal WHERE state = 'approved' AND try_at <= ?
           ${only === undefined ? '' : 'AND case_id = ? AND proposal_no = ?'}
         ORDER BY try_at LIMIT ? FOR UPDATE SKIP LOCKED`,
        [sqlTime(claim.nowMs), ...(only === undefined ? [] : [only.caseId, only.no]), claim.limit],
      );
      for (const { caseId, no } of due) {
        await execute(
          transaction,
          'UPDATE case_proposal SET try_at = ? WHERE case_id = ? AND proposal_no = ?',
          [sqlTime(claim.untilMs), caseId, no],
        );
      }
      return due;
    });
  }

  async auditedDigest(id: CaseId, no: number): Promise<string | null> {
    const rows = await selectRows<{ detail: string }>(
      this.database,
      `SELECT detail FROM audit WHERE subject = ? AND action = 'proposal_approved' ORDER BY id`,
      [id],
    );
    const told = rows.map(({ detail }) => JSON.parse(detail) as { no: number; digest: string });
    return told.find((one) => one.no === no)?.digest ?? null;
  }

  async finish(
    { caseId, no, action }: Proposal,
    { state, outcome }: { readonly state: 'executed' | 'void'; readonly outcome: string },
    nowMs: number,
  ): Promise<boolean> {
    return await inTransaction(this.database, async (transaction) => {
      const found = await execute(
        transaction,
        `UPDATE case_proposal SET state = ?, outcome = ?, ended_at = ?, try_at = NULL,
           last_problem = NULL
         WHERE case_id = ? AND proposal_no = ? AND state = 'approved'`,
        [state, outcome.slice(0, 500), sqlTime(nowMs), caseId, no],
      );
      if (found === 0) return false;
      const detail = { no, action, outcome };
      await audited(transaction, recoup, `proposal_${state}`, caseId, detail, nowMs);
      return true;
    });
  }

  async postpone({ caseId, no }: Proposal, why: string, tryAtMs: number): Promise<void> {
    await execute(
      this.database,
      `UPDATE case_proposal SET tries = tries + 1, try_at = ?, last_problem = ?
       WHERE case_id = ? AND proposal_no = ? AND state = 'approved'`,
      [sqlTime(tryAtMs), why.slice(0, 300), caseId, no],
    );
  }

  async expire(nowMs: number, limit: number): Promise<number> {
    const due = await selectRows<{ caseId: CaseId }>(
      this.database,
      `SELECT case_id AS caseId FROM case_proposal WHERE state = 'open' AND expires_at <= ?
       ORDER BY case_id LIMIT ?`,
      [sqlTime(nowMs), limit],
    );
    let expired = 0;
    for (const { caseId } of due) {
      expired += await this.#alone(caseId, (transaction) => expireOf(transaction, caseId, nowMs));
    }
    return expired;
  }

  async #openOf(id: CaseId): Promise<Proposal | null> {
    const [row] = await selectRows<Proposal>(
      this.database,
      `SELECT ${columns} FROM case_proposal WHERE open_case_id = ?`,
      [id],
    );
    return row ?? null;
  }

  async #get(id: CaseId, no: number): Promise<Proposal> {
    const found = await find(this.database, id, no);
    if (found === null) throw new Error(`proposal ${no} of ${id} has disappeared`);
    return found;
  }

  /** Under the case's own row lock. */
  async #alone<T>(id: CaseId, work: (transaction: Knex.Transaction) => Promise<T>): Promise<T> {
    return await inTransaction(this.database, async (transaction) => {
      await execute(
        transaction,
        'INSERT INTO case_work (case_id) VALUES (?) ON DUPLICATE KEY UPDATE case_id = case_id',
        [id],
      );
      return await work(transaction);
    });
  }
}

/** In the transaction of whoever holds the case. */
export async function insertProposal(
  transaction: Knex.Transaction,
  proposal: NewProposal,
  no: number,
): Promise<void> {
  const { caseId, action, payload, payloadDigest: digest, by, madeAt, expiresAt } = proposal;
  const nowMs = madeAt.getTime();
  await execute(
    transaction,
    `INSERT INTO case_proposal (case_id, proposal_no, action, payload, payload_digest, maker,
       maker_key, made_at, expires_at, state) VALUES (?,?,?,?,?,?,?,?,?,'open')`,
    [
      caseId,
      no,
      action,
      payload,
      digest,
      by.name,
      by.keyId,
      sqlTime(nowMs),
      sqlTime(expiresAt.getTime()),
    ],
  );
  await audited(transaction, by, 'proposal_made', caseId, { no, action, digest }, nowMs);
}

const refusals: Readonly<Record<string, 'same_person' | 'payload_changed' | 'proposal_expired'>> = {
  case_proposal_two_people: 'same_person',
  case_proposal_as_approved: 'payload_changed',
  case_proposal_in_time: 'proposal_expired',
};

async function find(
  database: Knex | Knex.Transaction,
  id: CaseId,
  no: number,
  lock: 'FOR UPDATE' | '' = '',
): Promise<Proposal | null> {
  const [row] = await selectRows<Proposal>(
    database,
    `SELECT ${columns} FROM case_proposal WHERE case_id = ? AND proposal_no = ? ${lock}`,
    [id, no],
  );
  return row ?? null;
}

async function expireOf(transaction: Knex.Transaction, id: CaseId, nowMs: number): Promise<number> {
  const expired = await execute(
    transaction,
    `UPDATE case_proposal SET state = 'expired', ended_at = ?
     WHERE case_id = ? AND state = 'open' AND expires_at <= ?`,
    [sqlTime(nowMs), id, sqlTime(nowMs)],
  );
  if (expired > 0) await audited(transaction, recoup, 'proposal_expired', id, {}, nowMs);
  return expired;
}
