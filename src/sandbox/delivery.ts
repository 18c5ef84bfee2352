import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Mishap } from './faults.js';
import type { WireMessage } from './wire.js';

/** Brings an answer to whoever asked, or does to it what the mishap says. */

/** A hanging connection is dropped after this long at the latest. */
const hangMaxMs = 120_000;

export function deliver(
  request: IncomingMessage,
  response: ServerResponse,
  message: WireMessage | null,
  mishap: Mishap,
  status: number,
): void {
  switch (mishap.delivery) {
    case 'hang':
      return late(request, response, message, mishap);
    case 'reset':
      request.socket.resetAndDestroy();
      return;
    case 'server_error':
      return serverError(response, message, mishap);
    case 'garbage':
      return garbage(response, message, mishap);
    case 'half':
      return message === null ? hang(response) : half(request, response, message);
    case 'drip':
      return message === null ? hang(response) : drip(response, message, mishap);
    case 'huge':
      return huge(response, message);
    default:
      if (message === null) return hang(response);
      send(response, status, message);
  }
}

function send(response: ServerResponse, status: number, { headers, body }: WireMessage): void {
  if (response.destroyed) return;
  response.writeHead(status, { ...headers, 'content-length': body.length });
  response.end(body);
}

/** What comes instead of an answer while the effect is still on its way. */
function late(
  request: IncomingMessage,
  response: ServerResponse,
  message: WireMessage | null,
  mishap: Mishap,
): void {
  const answer = mishap.params.answer ?? 'hang';
  if (answer === 'reset') request.socket.resetAndDestroy();
  else if (answer === 'server_error') serverError(response, message, mishap);
  else hang(response);
}

function hang(response: ServerResponse): void {
  const timer = setTimeout(() => response.destroy(), hangMaxMs);
  timer.unref();
  response.once('close', () => clearTimeout(timer));
}

function serverError(
  response: ServerResponse,
  message: WireMessage | null,
  { params }: Mishap,
): void {
  const status = params.status ?? 502;
  if (params.signed === true && message !== null) {
    send(response, status, message);
    return;
  }
  const body = Buffer.from('<html><h1>Bad Gateway</h1></html>');
  send(response, status, { headers: { 'content-type': 'text/html' }, body });
}

function garbage(response: ServerResponse, message: WireMessage | null, { params }: Mishap): void {
  const headers = params.signed === true && message !== null ? message.headers : {};
  send(response, 200, { headers, body: randomBytes(180) });
}

function half(request: IncomingMessage, response: ServerResponse, message: WireMessage): void {
  const { headers, body } = message;
  response.writeHead(200, { ...headers, 'content-length': body.length });
  response.write(body.subarray(0, Math.floor(body.length / 2)), () => request.socket.destroy());
}

function drip(response: ServerResponse, { headers, body }: WireMessage, { params }: Mishap): void {
  response.writeHead(200, { ...headers, 'content-length': body.length });
  let at = 0;
  const timer = setInterval(() => {
    if (response.destroyed || at >= body.length) {
      clearInterval(timer);
      response.end();
      return;
    }
    response.write(body.subarray(at, at + 1));
    at += 1;
  }, params.interval_ms ?? 200);
  timer.unref();
  response.once('close', () => clearInterval(timer));
}

/** Well signed and far too long. */
function huge(response: ServerResponse, message: WireMessage | null): void {
  const body = Buffer.alloc(1024 * 1024, 0x20);
  message?.body.copy(body);
  send(response, 200, { headers: message?.headers ?? {}, body });
}
