/** What a channel that shares a secret with us says in a storm, and what somebody else says for it. */
import { createHmac, randomBytes } from 'node:crypto';
import { invariant } from '../src/assert.js';

export interface StormOrder {
  readonly orderNo: string;
  readonly amountMinor: number;
}

export interface Slot {
  readonly kind: 'genuine' | 'copy' | 'forged';
  readonly order: StormOrder;
  readonly code: 'PROCESSING' | 'OK' | 'INSUFFICIENT_FUNDS';
  /** Copies are of the message with the same number. */
  readonly message: number;
  /** Of forgeries: how they are made. */
  readonly by: number;
}

/** mulberry32: the same storm for the same seed. */
export function drawing(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/**
 * Six in ten are genuine and new: each order is first said to be at work on, then captured; for a
 * fifth of the orders in the wrong sequence. Three in ten are copies, one in ten is forged.
 */
export function stormOf(orders: readonly StormOrder[], seed: number): readonly Slot[] {
  const draw = drawing(seed);
  const genuine = orders.flatMap((order, at) => {
    const began = draw() * orders.length;
    const pause = draw() * 200;
    const swapped = draw() < 0.2;
    const about = { kind: 'genuine', order, by: 0 } as const;
    const [first, then] = swapped
      ? (['OK', 'PROCESSING'] as const)
      : (['PROCESSING', 'OK'] as const);
    return [
      { when: began, slot: { ...about, code: first, message: 2 * at } },
      { when: began + pause, slot: { ...about, code: then, message: 2 * at + 1 } },
    ];
  });
  const some = () => {
    const one = genuine[Math.floor(draw() * genuine.length)];
    invariant(one !== undefined, 'a storm has at least one order');
    return one;
  };
  const copies = Array.from({ length: orders.length }, () => {
    const { when, slot } = some();
    return { when: when + draw() * 300, slot: { ...slot, kind: 'copy' as const } };
  });
  const forged = Array.from({ length: Math.ceil(orders.length / 3) }, (_, at) => {
    const { when, slot } = some();
    const code = draw() < 0.5 ? ('OK' as const) : ('INSUFFICIENT_FUNDS' as const);
    return { when, slot: { ...slot, kind: 'forged' as const, code, message: -1 - at, by: at % 5 } };
  });
  return [...genuine, ...copies, ...forged].sort((a, b) => a.when - b.when).map(({ slot }) => slot);
}

export interface Message {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const header = { 'content-type': 'application/json' };

export function genuineMessage(slot: Slot, key: string, atMs = Date.now()): Message {
  const { orderNo, amountMinor } = slot.order;
  const body = JSON.stringify({
    code: slot.code,
    message: '',
    merchant_id: 'M-RECOUP-01',
    order_no: orderNo,
    amount: amountMinor,
    currency: 'CNY',
    channel_ref: slot.kind === 'forged' ? 'FORGED' : `SW${orderNo}`,
  });
  const [timestamp, nonce] = [String(atMs), randomBytes(12).toString('hex')];
  const signature = createHmac('sha256', key).update(`${timestamp}.${nonce}.${body}`).digest('hex');
  const names = { 'x-timestamp': timestamp, 'x-nonce': nonce, 'x-signature': signature };
  return { headers: { ...header, ...names }, body };
}

/** Another's key; changed after it was signed; an old one; unsigned; the nonce changed. */
export function forgedMessage(slot: Slot, key: string): Message {
  switch (slot.by) {
    case 0:
      return genuineMessage(slot, 'another key');
    case 1: {
      const { headers, body } = genuineMessage(slot, key);
      return { headers, body: body.replace('"amount":', '"amount":1') };
    }
    case 2:
      return genuineMessage(slot, key, Date.now() - 301_000);
    case 3:
      return { headers: header, body: genuineMessage(slot, key).body };
    default: {
      const { headers, body } = genuineMessage(slot, key);
      return { headers: { ...headers, 'x-nonce': 'another-nonce' }, body };
    }
  }
}
