import { request } from 'node:http';
import type { Book } from './book.js';
import type { BookOrder } from './book-order.js';
import { writtenAnswer } from './channel-server.js';
import { noMishap, type FaultBoard, type Mishap } from './faults.js';
import { outcomeOf } from './order-desk.js';
import type { ChannelSpec } from './channel-spec.js';
import type { Wire, WireMessage } from './wire.js';

/**
 * Tells the merchant how an order ended, again and again with growing pauses, until the merchant
 * answers with the word it should. After a restart it goes on.
 */

export interface CallbackParts {
  readonly spec: ChannelSpec;
  readonly wire: Wire;
  readonly book: Book;
  readonly faults: FaultBoard;
  readonly merchant: string;
}

const firstPauseMs = 200;
const pauseMaxMs = 30_000;
const triesMax = 16;
const inFlightMax = 64;
const waitForAnswerMs = 5_000;
/** The words that end the repeating, in either dialect. */
const acknowledgements: ReadonlySet<string> = new Set(['success', '{"code":"OK"}']);

export class CallbackSender {
  readonly #parts: CallbackParts;
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #waiting: (() => void)[] = [];
  #inFlight = 0;
  #url: URL | null = null;
  #closed = false;
  sent = 0;
  acknowledged = 0;

  constructor(parts: CallbackParts) {
    this.#parts = parts;
  }

  get url(): string | null {
    return this.#url?.href ?? null;
  }

  /** Null: nobody is called. Orders that ended before are not told again until a restart. */
  setUrl(url: URL | null): void {
    this.#url = url;
  }

  /** After a restart: whoever was not acknowledged is told. */
  resume(): void {
    for (const order of this.#parts.book.orders(this.#parts.spec.id)) {
      if (isEnded(order) && !order.callbackAcknowledged) this.#later(firstPauseMs, order);
    }
  }

  decided(order: BookOrder): void {
    if (this.#url === null || order.fields === null) return;
    const { spec, faults } = this.#parts;
    const { accountToken } = order.fields;
    const mishap = faults.strike(spec.id, 'callback', order.orderNo, accountToken);
    switch (mishap.delivery) {
      case 'never':
        return;
      case 'twice':
        this.#later(0, order, mishap);
        this.#later(0, order, mishap);
        return;
      case 'late':
        this.#later(mishap.params.delay_ms ?? 5_000, order, mishap);
        return;
      case 'early':
        // Before the book is on the disk and so before any other answer can leave.
        void this.#send(order, mishap, 0);
        return;
      default:
        this.#later(0, order, mishap);
    }
  }

  close(): void {
    this.#closed = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }

  #later(ms: number, order: BookOrder, mishap: Mishap = noMishap, tries = 0): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      void this.#parts.book
        .durable(order.lastSeq)
        .then(() => this.#send(order, mishap, tries))
        .catch(() => undefined);
    }, ms);
    this.#timers.add(timer);
  }

  async #send(order: BookOrder, mishap: Mishap, tries: number): Promise<void> {
    if (this.#closed || this.#url === null) return;
    if (this.#inFlight >= inFlightMax) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    this.#inFlight += 1;
    this.sent += 1;
    const accepted = await post(this.#url, this.#message(order, mishap)).finally(() => {
      this.#inFlight -= 1;
      this.#waiting.shift()?.();
    });
    if (this.#closed) return;
    if (accepted) {
      this.acknowledged += 1;
      if (!order.callbackAcknowledged) {
        this.#parts.book.append(this.#parts.spec.id, order.orderNo, {
          what: 'callback_acknowledged',
        });
      }
      return;
    }
    // A forgery is tried once; the true word follows as if nothing had been said.
    const next = tries + 1;
    if (next < triesMax) {
      this.#later(Math.min(pauseMaxMs, firstPauseMs * 2 ** tries), order, noMishap, next);
    }
  }

  #message(order: BookOrder, mishap: Mishap): WireMessage {
    const { wire, merchant } = this.#parts;
    const answer = { outcome: outcomeOf(order), orderNo: order.orderNo, order };
    const message = wire.writeCallback(
      writtenAnswer(answer, mishap, merchant),
      mishap.delivery === 'forge',
    );
    if (mishap.delivery !== 'garbage') return message;
    return { headers: message.headers, body: Buffer.from('\u0000\u0001%%%=&&=\ufffd', 'utf8') };
  }
}

function isEnded(order: BookOrder): boolean {
  return ['captured', 'refunded', 'done', 'declined'].includes(order.state);
}

/** Whether the merchant said the word. Never rejects. */
async function post(url: URL, { headers, body }: WireMessage): Promise<boolean> {
  return new Promise((resolve) => {
    const sending = request(
      url,
      {
        method: 'POST',
        headers: { ...headers, 'content-length': body.length },
        signal: AbortSignal.timeout(waitForAnswerMs),
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text = (text + chunk).slice(0, 64);
        });
        response.on('end', () =>
          resolve(response.statusCode === 200 && acknowledgements.has(text.trim())),
        );
        response.on('error', () => resolve(false));
      },
    );
    sending.on('error', () => resolve(false));
    sending.end(body);
  });
}
