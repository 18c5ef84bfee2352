import { systemClock, type Clock } from '../clock.js';
import type { Operation, Order } from '../engine/order.js';
import type { Places } from '../engine/ports.js';
import type { Answer, QueryAnswer } from '../engine/reply.js';
import type { OrderNo } from '../ids.js';
import {
  asking,
  callRecord,
  shownFields,
  type CallOperation,
  type CallRecorder,
} from './call-record.js';
import type { CallbackReading, Channel, RawCallback } from './channel.js';
import type { Dialect, ReplyFields, WireRequest } from './dialect.js';
import type { Exchange, HttpExchange, Lane } from './exchange.js';
import { operationOf, operations } from './operations.js';
import { natureOf, offers, type ChannelProfile } from './profile.js';
import {
  chargeAnswer,
  closeAnswer,
  hear,
  orderAnswer,
  queryAnswer,
  refusedByStatus,
  type Heard,
} from './replies.js';

export interface HttpChannelParts {
  readonly profile: ChannelProfile;
  readonly dialect: Dialect;
  readonly exchange: HttpExchange;
  /** What a question may take; less than `query_ms` where it waits for company before. */
  readonly queryMs?: number;
  readonly recorder?: CallRecorder | undefined;
  readonly clock?: Clock;
}

/** A channel over HTTP: a dialect for the words, an exchange for the wire, a profile for the sense. */
export function httpChannel(parts: HttpChannelParts): Channel {
  const { profile, dialect } = parts;
  const { charge_ms, query_ms, close_ms } = profile.timeouts;
  const queryMs = parts.queryMs ?? query_ms;
  const longestMs = Math.max(charge_ms, query_ms, close_ms);
  const { queryMany } = dialect;
  return {
    profile,
    // A question may wait for a connection before its time begins (exchange.ts).
    timeoutsMs: { charge: charge_ms, query: longestMs, close: longestMs },
    charge: notOffered,
    ...placesOf(parts),
    query: async (order) =>
      called(parts, order, asking(order), queryMs, () => dialect.query(order), queryAnswer),
    ...(closesAny(profile) && {
      close: async (order: Order) =>
        called(parts, order, 'close', close_ms, () => dialect.close(order), closeAnswer),
    }),
    ...(queryMany !== undefined &&
      profile.query_many_max > 1 && {
        queryMany: async (orders: readonly Order[]) =>
          askedMany(parts, orders, queryMs, () => queryMany(orders)),
      }),
    parseCallback: (raw) => callbackReading(profile, dialect, raw),
  };
}

/** Nothing leaves this machine, which is proof. */
const notOffered: Channel['charge'] = async () =>
  await Promise.resolve({ kind: 'not_executed', proof: 'not_sent' });

function placesOf(parts: HttpChannelParts): Places {
  const { profile, dialect } = parts;
  const { charge_ms } = profile.timeouts;
  const place = (operation: Operation) => async (order: Order) =>
    operationOf(order) === operation
      ? called(parts, order, operation, charge_ms, () => dialect.place(order), chargeAnswer)
      : notOffered(order);
  return Object.fromEntries(
    operations
      .filter((operation) => offers(profile, operation))
      .map((operation) => [operation, place(operation)]),
  );
}

const closesAny = (profile: ChannelProfile): boolean =>
  operations.some(
    (operation) => offers(profile, operation) && natureOf(profile, operation).closeProof !== 'none',
  );

async function called<A extends Answer>(
  { profile, dialect, exchange: wire, recorder, clock = systemClock }: HttpChannelParts,
  order: Order,
  operation: CallOperation,
  timeoutMs: number,
  write: () => WireRequest,
  judge: (profile: ChannelProfile, order: Order, heard: Heard) => A,
): Promise<A> {
  const [startedAtMs, beganMs] = [clock.nowMs(), clock.monotonicMs()];
  const lane: Lane = operation === operationOf(order) ? 'charge' : 'ask';
  const { sentBytes, exchange } = await sent(wire, lane, timeoutMs, write);
  const heard = hear(exchange, ({ headers, body }) => dialect.read(headers, body));
  const answer = judge(profile, order, heard);
  const fields = heard.kind === 'said' ? heard.fields : null;
  const durationMs = clock.monotonicMs() - beganMs;
  const call = { order, operation, startedAtMs, durationMs, sentBytes, exchange, fields, answer };
  recorder?.(callRecord(profile, call));
  return answer;
}

async function askedMany(
  { profile, dialect, exchange: wire, recorder, clock = systemClock }: HttpChannelParts,
  orders: readonly Order[],
  timeoutMs: number,
  write: () => WireRequest,
): Promise<ReadonlyMap<OrderNo, QueryAnswer>> {
  const [startedAtMs, beganMs] = [clock.nowMs(), clock.monotonicMs()];
  const { sentBytes, exchange } = await sent(wire, 'ask', timeoutMs, write);
  const whole = wholeAnswer(dialect, exchange);
  const durationMs = clock.monotonicMs() - beganMs;
  const about = { operation: 'query_many', startedAtMs, durationMs, sentBytes, exchange } as const;
  return new Map(
    orders.map((order) => {
      const heard = Array.isArray(whole) ? saidOf(whole, order) : whole;
      const answer = queryAnswer(profile, order, heard);
      const fields = heard.kind === 'said' ? heard.fields : null;
      recorder?.(callRecord(profile, { ...about, order, fields, answer }));
      return [order.orderNo, answer];
    }),
  );
}

/** An order that cannot even be written down was not sent. */
async function sent(
  exchange: HttpExchange,
  lane: Lane,
  timeoutMs: number,
  write: () => WireRequest,
): Promise<{ readonly sentBytes: number; readonly exchange: Exchange }> {
  let request: WireRequest;
  try {
    request = write();
  } catch (error) {
    const detail = `it cannot be written: ${String(error)}`.slice(0, 200);
    return { sentBytes: 0, exchange: { kind: 'not_sent', detail } };
  }
  const answer = await exchange.send(lane, request, timeoutMs);
  return { sentBytes: answer.kind === 'not_sent' ? 0 : request.body.length, exchange: answer };
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
    shown: (order) => ({ ...shownFields(profile, order, fields), bytes: body.length }),
    against: (order) => orderAnswer(profile, order, { kind: 'said', fields, throttled: false }),
    acknowledgement: dialect.acknowledgement,
  };
}
