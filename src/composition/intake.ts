/** Where deductions, refunds and batches come in: their desks, and what starts a batch's rows. */
import type { ChannelDirectory } from '../channels/directory.js';
import type { Executor } from '../engine/executor.js';
import type { Task } from '../engine/tasks.js';
import { BatchDesk } from '../intake/batch-desk.js';
import { BatchRunner } from '../intake/batch-runner.js';
import { DeductionDesk } from '../intake/deduction-desk.js';
import { RefundDesk } from '../intake/refund-desk.js';
import type { LiveRouter } from '../routing/live-router.js';
import { refundReadsFrom } from './refunds.js';
import type { Stores } from './stores.js';
import type { Basics } from './surroundings.js';

export interface Intake {
  readonly desk: DeductionDesk;
  readonly refundDesk: RefundDesk;
  readonly batchDesk: BatchDesk;
  readonly batchRunner: BatchRunner;
}

export function openIntake(
  { config, clock, log, instanceId }: Basics,
  stores: Stores,
  { directory, router }: { readonly directory: ChannelDirectory; readonly router: LiveRouter },
  executor: Executor<Task>,
): Intake {
  const { repayments, deductions, refunds, batches } = stores;
  const desk = new DeductionDesk(
    {
      repayment: (one) => repayments.find(one),
      byRequest: (key) => deductions.findByRequest(key),
      liveOn: (one) => deductions.findLive(one),
    },
    router,
    executor,
    clock,
    { attemptWindowMs: config.attemptWindowMs },
  );
  const refundReads = refundReadsFrom({ refunds, repayments, tasks: deductions, directory });
  return {
    desk,
    refundDesk: new RefundDesk(refundReads, executor, clock),
    batchDesk: new BatchDesk(batches, repayments, clock),
    batchRunner: new BatchRunner(batches, desk, clock, log, {
      workerId: instanceId,
      inFlightMax: config.batchInFlight,
      idleMs: 500,
      claimMs: config.batchClaimMs,
    }),
  };
}
