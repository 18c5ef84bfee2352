import { RecoupError } from '../errors.js';
import type { TaskId } from '../ids.js';
import type { AmountMinor } from '../money.js';
import type { CaseRecord } from './case.js';
import { itemCarrier } from './item-carrier.js';
import type { Carrier } from './ports.js';
import { neverPossible } from './task-carrier.js';

/** What an approved request of a refund becomes. The composition root provides it. */
export interface RequestedRefunds {
  /** The refund that this request has started; null when none. */
  started(no: number): Promise<TaskId | null>;
  /**
   * Starts it, out of what was credited and of nothing else, or finds the one that was started: a
   * request starts one refund, whichever of its proposals is carried out, and however often.
   *
   * @throws RecoupError those of `neverPossible`. Anything else: perhaps later.
   */
  start(what: {
    readonly about: CaseRecord;
    readonly amountMinor: AmountMinor;
    readonly reason: string;
    readonly requestedBy: string;
    readonly approvedBy: string;
  }): Promise<TaskId>;
  /** False when it was closed before. */
  close(no: number, resolution: string): Promise<boolean>;
}

/** The refund first, then the end of its case: after a crash in between the refund is found. */
export function refundRequestCarrier(requests: RequestedRefunds): Carrier {
  const others = itemCarrier({ close: (no, _by, told) => requests.close(no, told) });
  return async (decided) => {
    const { case: about, resolution, by, approvedBy } = decided;
    if (resolution.action !== 'refund') return await others(decided);
    let refundId = await requests.started(about.no);
    if (refundId === null) {
      if (about.closedAt !== null) {
        return { kind: 'refused', outcome: `the case had ended: ${about.resolution}` };
      }
      const { amountMinor, reason } = resolution;
      try {
        const people = { requestedBy: by, approvedBy };
        refundId = await requests.start({ about, amountMinor, reason, ...people });
      } catch (error) {
        if (!(error instanceof RecoupError) || !neverPossible.includes(error.code)) throw error;
        return { kind: 'refused', outcome: `no refund: ${error.code}` };
      }
    }
    const outcome = `refund ${refundId}`;
    await requests.close(about.no, `${outcome} (${by}, approved by ${approvedBy})`);
    return { kind: 'done', outcome };
  };
}
