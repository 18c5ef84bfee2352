/** The stores that several parts of a process read. What one part alone needs, it opens itself. */
import { AccessStore } from '../store/access.js';
import { BatchStore } from '../store/batches.js';
import { ChannelStore } from '../store/channels.js';
import type { Database } from '../store/database.js';
import { DeductionStore } from '../store/deductions.js';
import { BreakStore } from '../store/reconciliation-breaks.js';
import { RefundStore } from '../store/refunds.js';
import { RepaymentStore } from '../store/repayments.js';

export interface Stores {
  readonly deductions: DeductionStore;
  readonly refunds: RefundStore;
  readonly repayments: RepaymentStore;
  readonly batches: BatchStore;
  readonly channelStore: ChannelStore;
  readonly access: AccessStore;
  readonly breaks: BreakStore;
}

export const openStores = (database: Database): Stores => ({
  deductions: new DeductionStore(database),
  refunds: new RefundStore(database),
  repayments: new RepaymentStore(database),
  batches: new BatchStore(database),
  channelStore: new ChannelStore(database),
  access: new AccessStore(database),
  breaks: new BreakStore(database),
});
