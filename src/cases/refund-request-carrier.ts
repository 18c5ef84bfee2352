import { RecoupError } from '../errors.js';
import type { TaskId } from '../ids.js';
import type { AmountMinor } from '../money.js';
import { itemCarrier } from './item-carrier.js';
import type { Carrier, Decided } from './ports.js';
import type { CarriedOut } from './proposal.js';
import { refundKeyOf } from './refund-requests.js';
import type { Resolution } from './resolution.js';
import { neverPossible } from './task-carrier.js';

/** What an approved request of a refund becomes. The composition root provides it. */
export interface RequestedRefunds {
  /** The refund that this key has started; null when none. */
  started(requestKey: string): Promise<TaskId | null>;
  /**
   * Starts it, or finds the one that this key has started.
   *
   * @throws RecoupError those of `neverPossible`. Anything else: perhaps later.
   */
  start(what: {
    readonly taskId: TaskId;
    readonly attemptNo: number;
    readonly amountMinor: AmountMinor;
    readonly reason: string;
    readonly requestedBy: string;
    readonly approvedBy: string;
    readonly requestKey: string;
    readonly only: 'repayment';
  }): Promise<TaskId>;
  /** False when it was closed before. */
  close(no: number, resolution: string): Promise<boolean>;
}

/**
 * A request starts one refund, whichever of its proposals is carried out, and however often: the refund
 * first, then the end of the case, so that after a crash in between the refund is found.
 */
export function refundRequestCarrier(requests: RequestedRefunds): Carrier {
  const others = itemCarrier({ close: (no, _by, told) => requests.close(no, told) });
  return async (decided) => {
    const { resolution } = decided;
    return resolution.action === 'refund'
      ? await giveBack(requests, decided, resolution)
      : await others(decided);
  };
}

async function giveBack(
  requests: RequestedRefunds,
  { case: about, by, approvedBy }: Decided,
  { amountMinor, reason }: Extract<Resolution, { action: 'refund' }>,
): Promise<CarriedOut> {
  const { taskId, attemptNo, closedAt, no } = about;
  if (taskId === null || attemptNo === null) throw new Error('the request names no attempt');
  const requestKey = refundKeyOf(no);
  let refundId = await requests.started(requestKey);
  if (refundId === null && closedAt !== null) {
    return { kind: 'refused', outcome: `the case had ended: ${about.resolution}` };
  }
  try {
    const what = { taskId, attemptNo, amountMinor, reason, requestedBy: by, approvedBy };
    // What is credited to nobody has a case of its own.
    refundId ??= await requests.start({ ...what, requestKey, only: 'repayment' });
  } catch (error) {
    if (!(error instanceof RecoupError) || !neverPossible.includes(error.code)) throw error;
    return { kind: 'refused', outcome: `no refund: ${error.code}` };
  }
  const outcome = `refund ${refundId}`;
  await requests.close(no, `${outcome} (${by}, approved by ${approvedBy})`);
  return { kind: 'done', outcome };
}
