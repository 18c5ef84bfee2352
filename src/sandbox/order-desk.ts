import { feeOf, fateOf, type Fate } from './bank.js';
import type { Book } from './book.js';
import {
  placementOf,
  refundable,
  type BookOrder,
  type OrderFields,
  type RefundOf,
} from './book-order.js';
import { channelRefOf } from './channel-ref.js';
import type { ChannelSpec, DeclineOutcome, Outcome, Placement } from './channel-spec.js';
import { declineOutcomes, specFor } from './channel-spec.js';
import { noMishap, type Mishap } from './faults.js';
import { Later } from './later.js';
import { objectionTo } from './party-rules.js';

/**
 * What a channel does with orders, whatever its wire looks like. Its nature is honoured here and
 * nowhere else:
 *
 * - idempotent: the same number with the same bytes has the same result, with other bytes none;
 * - honours expiry: an order is started before its expiry or never, and once started it is seen by
 *   queries within the visibility window;
 * - tombstones: a closed number is refused for ever, seen or unseen, and what has been started
 *   cannot be closed.
 *
 * What it promises of payouts is what it promises of payouts (`specFor`). A refund is an order of its own under its own number, of the same nature as a charge; whatever is
 * asked, no more is paid back than was captured.
 *
 * Each check and the entry that follows from it happen in one synchronous step.
 */

export interface ChargeRequest extends OrderFields {
  readonly orderNo: string;
}

export interface RefundRequest extends Omit<OrderFields, 'accountToken' | 'bank' | 'refundOf'> {
  readonly orderNo: string;
  readonly refundOf: RefundOf;
}

/** `order` is null where the answer is about the request and not about an order. */
export interface DeskAnswer {
  readonly outcome: Outcome;
  readonly orderNo: string;
  readonly order: BookOrder | null;
}

export interface DeskSettings {
  readonly seed: string;
  readonly latencyScale: number;
  readonly decided: (order: BookOrder) => void;
}

export class OrderDesk {
  readonly spec: ChannelSpec;
  readonly #book: Book;
  readonly #settings: DeskSettings;
  /** Decisions, and requests and locks that a fault holds. */
  readonly #later = new Later();
  /** Orders that wait for a lock: nothing can be said of them meanwhile. */
  readonly #locked = new Set<string>();

  constructor(spec: ChannelSpec, book: Book, settings: DeskSettings) {
    this.spec = spec;
    this.#book = book;
    this.#settings = settings;
  }

  /** Places an order of any operation. Null: nothing happens now, so there is nothing to answer with. */
  async charge(request: ChargeRequest, mishap: Mishap): Promise<DeskAnswer | null> {
    if (mishap.effect === 'none') return null;
    const heldMs = this.#heldMs(mishap);
    if (heldMs !== null) {
      this.#later.hold(heldMs, () => this.#execute(request, mishap));
      return null;
    }
    if (mishap.effect === 'again') {
      // The network delivers it a second time, when the first has long been answered.
      const { delay_ms: againMs = 100 } = mishap.params;
      this.#later.hold(againMs, () => this.#execute(request, noMishap));
    }
    return this.#execute(request, mishap);
  }

  /** The account is the one that was charged; the merchant need not name it. */
  async refund(request: RefundRequest, mishap: Mishap): Promise<DeskAnswer | null> {
    const original = this.#book.find(this.spec.id, request.refundOf.orderNo)?.fields;
    const { accountToken = '', bank = '' } = original ?? {};
    return this.charge({ ...request, accountToken, bank }, mishap);
  }

  /** A number is asked about as what it was placed as. */
  async query(orderNo: string, as: Placement = 'charge'): Promise<DeskAnswer> {
    const order = this.#book.find(this.spec.id, orderNo);
    const other = order?.fields && placementOf(order.fields) !== as;
    if (order === undefined || other === true || Date.now() < order.visibleAtMs) {
      return { outcome: 'not_found', orderNo, order: null };
    }
    if (this.#locked.has(orderNo)) return { outcome: 'system_error', orderNo, order: null };
    return this.#durably(order, outcomeOf(order));
  }

  /** @param regarding of a credit: what is closed with it. */
  async close(
    orderNo: string,
    merchant: string,
    as: Placement = 'charge',
    regarding?: RefundOf,
  ): Promise<DeskAnswer> {
    if (!specFor(this.spec, as).tombstones) return { outcome: 'bad_request', orderNo, order: null };
    const order = this.#book.find(this.spec.id, orderNo);
    if (order?.state === 'closed') return this.#durably(order, 'closed');
    if (order === undefined || this.#canStillClose(order)) {
      // Only a credit takes what it is about with it: a void that is closed voids nothing.
      const about = as === 'credit' ? (order?.fields?.regarding ?? regarding) : undefined;
      const happening = { what: 'closed', merchant, ...(about && { regarding: about }) } as const;
      return this.#durably(this.#book.append(this.spec.id, orderNo, happening), 'closed');
    }
    this.#book.append(this.spec.id, orderNo, { what: 'refused', why: 'close' });
    return this.#durably(order, 'close_refused');
  }

  /** An order that its payer has not paid; a credit that waits for its turn. */
  #canStillClose({ orderNo, state, fields }: BookOrder): boolean {
    if (state !== 'executing' || fields === null) return false;
    return fields.operation === 'credit' || this.#fate(orderNo, fields).payer !== 'pays';
  }

  /** After a restart: what was started and not decided is decided now. */
  resume(): void {
    for (const order of this.#book.orders(this.spec.id)) {
      if (order.state !== 'executing' || order.fields === null) continue;
      const fate = this.#fate(order.orderNo, order.fields);
      if (fate.payer === 'never_pays') this.#expireUnpaid(order, order.fields);
      else this.#later.in(fate.settleAfterMs, () => this.#settle(order, fate.decline, 1, false));
    }
  }

  shutDown(): void {
    this.#later.close();
  }

  /** What is held arrives now; resolves when all of it has. */
  async letGo(): Promise<number> {
    return await this.#later.letGo();
  }

  async #execute(request: ChargeRequest, mishap: Mishap): Promise<DeskAnswer | null> {
    const violates = mishap.effect === 'violate';
    const refusal = violates ? null : this.#refusal(request);
    if (refusal !== null) return refusal;
    const { orderNo, ...fields } = request;
    const invisibleMs = mishap.effect === 'late' ? this.#invisibleMs(mishap) : 0;
    const order = this.#book.append(this.spec.id, orderNo, {
      what: 'order',
      visibleAtMs: Date.now() + invisibleMs,
      ...fields,
    });
    const fate = this.#fate(orderNo, fields);
    const decline = violates ? null : forced(mishap, fate.decline, request);
    const times = mishap.effect === 'double' ? 2 : 1;
    if (mishap.effect === 'lock') return this.#waitForLock(order, decline, mishap);
    if (fate.payer === 'never_pays') {
      this.#expireUnpaid(order, fields);
      await this.#later.pause(fate.answerAfterMs);
      return this.#durably(order, outcomeOf(order));
    }
    if (this.spec.sync && fate.payer === 'pays') {
      await this.#later.pause(fate.answerAfterMs);
      this.#settle(order, decline, times, violates);
      return this.#durably(order, outcomeOf(order));
    }
    this.#later.in(fate.answerAfterMs + fate.settleAfterMs, () =>
      this.#settle(order, decline, times, violates),
    );
    await this.#later.pause(fate.answerAfterMs);
    return this.#durably(order, outcomeOf(order));
  }

  /** It is there, and is done when the lock is free; until then it is anybody's guess. */
  async #waitForLock(
    order: BookOrder,
    decline: DeclineOutcome | null,
    { params }: Mishap,
  ): Promise<DeskAnswer | null> {
    const { orderNo } = order;
    this.#locked.add(orderNo);
    this.#later.hold(params.delay_ms ?? 2_000, async () => {
      this.#locked.delete(orderNo);
      this.#settle(order, decline, 1, false);
    });
    await this.#book.durable(order.lastSeq);
    return params.answer === 'hang' ? null : { outcome: 'system_error', orderNo, order: null };
  }

  #expireUnpaid(order: BookOrder, fields: OrderFields): void {
    if (!this.spec.honoursExpiry) return;
    this.#later.in(Math.max(0, fields.expiresAtMs - Date.now()), () => {
      if (order.state !== 'executing') return;
      this.#book.append(this.spec.id, order.orderNo, { what: 'expired', ...fields });
      this.#settings.decided(order);
    });
  }

  /** What the channel's nature answers without starting anything. Null: start it. */
  #refusal(request: ChargeRequest): Promise<DeskAnswer> | null {
    const { orderNo, ...fields } = request;
    const known = this.#book.find(this.spec.id, orderNo);
    if (known !== undefined) return this.#refuseKnown(known, request);
    const { honoursExpiry } = specFor(this.spec, placementOf(fields));
    if (!honoursExpiry || Date.now() <= request.expiresAtMs) return null;
    const expired = this.#book.append(this.spec.id, orderNo, { what: 'expired', ...fields });
    return this.#durably(expired, 'order_expired');
  }

  #refuseKnown(known: BookOrder, request: ChargeRequest): Promise<DeskAnswer> {
    const spec = specFor(this.spec, placementOf(request));
    if (spec.idempotent && known.fields?.digest === request.digest) {
      if (this.#locked.has(known.orderNo)) {
        const { orderNo } = known;
        return Promise.resolve({ outcome: 'system_error', orderNo, order: null });
      }
      return this.#durably(known, outcomeOf(known));
    }
    const [why, outcome] = refusalOf(spec, known);
    this.#book.append(this.spec.id, known.orderNo, { what: 'refused', why });
    return this.#durably(known, outcome);
  }

  #settle(
    order: BookOrder,
    decline: DeclineOutcome | null,
    times: number,
    violates: boolean,
  ): void {
    const { fields, orderNo } = order;
    if (fields === null || this.#later.closed) return;
    if (order.state !== 'executing' && !violates) return;
    if (fields.operation !== undefined) {
      this.#carryOut(order, fields, { decline, times, violates });
      this.#settings.decided(order);
      return;
    }
    if (decline !== null) {
      this.#book.append(this.spec.id, orderNo, { what: 'declined', code: decline });
    }
    if (fields.refundOf !== undefined) {
      const refunds = decline === null ? times : 0;
      for (let n = 0; n < refunds; n += 1) this.#payBack(order, fields, n);
      this.#settings.decided(order);
      return;
    }
    const captures = decline === null ? times : 0;
    for (let n = 0; n < captures; n += 1) {
      this.#book.append(this.spec.id, orderNo, {
        what: 'captured',
        captureId: `${this.spec.id}-${orderNo}-${order.captures.length + 1}`,
        amountMinor: fields.amountMinor,
        feeMinor: feeOf(this.spec, fields.amountMinor),
        ...(violates ? { violation: true } : {}),
      });
    }
    this.#settings.decided(order);
  }

  /** Payouts, and what card system and account service do. */
  #carryOut(
    { orderNo, executions }: BookOrder,
    fields: OrderFields,
    {
      decline,
      times,
      violates,
    }: { decline: DeclineOutcome | null; times: number; violates: boolean },
  ): void {
    const { id } = this.spec;
    const refusal = decline ?? (violates ? null : objectionTo(this.#book, id, fields));
    if (refusal !== null) {
      this.#book.append(id, orderNo, { what: 'declined', code: refusal });
      return;
    }
    for (let n = 0; n < times; n += 1) {
      this.#book.append(id, orderNo, {
        what: 'done',
        executionId: `${id}-${orderNo}-${executions.length + 1}`,
        amountMinor: fields.amountMinor,
        feeMinor: feeOf(specFor(this.spec, placementOf(fields)), fields.amountMinor),
        ...(violates ? { violation: true } : {}),
      });
    }
  }

  /** Of several refunds of one order, whichever is decided first has the money that is left. */
  #payBack({ orderNo }: BookOrder, { amountMinor, refundOf }: OrderFields, nth: number): void {
    const { id } = this.spec;
    const original = this.#book.find(id, refundOf?.orderNo ?? '');
    const known = original !== undefined && channelRefOf(original) === refundOf?.channelRef;
    if (known && refundable(original) >= amountMinor) {
      const refundId = `${id}-${orderNo}-${nth + 1}`;
      this.#book.append(id, orderNo, { what: 'refunded', refundId, amountMinor });
    } else if (nth === 0) {
      this.#book.append(id, orderNo, { what: 'declined', code: 'refund_refused' });
    }
  }

  async #durably(order: BookOrder, outcome: Outcome): Promise<DeskAnswer> {
    await this.#book.durable(order.lastSeq);
    return { outcome, orderNo: order.orderNo, order };
  }

  #fate(orderNo: string, fields: OrderFields): Fate {
    const { seed, latencyScale } = this.#settings;
    const placement = placementOf(fields);
    const spec = specFor(this.spec, placement);
    const fate = fateOf(seed, latencyScale, spec, this.#book, { orderNo, ...fields });
    if (placement === 'charge') return fate;
    // Banks and limits are about money that goes to and fro, not about giving it back; only a charge has a payer.
    const givesBack = placement === 'refund' || placement === 'restore' || placement === 'void';
    return { ...fate, payer: 'pays', ...(givesBack && { decline: null }) };
  }

  #heldMs({ effect, params }: Mishap): number | null {
    if (effect === 'late') return params.delay_ms ?? 500;
    return effect === 'violate' && params.delay_ms !== undefined ? params.delay_ms : null;
  }

  /** A channel that honours expiry keeps its visibility window whatever the fault says. */
  #invisibleMs({ params }: Mishap): number {
    const asked = params.invisible_ms ?? 0;
    return this.spec.honoursExpiry ? Math.min(asked, this.spec.visibilityMs) : asked;
  }
}

function refusalOf(
  spec: Pick<ChannelSpec, 'idempotent'>,
  known: BookOrder,
): ['duplicate' | 'conflict' | 'closed', Outcome] {
  if (known.state === 'closed') return ['closed', 'order_closed'];
  return spec.idempotent ? ['conflict', 'order_conflict'] : ['duplicate', 'duplicate_order'];
}

function forced(
  { effect, params }: Mishap,
  decline: DeclineOutcome | null,
  { refundOf }: OrderFields,
): DeclineOutcome | null {
  if (effect === 'succeed' || effect === 'double') return null;
  if (effect !== 'decline') return decline;
  const usual = refundOf === undefined ? 'risk_refused' : 'refund_refused';
  const outcome = params.outcome ?? usual;
  return (declineOutcomes as readonly Outcome[]).includes(outcome)
    ? (outcome as DeclineOutcome)
    : usual;
}

export function outcomeOf(order: BookOrder): Outcome {
  switch (order.state) {
    case 'executing':
      return 'processing';
    case 'captured':
    case 'refunded':
    case 'done':
      return 'succeeded';
    case 'declined':
      return (order.declineCode ?? 'risk_refused') as Outcome;
    case 'closed':
      return 'order_closed';
    case 'expired':
      return 'order_expired';
    default:
      throw new Error(`unreachable state of ${order.orderNo}`);
  }
}
