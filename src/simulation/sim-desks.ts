import { DeductionDesk } from '../intake/deduction-desk.js';
import { RefundDesk } from '../intake/refund-desk.js';
import { TopUpDesk } from '../intake/top-up-desk.js';
import { WithdrawalDesk } from '../intake/withdrawal-desk.js';
import type { LiveRouter } from '../routing/live-router.js';
import { topUpRules } from './flow-plan.js';
import type { SimProcess } from './sim-process.js';
import { deskReadsOf, refundDeskReadsOf, topUpReadsOf, withdrawalReadsOf } from './store-ports.js';

/** The real desks of one process. */
export interface Desks {
  readonly deductions: DeductionDesk;
  readonly refunds: RefundDesk;
  readonly withdrawals: WithdrawalDesk;
  readonly topUps: TopUpDesk;
}

export function desksOf(process: SimProcess, router: LiveRouter): Desks {
  const { world, executor, clock } = process;
  const newTaskId = () => world.newTaskId();
  const settings = { attemptWindowMs: world.attemptWindowMs, newTaskId };
  return {
    deductions: new DeductionDesk(deskReadsOf(process), router, executor, clock, settings),
    refunds: new RefundDesk(refundDeskReadsOf(process), executor, clock, newTaskId),
    withdrawals: new WithdrawalDesk(withdrawalReadsOf(process), router, executor, clock, settings),
    topUps: new TopUpDesk(topUpReadsOf(process, router), executor, clock, {
      rules: topUpRules,
      payWindowMs: world.attemptWindowMs,
      settleAfterMs: world.plan.flows?.settleAfterMs ?? 0,
      newTaskId,
    }),
  };
}
