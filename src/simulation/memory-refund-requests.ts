import type { CaseId } from '../cases/case.js';
import type { NewRefundRequest, RefundRequestRecord } from '../cases/refund-requests.js';
import { RecoupError } from '../errors.js';
import type { TaskId } from '../ids.js';
import { amountMinor } from '../money.js';

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** A row, and how far its one proposal is. */
export interface StoredRequest {
  readonly row: Writable<RefundRequestRecord>;
  readonly key: string;
  proposal: 'open' | 'approved' | 'executed' | 'void' | 'rejected';
}

/** The table of migrations/017, with its unique key, and what `store/refund-requests.ts` allows. */
export class MemoryRefundRequests {
  readonly all: StoredRequest[] = [];

  byKey(key: string): RefundRequestRecord | null {
    const found = this.all.find((one) => one.key === key);
    return found === undefined ? null : { ...found.row };
  }

  /**
   * @param credited of the order that took the money, now.
   * @param started whether this request has become a refund.
   */
  open(
    request: NewRefundRequest,
    credited: bigint,
    started: (no: number) => boolean,
  ): RefundRequestRecord | null {
    if (this.byKey(request.requestKey) !== null) return null;
    const left = credited - this.#askedOf(request.deductionId, started);
    const asked = request.amountMinor ?? left;
    if (asked <= 0n || asked > left) throw new RecoupError('capture_not_available');
    const no = this.all.length + 1;
    const caseId = `refund:${no}` as CaseId;
    const { deductionId, attemptNo, currency, reason, requestDigest, by } = request;
    const given = { deductionId, attemptNo, currency, reason, requestDigest };
    const row: Writable<RefundRequestRecord> = {
      ...given,
      no,
      caseId,
      amountMinor: amountMinor(asked),
      requestedBy: by.name,
      requestedAt: request.openedAt,
      closedAt: null,
      resolution: null,
      refundId: null,
    };
    this.all.push({ row, key: request.requestKey, proposal: 'open' });
    return { ...row };
  }

  close(no: number, resolution: string, at: Date): boolean {
    const row = this.all[no - 1]?.row;
    if (row === undefined || row.closedAt !== null) return false;
    row.closedAt = at;
    row.resolution = resolution;
    return true;
  }

  #askedOf(deduction: TaskId, started: (no: number) => boolean): bigint {
    return this.all
      .filter(({ row }) => row.deductionId === deduction && row.closedAt === null)
      .filter(({ row }) => !started(row.no))
      .reduce((sum, { row }) => sum + row.amountMinor, 0n);
  }
}
