import type { Clock } from '../clock.js';
import type { Task } from '../engine/tasks.js';
import type { Deduction, Source } from '../engine/entries.js';
import { LockBusy, type Executor, type RunResult } from '../engine/executor.js';
import type { Router } from '../engine/ports.js';
import type { Route } from '../engine/route.js';
import { isCode, RecoupError } from '../errors.js';
import { newTaskId, type RepaymentId, type TaskId } from '../ids.js';
import type { AmountMinor } from '../money.js';
import type { DeductionRecord } from './records.js';
import type { Repayment } from './repayment.js';

/** What the desk reads. `store/` provides it. */
export interface DeskReads {
  repayment(id: RepaymentId): Promise<Repayment | null>;
  byRequest(requestKey: string): Promise<DeductionRecord | null>;
  liveOn(id: RepaymentId): Promise<DeductionRecord | null>;
}

export interface DeductionRequest {
  readonly source: Source;
  readonly repaymentId: RepaymentId;
  /** Null: all that is outstanding. */
  readonly amountMinor: AmountMinor | null;
  readonly requestKey: string;
  readonly requestDigest: string;
  readonly batchId: string | null;
  readonly agent: Deduction['agent'];
}

export interface Started {
  readonly deductionId: TaskId;
  /** When the first run has ended: often with the result, else it goes on by wake-ups. */
  readonly finished: Promise<RunResult<Task>>;
}

/**
 * Where the three callers meet: checks a request, and starts the deduction. Everything checked here
 * is checked again by a constraint in the transaction that accepts the deduction; reading first
 * serves the clear answer, not the safety.
 */
export class DeductionDesk {
  constructor(
    private readonly reads: DeskReads,
    private readonly router: Router,
    private readonly executor: Executor<Task>,
    private readonly clock: Clock,
    private readonly settings: {
      readonly attemptWindowMs: number;
      /** For the simulator, where the same seed must give the same ids. */
      readonly newTaskId?: () => TaskId;
    },
  ) {}

  /**
   * Resolves once the deduction is accepted, durably.
   *
   * @param known the repayment, where the caller has just read it.
   * @throws RecoupError `request_repeated`, `repayment_unknown`, `repayment_settled`,
   *   `amount_not_positive`, `amount_exceeds_due`, `live_deduction_exists`, `bank_unknown`,
   *   `no_eligible_channel`, `busy` or `journal_unavailable`. Nothing was written, but for the last.
   */
  async start(request: DeductionRequest, known?: Repayment): Promise<Started> {
    try {
      return await this.#start(request, known);
    } catch (error) {
      // "All that is outstanding" was reckoned from what was read before the record's lock was waited for.
      if (request.amountMinor !== null || !isCode(error, 'amount_exceeds_due')) {
        throw await this.#explain(error, request);
      }
    }
    try {
      return await this.#start(request);
    } catch (error) {
      throw await this.#explain(error, request);
    }
  }

  async #start(request: DeductionRequest, known?: Repayment): Promise<Started> {
    const repayment = known ?? (await this.reads.repayment(request.repaymentId));
    if (repayment === null) {
      throw new RecoupError('repayment_unknown', { repayment_id: request.repaymentId });
    }
    const amountMinor = amountToCollect(request, repayment);
    if (repayment.collectingMinor > 0n && (await this.reads.liveOn(repayment.id)) !== null) {
      throw new RecoupError('live_deduction_exists');
    }
    const deduction = this.#deduction(request, repayment, amountMinor);
    const route = await this.router.plan({
      taskId: deduction.id,
      bankCode: deduction.account.bankCode,
      amountMinor,
      currency: deduction.currency,
      exclude: [],
    });
    if (route.places.length === 0) throw noChannel(route, deduction.account.bankCode);

    const atMs = this.clock.nowMs();
    const { accepted, finished } = this.executor.start([
      { kind: 'accepted', atMs, deduction },
      { kind: 'routed', atMs, route },
    ]);
    await accepted;
    return { deductionId: deduction.id, finished };
  }

  #deduction(request: DeductionRequest, repayment: Repayment, amountMinor: AmountMinor): Deduction {
    return {
      id: (this.settings.newTaskId ?? newTaskId)(),
      repaymentId: repayment.id,
      borrowerId: repayment.borrowerId,
      amountMinor,
      currency: repayment.currency,
      account: repayment.account,
      source: request.source,
      requestKey: request.requestKey,
      requestDigest: request.requestDigest,
      batchId: request.batchId,
      agent: request.agent,
      attemptUntilMs: this.clock.nowMs() + this.settings.attemptWindowMs,
    };
  }

  /** A refusal, with what the caller needs to go on. */
  async #explain(error: unknown, request: DeductionRequest): Promise<unknown> {
    const refused = error instanceof LockBusy || error instanceof RecoupError;
    if (!refused || isCode(error, 'journal_unavailable')) return error;
    // A repeated request is told so whatever else is in its way: that may well be its own deduction.
    const same = await this.reads.byRequest(request.requestKey);
    if (same !== null) return new RecoupError('request_repeated', { deduction_id: same.id });
    if (error instanceof LockBusy || error.code === 'live_deduction_exists') {
      const live = await this.reads.liveOn(request.repaymentId);
      return live === null ? new RecoupError('busy') : liveExists(live);
    }
    if (error.code === 'amount_exceeds_due') {
      const now = await this.reads.repayment(request.repaymentId);
      if (now !== null) {
        return new RecoupError('amount_exceeds_due', { outstanding_minor: outstanding(now) });
      }
    }
    return error;
  }
}

const outstanding = (repayment: Repayment): number =>
  Number(repayment.dueMinor - repayment.paidMinor);

function amountToCollect(request: DeductionRequest, repayment: Repayment): AmountMinor {
  const due = (repayment.dueMinor - repayment.paidMinor) as AmountMinor;
  if (due === 0n) throw new RecoupError('repayment_settled', { repayment_id: repayment.id });
  const amount = request.amountMinor ?? due;
  if (amount <= 0n) throw new RecoupError('amount_not_positive');
  if (amount > due) throw new RecoupError('amount_exceeds_due');
  return amount;
}

const liveExists = (live: DeductionRecord): RecoupError =>
  new RecoupError('live_deduction_exists', {
    deduction_id: live.id,
    source: live.source,
    deduction_status: live.status,
  });

export function noChannel(route: Route, bankCode: string): RecoupError {
  const rejected = route.rejected.map(({ channelId, code, reason }) => ({
    channel_id: channelId,
    code,
    reason,
  }));
  // Whoever does not do this at all says nothing of the bank.
  const able = rejected.filter(
    ({ code }) => code !== 'payout_unsupported' && code !== 'refund_unsupported',
  );
  const bankUnknown = able.length > 0 && able.every(({ code }) => code === 'bank_unsupported');
  return bankUnknown
    ? new RecoupError('bank_unknown', { bank_code: bankCode })
    : new RecoupError('no_eligible_channel', { rejected });
}
