import type { Entry } from '../../src/engine/entries.js';
import { deductionFlow, type DeductionState } from '../../src/engine/deduction.js';
import type { Evidence, Step } from '../../src/engine/flow.js';
import type { ChannelNature } from '../../src/engine/order.js';
import type { Answer } from '../../src/engine/reply.js';
import type { RoutePlace } from '../../src/engine/route.js';
import { channelId, repaymentId, taskId, type TaskId } from '../../src/ids.js';
import { amountMinor } from '../../src/money.js';

export const startMs = 1_800_000_000_000;
export const ttlMs = 60_000;
export const visibilityMs = 10_000;

export const nature = (fields: Partial<ChannelNature> = {}): ChannelNature => ({
  idempotent: false,
  honoursExpiry: false,
  closeProof: 'none',
  visibilityMs,
  pollScheduleMs: [1_000, 5_000, 30_000],
  ...fields,
});

export const place = (id: string, fields: Partial<ChannelNature> = {}): RoutePlace => ({
  channelId: channelId(id),
  reason: 'first',
  expectedCostMinor: 10,
  orderTtlMs: ttlMs,
  nature: nature(fields),
});

export const someTask: TaskId = taskId('0190c000-0000-7000-8000-000000000001');

/**
 * Drives the flow by hand, as the executor does: holds entries, answers steps, moves the clock.
 * Nothing is stubbed: the flow has no surroundings.
 */
export class FlowDriver {
  state: DeductionState;
  nowMs = startMs;
  readonly log: Entry[] = [];

  constructor(places: readonly RoutePlace[], attemptWindowMs = 86_400_000) {
    const accepted: Entry = {
      kind: 'accepted',
      atMs: this.nowMs,
      deduction: {
        id: someTask,
        repaymentId: repaymentId('rp_1'),
        borrowerId: 'bw_1',
        amountMinor: amountMinor(50_000),
        currency: 'CNY',
        account: { token: 'tok_1', bankCode: 'ICBC', last4: '4321' },
        source: 'app',
        requestKey: 'k',
        requestDigest: 'd',
        batchId: null,
        agent: null,
        attemptUntilMs: this.nowMs + attemptWindowMs,
      },
    };
    this.state = deductionFlow.evolve(null, accepted);
    this.log.push(accepted);
    this.add({ kind: 'routed', atMs: this.nowMs, route: { places, rejected: [] } });
  }

  add(entry: Entry): void {
    this.state = deductionFlow.evolve(this.state, entry);
    this.log.push(entry);
  }

  /** The next step that touches something outside, waits or stops. */
  next(): Step {
    for (let rounds = 0; rounds < 20; rounds += 1) {
      const step = deductionFlow.next(this.state, this.nowMs);
      if (step.kind !== 'record') return step;
      for (const entry of step.entries) this.add(entry);
    }
    throw new Error('the flow goes round in circles');
  }

  /** Performs the next step, which must be of this kind, and gives it this answer. */
  answer(kind: 'charge' | 'query' | 'close', answer: Answer, tookMs = 50): Step {
    const step = this.next();
    if (step.kind !== kind) throw new Error(`the flow wants ${step.kind}, not ${kind}`);
    if (step.kind !== 'query') this.add(step.intent);
    const sentAtMs = this.nowMs;
    this.nowMs += tookMs;
    const { attemptNo } = step;
    this.add({ kind: 'replied', atMs: this.nowMs, attemptNo, via: kind, answer, sentAtMs });
    return this.next();
  }

  /** The intent is committed, and the process dies before any answer is; another takes over. */
  die(kind: 'charge' | 'close'): Step {
    const step = this.next();
    if (step.kind !== kind) throw new Error(`the flow wants ${step.kind}, not ${kind}`);
    this.add(step.intent);
    this.nowMs += 200_000;
    this.add({ kind: 'taken_over', atMs: this.nowMs, attemptNo: step.attemptNo, by: 'other' });
    return this.next();
  }

  /** Waits as long as the flow says. */
  wait(): Step {
    const step = this.next();
    if (step.kind !== 'wait') throw new Error(`the flow wants ${step.kind}, not to wait`);
    this.nowMs = step.untilMs;
    return this.next();
  }

  receive(evidence: Evidence): Step {
    for (const entry of deductionFlow.receive(this.state, evidence, this.nowMs)) this.add(entry);
    return this.next();
  }

  callback(answer: Answer & { kind: 'succeeded' | 'declined' | 'pending' | 'mismatch' }): Step {
    const orderNo = this.attempt().order.orderNo;
    return this.receive({ kind: 'callback', orderNo, read: () => answer });
  }

  attempt(no = this.state.attempts.length) {
    const attempt = this.state.attempts[no - 1];
    if (attempt === undefined) throw new Error(`no attempt ${no}`);
    return attempt;
  }

  kinds(): string[] {
    return this.log.map((entry) => entry.kind);
  }
}

export const succeeded: Answer & { kind: 'succeeded' } = { kind: 'succeeded', channelRef: 'ref' };
export const pending: Answer & { kind: 'pending' } = { kind: 'pending', channelRef: 'ref' };
export const unknown: Answer = { kind: 'unknown', why: 'timeout', detail: '' };
export const notFound = { kind: 'not_found' } as const;
export const notSent: Answer = { kind: 'not_executed', proof: 'not_sent' };
export const declined = (scope: 'final' | 'other_channel'): Answer & { kind: 'declined' } => ({
  kind: 'declined',
  code: scope === 'final' ? 'insufficient_funds' : 'limit_exceeded',
  channelCode: 'E1',
  message: 'no',
  scope,
});
