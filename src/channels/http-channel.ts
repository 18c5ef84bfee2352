import type { Order } from '../engine/order.js';
import type { QueryAnswer } from '../engine/reply.js';
import type { OrderNo } from '../ids.js';
import type { CallbackReading, Channel, RawCallback } from './channel.js';
import type { Dialect, ReplyFields, WireRequest } from './dialect.js';
import type { Exchange, HttpExchange, Lane } from './exchange.js';
import type { ChannelProfile } from './profile.js';
import {
  chargeAnswer,
  closeAnswer,
  hear,
  orderAnswer,
  queryAnswer,
  refusedByStatus,
  type Heard,
} from './replies.js';

/** A channel over HTTP: a dialect for the words, an exchange for the wire, a profile for the sense. */
export function httpChannel(
  profile: ChannelProfile,
  dialect: Dialect,
  exchange: HttpExchange,
  /** What a question may take; less than `query_ms` where it waits for company before. */
  queryMs = profile.timeouts.query_ms,
): Channel {
  const { charge_ms, close_ms } = profile.timeouts;
  const ask = async (lane: Lane, ms: number, write: () => WireRequest): Promise<Heard> =>
    hear(await sent(exchange, lane, ms, write), ({ headers, body }) => dialect.read(headers, body));
  const { queryMany } = dialect;
  return {
    profile,
    timeoutsMs: { charge: charge_ms, query: profile.timeouts.query_ms, close: close_ms },
    charge: async (order) =>
      chargeAnswer(profile, order, await ask('charge', charge_ms, () => dialect.charge(order))),
    ...(profile.can_refund && {
      refund: async (order: Order) =>
        chargeAnswer(profile, order, await ask('charge', charge_ms, () => dialect.refund(order))),
    }),
    query: async (order) =>
      queryAnswer(profile, order, await ask('ask', queryMs, () => dialect.query(order))),
    ...(profile.nature.close_proof !== 'none' && {
      close: async (order: Order) =>
        closeAnswer(profile, order, await ask('ask', close_ms, () => dialect.close(order))),
    }),
    ...(queryMany !== undefined &&
      profile.query_many_max > 1 && {
        queryMany: async (orders: readonly Order[]) => {
          const answers = await sent(exchange, 'ask', queryMs, () => queryMany(orders));
          return answersOf(profile, dialect, orders, answers);
        },
      }),
    parseCallback: (raw) => callbackReading(profile, dialect, raw),
  };
}

/** An order that cannot even be written down was not sent. */
async function sent(
  exchange: HttpExchange,
  lane: Lane,
  timeoutMs: number,
  write: () => WireRequest,
): Promise<Exchange> {
  let request: WireRequest;
  try {
    request = write();
  } catch (error) {
    return { kind: 'not_sent', detail: `it cannot be written: ${String(error)}`.slice(0, 200) };
  }
  return await exchange.send(lane, request, timeoutMs);
}

function answersOf(
  profile: ChannelProfile,
  dialect: Dialect,
  orders: readonly Order[],
  exchange: Exchange,
): ReadonlyMap<OrderNo, QueryAnswer> {
  const whole = wholeAnswer(dialect, exchange);
  return new Map(
    orders.map((order) => [
      order.orderNo,
      queryAnswer(profile, order, Array.isArray(whole) ? saidOf(whole, order) : whole),
    ]),
  );
}

/** The items of a believable answer, or what became of the exchange as a whole. */
function wholeAnswer(dialect: Dialect, exchange: Exchange): ReplyFields[] | Heard {
  if (exchange.kind === 'answered' && refusedByStatus(exchange.status) === null) {
    const many = dialect.readMany?.(exchange.headers, exchange.body);
    if (many?.kind === 'genuine') return [...many.many];
  }
  // It is no list of orders; then it says the same of all of them, if anything.
  const heard = hear(exchange, ({ headers, body }) => dialect.read(headers, body));
  if (heard.kind !== 'said') return heard;
  return heard.throttled
    ? { kind: 'unknown', why: 'throttled', detail: heard.fields.code }
    : {
        kind: 'unknown',
        why: 'bad_response',
        detail: `${heard.fields.code}: not a list of orders`,
      };
}

function saidOf(many: readonly ReplyFields[], order: Order): Heard {
  const about = many.filter(({ orderNo }) => orderNo === order.orderNo);
  const [fields] = about;
  if (fields !== undefined && about.length === 1) return { kind: 'said', fields, throttled: false };
  const detail = about.length === 0 ? 'the answer leaves this order out' : 'it is answered twice';
  return { kind: 'unknown', why: 'bad_response', detail };
}

const callbackBytesMax = 64 * 1024;
const orderNoPattern = /^[A-Za-z0-9]{1,32}$/;

function callbackReading(
  profile: ChannelProfile,
  dialect: Dialect,
  { headers, body }: RawCallback,
): CallbackReading {
  if (body.length > callbackBytesMax) return { kind: 'malformed', detail: 'it is too long' };
  const reading = dialect.readCallback(headers, body);
  if (reading.kind !== 'genuine') return reading;
  const { fields, digest, nonce } = reading;
  const { orderNo } = fields;
  if (orderNo === null || !orderNoPattern.test(orderNo)) {
    return { kind: 'malformed', detail: 'it names no order number of ours' };
  }
  return {
    kind: 'genuine',
    orderNo: orderNo as OrderNo,
    digest,
    nonce,
    against: (order) => orderAnswer(profile, order, { kind: 'said', fields, throttled: false }),
    acknowledgement: dialect.acknowledgement,
  };
}
