import { operationOf, type ChannelNature, type Operation, type Order } from '../engine/order.js';
import type { ChargeAnswer, CloseAnswer, QueryAnswer } from '../engine/reply.js';
import type { ChannelId } from '../ids.js';
import type { Chance } from './chance.js';
import { decideAboutOrder } from './people.js';
import { bytesOf, contradiction, mismatch } from './sim-words.js';
import type { World } from './world.js';

/** What one simulated channel is like. `nature` is what its profile promises; it keeps that. */
export interface ChannelCharacter {
  readonly id: ChannelId;
  readonly nature: ChannelNature;
  /** The same for what it pays out; absent: as for charges. */
  readonly payouts?: ChannelNature;
  /** What it can be told to do. */
  readonly offers: readonly Operation[];
  readonly orderTtlMs: number;
  readonly sync: boolean;
  readonly callsBack: boolean;
  /** How long a started order really stays invisible, at the most. */
  readonly invisibleMs: number;
  readonly clockSkewMs: number;
  readonly declineShare: number;
  readonly timeoutsMs: { readonly charge: number; readonly query: number; readonly close: number };
  readonly outage: { readonly fromMs: number; readonly toMs: number } | null;
}

export interface SimCapture {
  readonly amountMinor: bigint;
  /** The channel took it again by itself, without having been sent anything. */
  readonly own: boolean;
  /** Taken although the channel had promised or said that it would not be. */
  readonly violation?: true;
  readonly atMs?: number;
}

/** Paid back of a captured order, under the number of a refund's order. */
export interface SimPaidBack {
  readonly orderNo: string;
  readonly amountMinor: bigint;
}

export interface SimOrder {
  readonly orderNo: string;
  readonly bytes: string;
  readonly order: Order;
  state: 'executing' | 'captured' | 'refunded' | 'declined' | 'closed' | 'expired';
  readonly startedAtMs: number;
  readonly visibleAtMs: number;
  readonly captures: SimCapture[];
  readonly refunds: SimPaidBack[];
  decline: Decline | null;
  /** The customer will never pay it. */
  abandoned?: true;
}

export type Decline = Extract<ChargeAnswer, { kind: 'declined' }>;

/** What a party's orders mean to it: a card system's, an account service's. */
export interface Trade {
  /** Why it will not do that, by its own books; null: it will. */
  refuses(order: Order): Decline | null;
  /** It has done it. */
  executed(order: Order): void;
  /** Closing an order of this kind ends more than the order. False: too late. */
  ends(order: Order): boolean;
}

type Respond<A> = (answer: A) => void;

const refused = (detail: string) => ({ kind: 'unknown', why: 'unlisted_code', detail }) as const;

/** A channel with a book of its own. It never looks at ours, but for what `forgets` says of itself. */
export class SimChannel {
  readonly book = new Map<string, SimOrder>();

  constructor(
    readonly character: ChannelCharacter,
    private readonly world: World,
    readonly trade: Trade | null = null,
  ) {}

  get id(): ChannelId {
    return this.character.id;
  }

  place(via: Operation, order: Order, respond: Respond<ChargeAnswer>): void {
    const meant = operationOf(order);
    if (meant !== via) {
      this.world.violated('wrong_way', order.orderNo, `${this.id} was told to ${via} a ${meant}`);
    }
    this.#place(order, respond);
  }

  /** The people at the channel say in writing that an order is dead: it will never be executed. */
  kill(order: Order): 'dead' | 'executed' {
    const record = this.book.get(order.orderNo);
    if (record === undefined) this.#write(order, '', 'closed', this.world.chanceOf(0));
    else if (record.state === 'executing') record.state = 'closed';
    const executed = record?.state === 'captured' || record?.state === 'refunded';
    return executed ? 'executed' : 'dead';
  }

  /** Its statement: what it has executed so far, and how often, by its own account. */
  statement(): readonly (readonly [Order, QueryAnswer, captures: number])[] {
    return [...this.book.values()]
      .filter(({ state }) => state === 'captured' || state === 'refunded')
      .map((one) => [one.order, this.#stateOf(one), one.captures.length] as const);
  }

  /** Its refunds are of the nature of its charges, but that it promises no expiry for them. */
  #natureOf({ operation }: Order): ChannelNature {
    const { nature, payouts = nature } = this.character;
    if (operation === 'refund') return { ...nature, honoursExpiry: false };
    return operation === 'payout' ? payouts : nature;
  }

  #place(order: Order, respond: Respond<ChargeAnswer>): void {
    const { sync } = this.character;
    const task = this.world.ordinal(order.orderNo);
    const chance = this.world.chanceOf(task);
    const bytes = bytesOf(order);
    const known = this.book.get(order.orderNo);
    if (known !== undefined) return this.#again(known, bytes, respond);
    if (this.#natureOf(order).honoursExpiry && this.#nowMs >= order.expiresAtMs) {
      const expired = this.#write(order, bytes, 'expired', chance);
      if (operationOf(order) === 'debit') this.#mayBreakPromise(expired);
      return respond(this.#stateOf(expired));
    }
    const record = this.#write(order, bytes, 'executing', chance);
    if (this.world.abandons(order)) return this.#abandon(record, respond);
    const late = this.world.faults.strikes('effect_late', task);
    const never = !sync && this.world.faults.strikes('never_decides', task);
    if (never) return respond({ kind: 'pending', channelRef: null });
    const quick = sync ? chance.between(20, 300) : chance.spread(500, 600_000);
    const settleMs = late ? this.world.faults.extent().spread(2_000, 7_200_000) : quick;
    this.world.outside(settleMs, () => {
      this.#settle(record, task, chance);
      if (sync) respond(this.#stateOf(record));
      this.#callBack(record, task);
    });
    if (!sync) {
      respond({ kind: 'pending', channelRef: chance.yes(0.5) ? `ref-${task}` : null });
      if (chance.yes(0.3)) this.#callBack(record, task);
    }
  }

  /** The customer leaves the till: nothing comes of it, and a channel that honours expiry says so. */
  #abandon(record: SimOrder, respond: Respond<ChargeAnswer>): void {
    record.abandoned = true;
    if (this.#natureOf(record.order).honoursExpiry) {
      this.world.outside(record.order.expiresAtMs - this.#nowMs, () => {
        if (record.state === 'executing') record.state = 'expired';
      });
    }
    respond({ kind: 'pending', channelRef: null });
  }

  query(order: Order, respond: Respond<QueryAnswer>): void {
    const task = this.world.ordinal(order.orderNo);
    if (this.trade !== null && this.world.faults.strikes('query_unavailable', task)) {
      return respond({ kind: 'unknown', why: 'server_error', detail: 'queries are away' });
    }
    const record = this.book.get(order.orderNo);
    const nowMs = this.world.time.nowMs;
    if (record === undefined || nowMs < record.visibleAtMs) {
      if (record?.state === 'closed') return respond(this.#stateOf(record));
      return respond(this.#unseen(task, order));
    }
    const inWindow = nowMs < record.startedAtMs + this.character.invisibleMs;
    if (inWindow && this.world.faults.strikes('not_found_within_window', task)) {
      return respond({ kind: 'not_found' });
    }
    // An archive: what it has shown us it may forget, and only that; we have it in our log.
    if (this.world.knownToUs(order.orderNo) && this.world.faults.strikes('order_forgotten', task)) {
      return respond({ kind: 'not_found' });
    }
    if (this.world.faults.strikes('answer_mismatched', task)) {
      return respond(mismatch(record.order));
    }
    respond(this.#stateOf(record));
  }

  close(order: Order, respond: Respond<CloseAnswer>): void {
    const task = this.world.ordinal(order.orderNo);
    const record = this.book.get(order.orderNo);
    const refuses = this.#natureOf(order).closeProof === 'refuses_unseen';
    if (refuses && this.trade?.ends(order) === false) {
      return respond({ kind: 'refused', detail: 'done already' });
    }
    if (record === undefined) {
      if (refuses) {
        const closed = this.#write(order, '', 'closed', this.world.chanceOf(task));
        if (operationOf(order) === 'debit') this.#mayBreakPromise(closed);
      }
      return respond(refuses ? { kind: 'closed' } : { kind: 'not_found' });
    }
    if (record.state === 'closed' || record.state === 'expired') {
      return respond({ kind: 'closed' });
    }
    const mayCancel = record.abandoned === true || endsAll(order);
    const cancels =
      record.state === 'executing' && (mayCancel || this.world.chanceOf(task).yes(0.3));
    if (cancels) record.state = 'closed';
    respond(cancels ? { kind: 'closed' } : { kind: 'refused', detail: record.state });
  }

  get #nowMs(): number {
    return this.world.time.nowMs + this.character.clockSkewMs;
  }

  /** The same number again. What the channel then does is its nature. */
  #again(known: SimOrder, bytes: string, respond: Respond<ChargeAnswer>): void {
    const dead = known.state === 'closed' || known.state === 'expired';
    if (dead) this.#mayBreakPromise(known);
    // What it took of its own accord it takes for this one.
    else if (known.captures.some(({ violation }) => violation))
      return respond(this.#stateOf(known));
    else if (!(this.#natureOf(known.order).idempotent && known.bytes === bytes)) {
      // Nothing was promised for this, so the worst happens: it is a new order to the channel.
      this.#execute(known);
    }
    respond(this.#stateOf(known));
  }

  #write(order: Order, bytes: string, state: SimOrder['state'], chance: Chance): SimOrder {
    const startedAtMs = this.world.time.nowMs;
    const { invisibleMs } = this.character;
    const record: SimOrder = {
      orderNo: order.orderNo,
      bytes,
      order,
      state,
      startedAtMs,
      visibleAtMs: startedAtMs + (chance.yes(0.5) ? 0 : chance.between(0, invisibleMs)),
      captures: [],
      refunds: [],
      decline: null,
    };
    this.book.set(order.orderNo, record);
    this.world.note(
      'channel',
      `${this.id} has the order: ${state}`,
      this.world.ordinal(order.orderNo),
    );
    return record;
  }

  #settle(record: SimOrder, task: number, chance: Chance): void {
    if (record.state !== 'executing') return;
    const refusal = this.trade?.refuses(record.order) ?? null;
    if (refusal !== null) {
      record.state = 'declined';
      record.decline = refusal;
    } else if (chance.yes(this.character.declineShare)) {
      const final = chance.yes(0.4);
      record.state = 'declined';
      record.decline = {
        kind: 'declined',
        code: final ? 'insufficient_funds' : 'risk_refused',
        channelCode: 'E1',
        message: 'no',
        scope: final ? 'final' : 'other_channel',
      };
      this.#mayBreakPromise(record);
    } else {
      this.#execute(record);
      const { amountMinor } = record.order;
      const charged = operationOf(record.order) === 'charge';
      if (charged && this.world.faults.strikes('channel_doubles', task)) {
        record.captures.push({ amountMinor, own: true });
      }
    }
    this.world.note('channel', `${this.id}: ${record.state}`, task);
  }

  /** It pays back whatever it is told to, however often: that this is not asked for is our affair. */
  #execute(record: SimOrder): void {
    const { operation, refundOf, amountMinor, orderNo } = record.order;
    if (operation !== 'refund') {
      record.captures.push({ amountMinor, own: false, atMs: this.world.time.nowMs });
      record.state = 'captured';
      this.trade?.executed(record.order);
      return;
    }
    const paid = this.book.get(refundOf?.orderNo ?? '');
    if (paid === undefined) this.world.violated('refund_of_nothing', orderNo, `at ${this.id}`);
    paid?.refunds.push({ orderNo, amountMinor });
    record.state = 'refunded';
  }

  /** It captures what it had said to be dead, and tells of it later, until it is heard. */
  #mayBreakPromise(record: SimOrder): void {
    const task = this.world.ordinal(record.orderNo);
    if (!breakable.has(operationOf(record.order))) return;
    const { faults } = this.world;
    const late = operationOf(record.order) === 'debit' && faults.strikes('debit_late', task);
    if (!late && !faults.strikes('promise_broken', task)) return;
    const extent = this.world.faults.extent();
    this.world.outside(extent.spread(500, 600_000), () => {
      if (record.captures.length > 0) return;
      const { amountMinor } = record.order;
      record.state = 'captured';
      record.captures.push({
        amountMinor,
        own: false,
        violation: true,
        atMs: this.world.time.nowMs,
      });
      this.trade?.executed(record.order);
      this.world.note('channel', `${this.id} breaks its promise: captured`, task);
      const answer = this.#stateOf(record);
      this.world.outside(extent.spread(1_000, 60_000), () => {
        this.world.callBack(record.order, answer, Number.NEGATIVE_INFINITY);
      });
      for (let visits = late ? 3 : 0; visits > 0; visits -= 1) {
        this.world.outside(extent.spread(60_000, 7_200_000), () => {
          decideAboutOrder(this.world, record.orderNo, extent);
        });
      }
    });
  }

  #unseen(task: number, order: Order): QueryAnswer {
    const { closeProof } = this.#natureOf(order);
    if (closeProof === 'none' && this.world.faults.strikes('close_proves_nothing', task)) {
      return { kind: 'not_executed', proof: 'closed' };
    }
    return { kind: 'not_found' };
  }

  #stateOf(record: SimOrder): ChargeAnswer {
    switch (record.state) {
      case 'executing':
        return { kind: 'pending', channelRef: null };
      case 'captured':
      case 'refunded':
        return { kind: 'succeeded', channelRef: `ref-${record.orderNo}` };
      case 'declined':
        return record.decline ?? refused('declined without a reason');
      case 'closed':
        return this.#natureOf(record.order).closeProof === 'refuses_unseen'
          ? { kind: 'not_executed', proof: 'closed' }
          : refused('closed');
      case 'expired':
        return {
          kind: 'declined',
          code: 'order_expired',
          channelCode: 'E9',
          message: 'too late',
          scope: 'other_channel',
        };
      default:
        throw new Error('unreachable state of an order');
    }
  }

  #callBack(record: SimOrder, task: number): void {
    const { faults } = this.world;
    if (!this.character.callsBack) return;
    const copies = faults.strikes('callback_repeated', task) ? faults.extent().between(2, 4) : 1;
    for (let copy = 0; copy < copies; copy += 1) {
      if (faults.strikes('callback_lost', task)) continue;
      const late = faults.strikes('callback_late', task);
      const delayMs = late
        ? faults.extent().spread(5_000, 10_800_000)
        : this.world.chanceOf(task).between(1, 2_000);
      const wrong = faults.strikes('callback_mismatched', task);
      const answer: QueryAnswer = wrong ? mismatch(record.order) : this.#stateOf(record);
      this.world.outside(delayMs, () => {
        const said = this.#mayContradict(record, task) ? contradiction : answer;
        this.world.callBack(record.order, said, 0);
      });
    }
  }

  /** It takes back a success that we have already recorded: wrong, but no harm by itself. */
  #mayContradict(record: SimOrder, task: number): boolean {
    return (
      record.state === 'captured' &&
      this.world.succeededByUs(record.orderNo) &&
      this.world.faults.strikes('callback_contradicts', task)
    );
  }
}

/** A promise about an order of these may be broken: what it takes from us or pays out for us. */
const breakable: ReadonlySet<Operation> = new Set(['charge', 'payout', 'debit', 'credit']);

/** Closing a credit ends the pre-recharge: nothing of it can go on. */
const endsAll = ({ operation }: Order): boolean => operation === 'credit';
