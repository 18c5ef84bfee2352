import type { Clock } from '../clock.js';
import type { Log } from '../engine/ports.js';
import { RecoupError } from '../errors.js';
import type { DeductionDesk, DeductionRequest, Started } from '../intake/deduction-desk.js';
import type { Repayments } from '../intake/repayment.js';
import type { ApiKey, DeductionReads } from './ports.js';
import { traceOf } from './problems.js';

const hourMs = 3_600_000;

export interface AgentDeskParts {
  readonly desk: Pick<DeductionDesk, 'start'>;
  readonly deductions: DeductionReads;
  readonly repayments: Repayments;
  readonly audit: (by: ApiKey, action: string, subject: string, detail: object) => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Deductions that a collection agent asks for by hand. Each is written down before it is tried, and
 * again with what came of it; and a borrower is charged by hand only so often in an hour.
 *
 * The limit is kept exactly within a process; agents who use several processes at the same instant
 * may pass it by one for each further process.
 */
export class AgentDesk {
  /** The last request under way for each borrower. */
  readonly #underWay = new Map<string, Promise<unknown>>();

  constructor(
    private readonly parts: AgentDeskParts,
    private readonly perBorrowerHour: number,
  ) {}

  /** @throws RecoupError what the desk throws, and `rate_limited` */
  async start(request: DeductionRequest, caller: ApiKey): Promise<Started> {
    await this.parts.audit(caller, 'deduction_requested', request.repaymentId, {
      amount_minor: request.amountMinor === null ? 'all' : Number(request.amountMinor),
      reason: request.agent?.reason,
    });
    let started: Started;
    try {
      started = await this.#startWithinLimit(request);
    } catch (error) {
      const code = error instanceof RecoupError ? error.code : 'internal';
      await this.#auditAfter(caller, 'deduction_refused', request.repaymentId, { code });
      throw error;
    }
    const { repaymentId: repayment_id } = request;
    await this.#auditAfter(caller, 'deduction_accepted', started.deductionId, { repayment_id });
    return started;
  }

  async #startWithinLimit(request: DeductionRequest): Promise<Started> {
    const { repayments, desk } = this.parts;
    const repayment = await repayments.find(request.repaymentId);
    if (repayment === null) {
      throw new RecoupError('repayment_unknown', { repayment_id: request.repaymentId });
    }
    return await this.#inTurn(repayment.borrowerId, async () => {
      await this.#checkLimit(repayment.borrowerId);
      return await desk.start(request);
    });
  }

  async #checkLimit(borrowerId: string): Promise<void> {
    const { deductions, clock } = this.parts;
    const nowMs = clock.nowMs();
    const count = await deductions.agentDeductionsSince(borrowerId, nowMs - hourMs);
    if (count < this.perBorrowerHour) return;
    const nth = count - this.perBorrowerHour;
    const freedBy = await deductions.agentDeductionAt(borrowerId, nowMs - hourMs, nth);
    const waitMs = (freedBy?.getTime() ?? nowMs) + hourMs - nowMs;
    throw new RecoupError('rate_limited', {
      limit: this.perBorrowerHour,
      per: 'borrower and hour',
      retry_after_s: Math.max(1, Math.ceil(waitMs / 1_000)),
    });
  }

  /** One at a time for each borrower: counting and starting must not be split. */
  async #inTurn<T>(borrowerId: string, work: () => Promise<T>): Promise<T> {
    const before = this.#underWay.get(borrowerId) ?? Promise.resolve();
    const mine = before.then(work, work);
    const settled = mine.catch(() => undefined);
    this.#underWay.set(borrowerId, settled);
    try {
      return await mine;
    } finally {
      if (this.#underWay.get(borrowerId) === settled) this.#underWay.delete(borrowerId);
    }
  }

  /** The deduction stands whether or not this can be written; that it could not is said loudly. */
  async #auditAfter(
    caller: ApiKey,
    action: string,
    subject: string,
    detail: object,
  ): Promise<void> {
    try {
      await this.parts.audit(caller, action, subject, detail);
    } catch (error) {
      this.parts.log.error('not audited', {
        action,
        subject,
        key_id: caller.id,
        ...traceOf(error),
      });
    }
  }
}
