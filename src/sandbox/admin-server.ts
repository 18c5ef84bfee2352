import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createReadStream } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { Readable } from 'node:stream';
import type { Book } from './book.js';
import { placementOf, type BookOrder } from './book-order.js';
import { sandboxIds, type SandboxChannelId } from './channel-spec.js';
import { channelSpecs } from './specs.js';
import { isKeySerial, type Credentials } from './credentials.js';
import { isStatementDate, statementOf } from './statement.js';
import { FaultError, type FaultBoard } from './faults.js';

/** The sandbox's own side door: the book, the faults, the numbers. Never part of a channel. */

export interface AdminParts {
  readonly book: Book;
  readonly faults: FaultBoard;
  readonly merchant: string;
  readonly ready: () => object;
  readonly stats: () => object;
  /** Resolves when ports are open or closed as the faults say. */
  readonly switched: () => Promise<unknown>;
  readonly setCallbacks: (urls: Readonly<Record<string, string | null>>) => object;
  readonly setSerials: (serials: Credentials['serials']) => object;
  readonly letGo: () => Promise<object>;
}

const bodyMaxBytes = 4 * 1024 * 1024;

export class AdminServer {
  readonly #parts: AdminParts;
  readonly #server: Server;
  readonly #host: string;

  constructor(parts: AdminParts, host: string) {
    this.#parts = parts;
    this.#host = host;
    this.#server = createServer((request, response) => {
      this.#serve(request, response).catch((error: unknown) => {
        if (response.headersSent) response.destroy();
        else json(response, error instanceof BadRequest ? 400 : 500, { error: String(error) });
      });
    });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://${this.#host}:${this.port}`;
  }

  async listen(port: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, this.#host, resolve);
    });
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://sandbox');
    const { book, ready, stats, setCallbacks, setSerials, letGo } = this.#parts;
    const channel = channelOf(url);
    switch (`${request.method} ${url.pathname}`) {
      case 'GET /_health':
      case 'GET /_ready':
        return json(response, 200, ready());
      case 'GET /_stats':
        return json(response, 200, stats());
      case 'GET /_book':
        await book.flushed();
        return lines(response, book.orders(channel));
      case 'GET /_book/entries':
        await book.flushed();
        response.writeHead(200, { 'content-type': 'application/x-ndjson' });
        return pipeline(createReadStream(book.path), response);
      case 'GET /_statement':
        return this.#statement(url, response);
      case 'PUT /_callbacks':
        return json(response, 200, setCallbacks(asUrls(await readJson(request))));
      case 'PUT /_keys':
        return json(response, 200, setSerials(asSerials(await readJson(request))));
      case 'POST /_held':
        return json(response, 200, await letGo());
    }
    if (url.pathname === '/_balances') return this.#balances(request, url, response);
    if (url.pathname === '/_faults') return this.#faults(request, response);
    const orderNo = /^\/_book\/orders\/([A-Za-z0-9]{1,64})$/.exec(url.pathname)?.[1];
    if (request.method === 'GET' && orderNo !== undefined) {
      await book.flushed();
      const found = book.findAnywhere(orderNo).filter((o) => (channel ?? o.channel) === o.channel);
      return json(response, found.length > 0 ? 200 : 404, { orders: found.map(orderView) });
    }
    return json(response, 404, { error: `nothing at ${request.method} ${url.pathname}` });
  }

  /** What is on accounts and cards; PUT brings one to the amount that is said. */
  async #balances(request: IncomingMessage, url: URL, response: ServerResponse): Promise<void> {
    const { book } = this.#parts;
    const channel = channelOf(url);
    if (channel === undefined) throw new BadRequest('of which channel?');
    if (request.method === 'PUT') {
      for (const [token, minor] of Object.entries(asBalances(await readJson(request)))) {
        await book.deposit(channel, token, minor - book.balance(channel, token));
      }
    }
    await book.flushed();
    const token = url.searchParams.get('token');
    if (token === null) return json(response, 200, book.balances(channel));
    return json(response, 200, { [token]: book.balance(channel, token) });
  }

  async #statement(url: URL, response: ServerResponse): Promise<void> {
    const { book, merchant } = this.#parts;
    const channel = channelOf(url);
    const date = url.searchParams.get('date') ?? '';
    if (channel === undefined || !isStatementDate(date)) {
      throw new BadRequest('channel and date, such as 2026-11-22');
    }
    await book.flushed();
    const bytes = statementOf(book, channel, date, merchant);
    response.writeHead(200, { 'content-type': 'application/octet-stream' });
    response.end(bytes);
  }

  async #faults(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { faults, switched } = this.#parts;
    switch (request.method) {
      case 'GET':
        return json(response, 200, { rules: faults.list(), hits: faults.hits() });
      case 'DELETE':
        faults.clear();
        await switched();
        return json(response, 200, { rules: [] });
      case 'PUT':
      case 'POST': {
        const rules = await readJson(request);
        try {
          faults.set(rules, request.method === 'POST');
        } catch (error) {
          if (error instanceof FaultError) throw new BadRequest(error.message);
          throw error;
        }
        await switched();
        return json(response, 200, { rules: faults.list() });
      }
      default:
        return json(response, 405, { error: 'GET, PUT, POST or DELETE' });
    }
  }
}

class BadRequest extends Error {}

function channelOf(url: URL): SandboxChannelId | undefined {
  const id = url.searchParams.get('channel');
  if (id === null) return undefined;
  if (!(sandboxIds as readonly string[]).includes(id))
    throw new BadRequest(`unknown channel ${id}`);
  return id as SandboxChannelId;
}

/** What the witness says of an order. */
function orderView(order: BookOrder): object {
  const { channel, orderNo, state, fields, declineCode, captures, refunds, refusals } = order;
  const { executions, creditedBy, voided, restoredMinor } = order;
  return {
    channel,
    orderNo,
    operation: fields === null ? 'charge' : placementOf(fields),
    regarding: fields?.regarding ?? null,
    refundOf: fields?.refundOf ?? null,
    state,
    declineCode,
    channelCode: declineCode === null ? null : wireCode(order),
    amountMinor: fields?.amountMinor ?? null,
    currency: fields?.currency ?? null,
    accountToken: fields?.accountToken ?? null,
    bank: fields?.bank ?? null,
    createdAtMs: fields?.createdAtMs ?? null,
    expiresAtMs: fields?.expiresAtMs ?? null,
    ...(fields?.creditMinor !== undefined && {
      creditMinor: fields.creditMinor,
      rule: fields.rule ?? null,
    }),
    captures,
    refunds,
    executions,
    creditedBy,
    voided,
    restoredMinor,
    refusals,
    callbackAcknowledged: order.callbackAcknowledged,
    firstAt: order.firstAt,
    lastAt: order.lastAt,
  };
}

function wireCode({ channel, declineCode }: BookOrder): string | null {
  const codes: Readonly<Record<string, string>> = channelSpecs[channel].codes;
  return declineCode === null ? null : (codes[declineCode] ?? declineCode.toUpperCase());
}

async function lines(response: ServerResponse, orders: Iterable<BookOrder>): Promise<void> {
  response.writeHead(200, { 'content-type': 'application/x-ndjson' });
  const text = (function* () {
    let chunk = '';
    for (const order of orders) {
      chunk += `${JSON.stringify(orderView(order))}\n`;
      if (chunk.length < 64 * 1024) continue;
      yield chunk;
      chunk = '';
    }
    yield chunk;
  })();
  await pipeline(Readable.from(text), response);
}

function json(response: ServerResponse, status: number, value: object): void {
  const body = Buffer.from(`${JSON.stringify(value)}\n`);
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': body.length });
  response.end(body);
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > bodyMaxBytes) throw new BadRequest('the body is too long');
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    throw new BadRequest('the body is not JSON');
  }
}

function asUrls(value: unknown): Record<string, string | null> {
  if (typeof value !== 'object' || value === null) throw new BadRequest('not an object');
  for (const [id, url] of Object.entries(value)) {
    if (!(sandboxIds as readonly string[]).includes(id))
      throw new BadRequest(`unknown channel ${id}`);
    if (url !== null && !URL.canParse(String(url)))
      throw new BadRequest(`not a URL: ${String(url)}`);
  }
  return value as Record<string, string | null>;
}

function asSerials(value: unknown): Credentials['serials'] {
  if (typeof value !== 'object' || value === null) throw new BadRequest('not an object');
  for (const [id, serial] of Object.entries(value)) {
    if (!(sandboxIds as readonly string[]).includes(id)) {
      throw new BadRequest(`unknown channel ${id}`);
    }
    if (!isKeySerial(serial)) throw new BadRequest(`no key of serial ${String(serial)}`);
  }
  return value;
}

function asBalances(value: unknown): Record<string, number> {
  if (typeof value !== 'object' || value === null) throw new BadRequest('not an object');
  for (const minor of Object.values(value)) {
    if (!Number.isSafeInteger(minor)) throw new BadRequest('a balance is a whole number');
  }
  return value as Record<string, number>;
}
