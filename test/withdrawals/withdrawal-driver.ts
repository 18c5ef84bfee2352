import type { Entry } from '../../src/engine/entries.js';
import type { Evidence, Step } from '../../src/engine/flow.js';
import type { ChannelNature } from '../../src/engine/order.js';
import type { Answer } from '../../src/engine/reply.js';
import type { RoutePlace } from '../../src/engine/route.js';
import { withdrawalFlow, type WithdrawalState } from '../../src/engine/withdrawal.js';
import { channelId } from '../../src/ids.js';
import { amountMinor } from '../../src/money.js';
import { nature, someTask, startMs, ttlMs } from '../engine/flow-driver.js';

type Does = Exclude<Step['kind'], 'record' | 'route' | 'wait' | 'stop'>;

/** Drives a withdrawal by hand, as the executor does. Nothing is stubbed: a flow has no surroundings. */
export class WithdrawalDriver {
  state: WithdrawalState;
  nowMs = startMs;
  readonly log: Entry[] = [];
  /** What a plan that is made anew finds. */
  places: readonly RoutePlace[] = [];

  /** @param service null: a balance of ours; else the nature of the account service's orders. */
  constructor(places: readonly RoutePlace[], service: Partial<ChannelNature> | null = null) {
    const party = {
      channelId: channelId('accounts'),
      nature: nature(service ?? {}),
      orderTtlMs: ttlMs,
    };
    const accepted: Entry = {
      kind: 'withdrawal_accepted',
      atMs: this.nowMs,
      withdrawal: {
        id: someTask,
        memberId: 'mb_1',
        amountMinor: amountMinor(50_000),
        currency: 'CNY',
        account: { token: 'tok_to', bankCode: 'ICBC', last4: '4321' },
        funding: service && {
          party,
          account: { token: 'tok_from', bankCode: 'BALANCE', last4: '0001' },
        },
        requestKey: 'k',
        requestDigest: 'd',
        attemptUntilMs: this.nowMs + 86_400_000,
      },
    };
    this.state = withdrawalFlow.evolve(null, accepted);
    this.log.push(accepted);
    this.add({ kind: 'routed', atMs: this.nowMs, route: { places, rejected: [] } });
  }

  add(entry: Entry): void {
    this.state = withdrawalFlow.evolve(this.state, entry);
    this.log.push(entry);
  }

  /** The next step that touches something outside, waits or stops; a new plan finds `places`. */
  next(): Step {
    for (let rounds = 0; rounds < 20; rounds += 1) {
      const step = withdrawalFlow.next(this.state, this.nowMs);
      if (step.kind === 'record') for (const entry of step.entries) this.add(entry);
      else if (step.kind === 'route') {
        const { places } = this;
        this.add({ kind: 'routed', atMs: this.nowMs, route: { places, rejected: [] } });
      } else return step;
    }
    throw new Error('the flow goes round in circles');
  }

  /** Performs the next step, which must be of this kind, and gives it this answer. */
  answer(kind: Does, answer: Answer): Step {
    const { attemptNo } = this.begin(kind);
    const sentAtMs = this.nowMs;
    this.nowMs += 50;
    this.add({ kind: 'replied', atMs: this.nowMs, attemptNo, via: kind, answer, sentAtMs });
    return this.next();
  }

  /** The intent is committed, and nothing has been heard. */
  begin(kind: Does): Extract<Step, { attemptNo: number }> {
    const step = this.next();
    if (step.kind !== kind) throw new Error(`the flow wants ${step.kind}, not ${kind}`);
    if (step.kind !== 'query') this.add(step.intent);
    return step;
  }

  /** The process dies with the call under way; another takes over. */
  die(kind: Does): Step {
    const { attemptNo } = this.begin(kind);
    this.nowMs += 200_000;
    this.add({ kind: 'taken_over', atMs: this.nowMs, attemptNo, by: 'other' });
    return this.next();
  }

  wait(): Step {
    const step = this.next();
    if (step.kind !== 'wait') throw new Error(`the flow wants ${step.kind}, not to wait`);
    this.nowMs = step.untilMs;
    return this.next();
  }

  /** Asked until nothing is left to ask: a person must decide. */
  exhaust(): Step {
    for (let asks = 0; asks < 50; asks += 1) {
      const step = this.next();
      if (step.kind === 'wait') this.wait();
      else if (step.kind === 'query')
        this.answer('query', { kind: 'unknown', why: 'timeout', detail: '' });
      else return step;
    }
    throw new Error('it is asked for ever');
  }

  receive(evidence: Evidence): Step {
    for (const entry of withdrawalFlow.receive(this.state, evidence, this.nowMs)) this.add(entry);
    return this.next();
  }

  /** A channel says by itself that an attempt has succeeded. */
  turnsOutPaid(attemptNo: number): Step {
    const orderNo = this.attempt(attemptNo).order.orderNo;
    const read = () => ({ kind: 'succeeded', channelRef: 'late' }) as const;
    return this.receive({ kind: 'callback', orderNo, read });
  }

  /** The channel says by itself that it has not done what it had said to have done. */
  denies(attemptNo: number): Step {
    const orderNo = this.attempt(attemptNo).order.orderNo;
    const read = () =>
      ({
        kind: 'declined',
        code: 'x',
        channelCode: 'E7',
        message: 'never was',
        scope: 'final',
      }) as const;
    return this.receive({ kind: 'callback', orderNo, read });
  }

  decide(
    decision: Extract<Evidence, { kind: 'decision' }>['decision'],
    caseNo = this.state.cases.length,
  ): Step {
    return this.receive({ kind: 'decision', caseNo, decision, by: 'ann', approvedBy: 'ben' });
  }

  attempt(no = this.state.attempts.length) {
    const attempt = this.state.attempts[no - 1];
    if (attempt === undefined) throw new Error(`no attempt ${no}`);
    return attempt;
  }

  kinds(): string[] {
    return this.log.map((entry) => entry.kind);
  }

  openCases(): string[] {
    return this.state.cases.flatMap(({ reason, closed }) => (closed === null ? [reason] : []));
  }
}
