import type { Entry } from '../../src/engine/entries.js';
import type { Evidence, Step } from '../../src/engine/flow.js';
import { operationOf, type Operation } from '../../src/engine/order.js';
import type { Answer } from '../../src/engine/reply.js';
import type { RoutePlace } from '../../src/engine/route.js';
import type { TopUp } from '../../src/engine/requests.js';
import { topUpFlow, type TopUpState } from '../../src/engine/top-up.js';
import { channelId } from '../../src/ids.js';
import { amountMinor } from '../../src/money.js';
import { nature, place, someTask, startMs, ttlMs } from './flow-driver.js';

export const hourMs = 3_600_000;

export const someTopUp = (fields: Partial<TopUp> = {}): TopUp => ({
  id: someTask,
  customerId: 'cu_1',
  amountMinor: amountMinor(100_000),
  creditMinor: amountMinor(120_000),
  rule: 'spring',
  currency: 'CNY',
  payer: { token: 'tok_payer', bankCode: 'ICBC', last4: '4321' },
  card: { token: 'tok_card', bankCode: 'CARD', last4: '0007' },
  cards: {
    channelId: channelId('cards'),
    nature: nature({ idempotent: true, closeProof: 'refuses_unseen' }),
    orderTtlMs: ttlMs,
  },
  requestKey: 'k',
  requestDigest: 'd',
  attemptUntilMs: startMs + 900_000,
  settleAfterMs: hourMs,
  ...fields,
});

/** Pays late where it must: idempotent, closable for good. */
const usualPlaces = [place('wechat', { idempotent: true, closeProof: 'refuses_unseen' })];

/** Drives the top-up flow by hand, as the executor does. Nothing is stubbed. */
export class TopUpDriver {
  state: TopUpState;
  nowMs = startMs;
  readonly log: Entry[] = [];

  constructor(
    private readonly places: readonly RoutePlace[] = usualPlaces,
    fields: Partial<TopUp> = {},
  ) {
    const accepted: Entry = {
      kind: 'top_up_accepted',
      atMs: this.nowMs,
      topUp: someTopUp(fields),
    };
    this.state = topUpFlow.evolve(null, accepted);
    this.log.push(accepted);
  }

  add(entry: Entry): void {
    this.state = topUpFlow.evolve(this.state, entry);
    this.log.push(entry);
  }

  /** The next step that touches something outside, waits or stops. */
  next(): Step {
    for (let rounds = 0; rounds < 20; rounds += 1) {
      const step = topUpFlow.next(this.state, this.nowMs);
      if (step.kind === 'route') {
        const tried = step.request.exclude;
        const places = this.places.filter((one) => !tried.includes(one.channelId));
        this.add({ kind: 'routed', atMs: this.nowMs, route: { places, rejected: [] } });
      } else if (step.kind === 'record') {
        for (const entry of step.entries) this.add(entry);
      } else return step;
    }
    throw new Error('the flow goes round in circles');
  }

  /** Performs the next step, which must be of this kind, and gives it this answer. */
  answer(kind: Operation | 'query' | 'close', answer: Answer): Step {
    const step = this.#expect(kind);
    if ('intent' in step) this.add(step.intent);
    const sentAtMs = this.nowMs;
    this.nowMs += 50;
    if (!('attemptNo' in step)) throw new Error('nothing to answer');
    const { attemptNo } = step;
    this.add({ kind: 'replied', atMs: this.nowMs, attemptNo, via: kind, answer, sentAtMs });
    return this.next();
  }

  #expect(kind: string): Step {
    const step = this.next();
    if (step.kind !== kind) throw new Error(`the flow wants ${step.kind}, not ${kind}`);
    return step;
  }

  /** Waits as long as the flow says. */
  wait(): Step {
    const step = this.#expect('wait');
    if (step.kind === 'wait') this.nowMs = step.untilMs;
    return this.next();
  }

  /** Gives every question and every sending this answer until the flow wants something else. */
  unheard(answer: Answer, kinds: readonly string[], untilMs = Infinity): Step {
    for (let rounds = 0; rounds < 200; rounds += 1) {
      const step = this.next();
      if (step.kind === 'wait') {
        if (step.untilMs > untilMs) {
          this.nowMs = untilMs;
          return this.next();
        }
        this.nowMs = step.untilMs;
      } else if (kinds.includes(step.kind)) this.answer(step.kind as 'query', answer);
      else return step;
    }
    throw new Error('the flow never wants anything else');
  }

  receive(evidence: Evidence): Step {
    for (const entry of topUpFlow.receive(this.state, evidence, this.nowMs)) this.add(entry);
    return this.next();
  }

  /** A callback or a statement about the nth order of an operation. */
  hears(operation: Operation, answer: Answer & { kind: 'succeeded' | 'declined' }, nth = 0): Step {
    const { orderNo } = this.of(operation, nth).order;
    return this.receive({ kind: 'callback', orderNo, read: () => answer });
  }

  decide(action: 'write_off' | 'ask_again' | 'mark_not_executed', by = 'ann'): Step {
    const caseNo = this.state.cases.find(({ closed }) => closed === null)?.no ?? 0;
    const decision =
      action === 'write_off'
        ? ({ action, reason: 'seen to' } as const)
        : action === 'ask_again'
          ? ({ action } as const)
          : ({ action, proof: 'their word' } as const);
    return this.receive({ kind: 'decision', caseNo, decision, by, approvedBy: 'ben' });
  }

  of(operation: Operation, nth = 0) {
    const found = this.state.attempts.filter(({ order }) => operationOf(order) === operation)[nth];
    if (found === undefined) throw new Error(`no ${operation} ${nth}`);
    return found;
  }

  /** What was placed, in order. */
  placed(): Operation[] {
    return this.state.attempts.map(({ order }) => operationOf(order));
  }

  cases(): string[] {
    return this.state.cases.map(({ reason }) => reason);
  }
}
