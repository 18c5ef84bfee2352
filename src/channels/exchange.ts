import { Pool, type Dispatcher } from 'undici';
import type { WireHeaders, WireRequest } from './dialect.js';
import { Slots } from './slots.js';

/**
 * One request to a channel and what can be known of it afterwards.
 *
 * The proof of *not sent*: undici calls `onRequestStart` on the connection that will carry a request
 * immediately before it writes the first byte, and at no other time. An exchange that ends before
 * that call left no byte on any wire, whatever the reason: refused, no such name, no TLS, no free
 * connection. From that call on everything that is not an answer is *lost*: a kept-alive connection
 * that turns out to be dead may have carried the request all the same. Error codes are not looked
 * at, because the same code (ECONNRESET) stands for both. If undici ever starts the same request a
 * second time, it is cut off: nothing is resent here, by anybody.
 *
 * Waiting counts: the time-out of a charge runs from the moment it is made, so a lease that covers the
 * time-out covers the call. Half of it may go by before the first byte; then the call is given up
 * and is proven not sent, because a request with little time left to be answered would only make
 * one more unknown outcome.
 *
 * A question that is not asked spends a step of its poll schedule and learns nothing, so its time-out
 * runs from the moment it has a connection, and it may wait for that for as long as the channel's
 * longest call leaves it half of its time: a lease covers the longest call anyway.
 */

export type Exchange =
  | {
      readonly kind: 'answered';
      readonly status: number;
      readonly headers: WireHeaders;
      readonly body: Buffer;
    }
  | { readonly kind: 'not_sent'; readonly detail: string }
  | {
      readonly kind: 'lost';
      readonly why: 'timeout' | 'connection_lost' | 'bad_response';
      readonly detail: string;
    };

export interface ExchangeSettings {
  readonly origin: string;
  readonly chargesMax: number;
  readonly asksMax: number;
  /** The longest of the channel's time-outs. */
  readonly timeoutMsMax: number;
  /** A question is over within this, the wait for its connection included. */
  readonly asksWithinMs: number;
}

/** Charges and questions have connections of their own: neither can starve the other. */
export type Lane = 'charge' | 'ask';

const responseBytesMax = 64 * 1024;
/** Below what servers commonly keep a connection for (5 s at the least): we let go first. */
const keepAliveMs = 4_000;

export class HttpExchange {
  readonly #lanes: Readonly<Record<Lane, { readonly pool: Pool; readonly slots: Slots }>>;
  readonly #asksWithinMs: number;

  constructor(settings: ExchangeSettings) {
    this.#asksWithinMs = settings.asksWithinMs;
    const lane = (max: number) => ({ pool: newPool(settings, max), slots: new Slots(max) });
    this.#lanes = { charge: lane(settings.chargesMax), ask: lane(settings.asksMax) };
  }

  /** Never rejects; resolves within `timeoutMs`, a question within `asksWithinMs` if that is longer. */
  async send(lane: Lane, request: WireRequest, timeoutMs: number): Promise<Exchange> {
    const { pool, slots } = this.#lanes[lane];
    const withinMs = lane === 'ask' ? Math.max(timeoutMs, this.#asksWithinMs) : timeoutMs;
    const latestMs = performance.now() + withinMs;
    if (!(await slots.acquire(withinMs - timeoutMs / 2))) {
      return { kind: 'not_sent', detail: `all ${slots.max} connections were in use` };
    }
    const endsAtMs = Math.min(latestMs, performance.now() + timeoutMs);
    const call = new Call(endsAtMs - timeoutMs / 2, endsAtMs);
    const { path, headers, body } = request;
    try {
      pool.dispatch({ method: 'POST', path, headers: { ...headers }, body }, call);
    } catch (error) {
      call.onResponseError(null, error);
    }
    // The slot is free when undici is done with the request, which an abort makes soon.
    void call.released.then(() => slots.release());
    return await call.outcome;
  }

  async shutDown(): Promise<void> {
    await Promise.all(Object.values(this.#lanes).map(({ pool }) => pool.destroy()));
  }
}

function newPool({ origin, timeoutMsMax }: ExchangeSettings, connections: number): Pool {
  return new Pool(origin, {
    connections,
    pipelining: 1,
    allowH2: false,
    connectTimeout: Math.max(1, Math.floor(timeoutMsMax / 2)),
    headersTimeout: timeoutMsMax,
    bodyTimeout: timeoutMsMax,
    maxResponseSize: responseBytesMax,
    keepAliveTimeout: keepAliveMs,
    keepAliveMaxTimeout: keepAliveMs,
  });
}

/** undici's handler of one request. */
class Call implements Dispatcher.DispatchHandler {
  readonly outcome: Promise<Exchange>;
  /** Settles when undici will not touch this request any more. */
  readonly released: Promise<void>;
  #settle!: (exchange: Exchange) => void;
  #release!: () => void;
  #started = false;
  #settled = false;
  #controller: Dispatcher.DispatchController | null = null;
  #status = 0;
  #headers: WireHeaders = {};
  #chunks: Buffer[] = [];
  readonly #endsAtMs: number;
  #timer: NodeJS.Timeout;

  constructor(startBeforeMs: number, endsAtMs: number) {
    this.#endsAtMs = endsAtMs;
    this.outcome = new Promise((resolve) => (this.#settle = resolve));
    this.released = new Promise((resolve) => (this.#release = resolve));
    this.#timer = setTimeout(() => this.#timeOut(), startBeforeMs - performance.now());
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.#settled || this.#started) {
      // Given up while it waited, or started once already: aborted here, undici writes nothing.
      this.#end({ kind: 'lost', why: 'connection_lost', detail: 'undici started it twice' });
      controller.abort(new Error('given up before it was sent'));
      return;
    }
    this.#started = true;
    this.#controller = controller;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#timeOut(), this.#endsAtMs - performance.now());
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    statusCode: number,
    headers: WireHeaders,
  ): void {
    this.#status = statusCode;
    this.#headers = headers;
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#chunks.push(chunk);
  }

  onResponseEnd(): void {
    const body = Buffer.concat(this.#chunks);
    this.#end({ kind: 'answered', status: this.#status, headers: this.#headers, body });
    this.#release();
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: unknown): void {
    const detail = describe(error);
    this.#end(
      this.#started ? { kind: 'lost', why: whyLost(error), detail } : { kind: 'not_sent', detail },
    );
    this.#release();
  }

  #timeOut(): void {
    if (!this.#started) {
      this.#end({ kind: 'not_sent', detail: 'no connection within half of the time-out' });
      return;
    }
    this.#end({ kind: 'lost', why: 'timeout', detail: 'no complete answer within the time-out' });
    this.#controller?.abort(new Error('the time-out has passed'));
  }

  #end(exchange: Exchange): void {
    if (this.#settled) return;
    this.#settled = true;
    clearTimeout(this.#timer);
    this.#settle(exchange);
  }
}

function whyLost(error: unknown): 'timeout' | 'connection_lost' | 'bad_response' {
  const code = codeOf(error);
  if (code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT') return 'timeout';
  const readable = code.startsWith('HPE_') || code.startsWith('UND_ERR_RES');
  return readable || code === 'UND_ERR_HEADERS_OVERFLOW' ? 'bad_response' : 'connection_lost';
}

function codeOf(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('code' in error)) return '';
  return typeof error.code === 'string' ? error.code : '';
}

function describe(error: unknown): string {
  // Several addresses of one name are tried; the error of the whole says nothing by itself.
  const one: unknown = error instanceof AggregateError ? error.errors[0] : error;
  const text = one instanceof Error ? one.message : String(one);
  return `${codeOf(one)} ${text}`.trim().slice(0, 200);
}
