/** What the refund desk reads, and from where. */
import type { ChannelDirectory } from '../channels/directory.js';
import { refundTermsOf } from '../channels/refund-terms.js';
import type { Credit } from '../cases/refund-requests.js';
import type { BankAccount } from '../engine/order.js';
import type { TaskId } from '../ids.js';
import type { RefundReads } from '../intake/refund-desk.js';
import type { DeductionStore } from '../store/deductions.js';
import type { RefundStore } from '../store/refunds.js';
import type { RepaymentStore } from '../store/repayments.js';

export interface RefundSources {
  readonly refunds: RefundStore;
  readonly repayments: RepaymentStore;
  /** The logs of all kinds of task. */
  readonly tasks: Pick<DeductionStore, 'log'>;
  readonly directory: ChannelDirectory;
}

export function refundReadsFrom(sources: RefundSources): RefundReads {
  const { refunds, repayments, tasks, directory } = sources;
  return {
    capture: async (task, attemptNo) => await refunds.capture(task, attemptNo),
    account: async (capture) =>
      'topUpId' in capture
        ? await payerOf(tasks, capture.topUpId)
        : ((await repayments.find(capture.repaymentId))?.account ?? null),
    byRequest: async (key) => await refunds.findByRequest(key),
    terms: (channel) => refundTermsOf(directory.get(channel)),
  };
}

/** What of a deduction was credited: by the order that settled it. */
export async function creditOf(
  deduction: TaskId,
  { deductions, refunds, directory }: CreditSources,
): Promise<Credit | null> {
  const found = await deductions.find(deduction);
  if (found === null) return null;
  const { status, orderNo } = found;
  const attempts = await deductions.attempts(deduction);
  const paid = attempts.find((one) => one.orderNo === orderNo);
  const capture = paid === undefined ? null : await refunds.capture(deduction, paid.attemptNo);
  if (capture === null) return { status, from: null };
  const { attemptNo, channelId, currency } = capture;
  const refundable = refundTermsOf(directory.get(channelId)) !== null;
  return { status, from: { attemptNo, channelId, currency, refundable } };
}

export interface CreditSources {
  readonly deductions: Pick<DeductionStore, 'find' | 'attempts'>;
  readonly refunds: Pick<RefundStore, 'capture'>;
  readonly directory: Pick<ChannelDirectory, 'get'>;
}

/** The payer's token stands in the log alone. */
async function payerOf(
  tasks: Pick<DeductionStore, 'log'>,
  topUp: TaskId,
): Promise<BankAccount | null> {
  const [first] = await tasks.log(topUp);
  return first?.entry.kind === 'top_up_accepted' ? first.entry.topUp.payer : null;
}
