import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { channelRefOf } from './channel-ref.js';
import { does, type ChannelSpec, type Placement } from './channel-spec.js';
import { deliver } from './delivery.js';
import {
  noMishap,
  type FaultBoard,
  type FaultParams,
  type Mishap,
  type Operation,
} from './faults.js';
import type { DeskAnswer, OrderDesk } from './order-desk.js';
import type { Book } from './book.js';
import type { Wire, WireAnswer, WireMessage, WireRequest } from './wire.js';

/**
 * One channel on its own port. Reads a request, lets the fault board say what goes wrong with it,
 * lets the desk act, and delivers the answer well or badly.
 */

export interface ChannelParts {
  readonly spec: ChannelSpec;
  readonly wire: Wire;
  readonly desk: OrderDesk;
  readonly book: Book;
  readonly faults: FaultBoard;
  readonly merchant: string;
  readonly host: string;
}

const bodyMaxBytes = 64 * 1024;
/** Mishaps of one answer among many; the others befall the message that carries them all. */
const itemDeliveries: ReadonlySet<string> = new Set(['normal', 'alter', 'say', 'unlisted']);

export class ChannelServer {
  readonly #parts: ChannelParts;
  #server: Server | null = null;
  #switching: Promise<void> = Promise.resolve();
  /** 0 until it listens: then the one it got, to which it comes back after being down. */
  port = 0;
  requests = 0;

  constructor(parts: ChannelParts) {
    this.#parts = parts;
  }

  get url(): string {
    return `http://${this.#parts.host}:${this.port}`;
  }

  async listen(): Promise<void> {
    const server = createServer((request, response) => {
      this.#serve(request, response).catch(() => response.destroy());
    });
    // Longer than any client keeps a connection, so that the client is the one to let go.
    server.keepAliveTimeout = 65_000;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.port, this.#parts.host, 1024, resolve);
    });
    this.port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  /** Down: the port is closed and whoever was connected is reset. */
  switchTo(state: 'up' | 'down'): Promise<void> {
    this.#switching = this.#switching.then(async () => {
      if (state === 'up' && this.#server === null) await this.listen();
      if (state === 'down') await this.close();
    });
    return this.#switching;
  }

  async close(): Promise<void> {
    const server = this.#server;
    if (server === null) return;
    this.#server = null;
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.requests += 1;
    const body = await readBody(request);
    if (body === null || request.method !== 'POST') {
      response.writeHead(body === null ? 413 : 405, { connection: 'close' }).end();
      return;
    }
    const read = this.#parts.wire.read(request.url ?? '/', request.headers, body);
    const { message, mishap, status } = await this.#answer(read);
    deliver(request, response, message, mishap, status);
  }

  async #answer(
    read: WireRequest,
  ): Promise<{ message: WireMessage | null; mishap: Mishap; status: number }> {
    const { wire, merchant } = this.#parts;
    if (read.operation === 'refused') {
      return this.#refuse(read.outcome, '');
    }
    if (read.operation === 'query_many') return this.#answerMany(read.orderNos);
    const { orderNo, merchant: theirMerchant } = subjectOf(read);
    if (theirMerchant !== merchant) return this.#refuse('bad_request', orderNo);
    const asked = struckAs(read);
    if (asked === null || !does(this.#parts.spec, asked.as)) {
      return this.#refuse('bad_request', orderNo);
    }
    const mishap = this.#strike(asked.operation, orderNo, this.#accountOf(read));
    if (mishap.delivery === 'throttle') {
      const throttled = this.#plain('throttled', orderNo);
      return { message: wire.write(throttled, false), mishap, status: 429 };
    }
    const answer = await this.#act(read, mishap);
    if (answer === null) return { message: null, mishap, status: 200 };
    const message = wire.write(this.#written(answer, mishap), mishap.delivery === 'forge');
    return { message, mishap, status: 200 };
  }

  async #act(read: OneOrderRequest, mishap: Mishap): Promise<DeskAnswer | null> {
    const { desk } = this.#parts;
    if (read.operation === 'charge') return desk.charge(read.charge, mishap);
    if (read.operation === 'refund') return desk.refund(read.refund, mishap);
    if (read.operation === 'place') return desk.charge(read.order, mishap);
    if (mishap.effect === 'none') return null;
    const { orderNo, as } = read;
    if (read.operation === 'query') return desk.query(orderNo, as);
    return desk.close(orderNo, read.merchant, as, read.regarding);
  }

  async #answerMany(
    orderNos: readonly string[],
  ): Promise<{ message: WireMessage | null; mishap: Mishap; status: number }> {
    const { wire, desk, merchant } = this.#parts;
    if (wire.writeMany === undefined) return this.#refuse('bad_request', '');
    const mishaps = orderNos.map((orderNo) =>
      this.#strike(
        'query',
        orderNo,
        this.#accountOf({ operation: 'query', as: 'charge', orderNo, merchant }),
      ),
    );
    // What happens to the whole message happens if it would have happened to any one of them.
    const whole = mishaps.find(({ delivery }) => !itemDeliveries.has(delivery)) ?? noMishap;
    if (whole.delivery === 'throttle') {
      return {
        message: wire.write(this.#plain('throttled', ''), false),
        mishap: whole,
        status: 429,
      };
    }
    if (whole.effect === 'none') return { message: null, mishap: whole, status: 200 };
    const answers = await Promise.all(orderNos.map((orderNo) => desk.query(orderNo)));
    const written = answers.map((answer, i) => this.#written(answer, mishaps[i] ?? noMishap));
    const message = wire.writeMany(written, merchant, whole.delivery === 'forge');
    return { message, mishap: whole, status: 200 };
  }

  #strike(operation: Operation, orderNo: string, account: string | null): Mishap {
    const { spec, faults } = this.#parts;
    return faults.strike(spec.id, operation, orderNo, account);
  }

  /** The account is known from the book where the request does not name it. */
  #accountOf(read: OneOrderRequest): string | null {
    if (read.operation === 'charge') return read.charge.accountToken;
    if (read.operation === 'place') return read.order.accountToken;
    const about = read.operation === 'refund' ? read.refund.refundOf.orderNo : read.orderNo;
    return this.#parts.book.find(this.#parts.spec.id, about)?.fields?.accountToken ?? null;
  }

  #refuse(outcome: 'bad_signature' | 'bad_request', orderNo: string) {
    const message = this.#parts.wire.write(this.#plain(outcome, orderNo), false);
    return { message, mishap: noMishap, status: outcome === 'bad_signature' ? 401 : 400 };
  }

  #plain(outcome: WireAnswer['outcome'], orderNo: string): WireAnswer {
    return { outcome, orderNo, merchant: this.#parts.merchant };
  }

  #written(answer: DeskAnswer, mishap: Mishap): WireAnswer {
    return writtenAnswer(answer, mishap, this.#parts.merchant);
  }
}

type OneOrderRequest = Exclude<WireRequest, { operation: 'refused' | 'query_many' }>;

function subjectOf(read: OneOrderRequest): { orderNo: string; merchant: string } {
  if (read.operation === 'charge') return read.charge;
  if (read.operation === 'place') return read.order;
  return read.operation === 'refund' ? read.refund : read;
}

/** What a fault can befall, and what the channel must do at all. */
function struckAs(read: OneOrderRequest): { operation: Operation; as: Placement } | null {
  switch (read.operation) {
    case 'charge':
    case 'refund':
      return { operation: read.operation, as: read.operation };
    case 'place': {
      const { operation } = read.order;
      return operation === undefined ? null : { operation, as: operation };
    }
    default:
      return { operation: read.operation, as: read.as };
  }
}

/** What the desk said, as the channel puts it; also where answers are made to lie. */
export function writtenAnswer(answer: DeskAnswer, mishap: Mishap, merchant: string): WireAnswer {
  const { order, orderNo } = answer;
  const { delivery, params } = mishap;
  const outcome = delivery === 'say' ? (params.outcome ?? 'not_found') : answer.outcome;
  const about = !requestOutcomes.has(outcome) && order !== null && order.fields !== null;
  const written: WireAnswer = {
    outcome,
    orderNo,
    merchant,
    ...(delivery === 'unlisted' ? { code: params.code ?? 'E777' } : {}),
    ...(about && order?.fields
      ? {
          order: {
            merchant: order.fields.merchant,
            amountMinor: order.fields.amountMinor,
            currency: order.fields.currency,
            channelRef: channelRefOf(order),
            ...(order.fields.creditMinor !== undefined && {
              creditMinor: order.fields.creditMinor,
            }),
          },
        }
      : {}),
  };
  return delivery === 'alter' ? altered(written, params.field ?? 'amount') : written;
}

/** Answers about a request, not about the order under that number: they echo no amount. */
const requestOutcomes: ReadonlySet<string> = new Set([
  'not_found',
  'duplicate_order',
  'order_conflict',
  'bad_signature',
  'bad_request',
  'throttled',
  'system_error',
]);

function altered(answer: WireAnswer, field: NonNullable<FaultParams['field']>) {
  if (field === 'order_no') return { ...answer, orderNo: `${answer.orderNo.slice(0, -1)}X` };
  if (field === 'merchant') {
    const other = 'M-SOMEONE-ELSE';
    const order = answer.order && { ...answer.order, merchant: other };
    return { ...answer, merchant: other, ...(order && { order }) };
  }
  if (answer.order === undefined) return answer;
  if (field === 'credit_amount') {
    const creditMinor = (answer.order.creditMinor ?? 0) + 1;
    return { ...answer, order: { ...answer.order, creditMinor } };
  }
  const order =
    field === 'amount'
      ? { ...answer.order, amountMinor: answer.order.amountMinor + 1 }
      : { ...answer.order, currency: 'USD' };
  return { ...answer, order };
}

/** Null when it is too long. */
async function readBody(request: IncomingMessage): Promise<Buffer | null> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > bodyMaxBytes) return null;
    chunks.push(chunk);
  }
  return chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks);
}
