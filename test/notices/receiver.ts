/** A business system that is told: it verifies what arrives, and answers as the test wants. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { newSecret, verifyNotice } from '../../src/notices/signature.js';

export interface Received {
  readonly id: string;
  readonly body: string;
  readonly event: { readonly type: string; readonly data: Readonly<Record<string, unknown>> };
  readonly path: string;
}

/** A status; or nothing at all until `release`. */
export type Answer = number | 'hang';

export class Receiver {
  readonly secret = newSecret();
  readonly received: Received[] = [];
  readonly forged: string[] = [];
  readonly #hanging: ServerResponse[] = [];
  answer: (received: Received) => Answer = () => 204;

  private constructor(private readonly server: Server) {}

  static async start(): Promise<Receiver> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const receiver = new Receiver(server);
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      void receiver.#take(request, response);
    });
    return receiver;
  }

  url(path = '/'): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}${path}`;
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await text(request);
    const verified = verifyNotice(request.headers, body, this.secret);
    if (!verified.genuine) {
      this.forged.push(verified.why);
      response.writeHead(401).end();
      return;
    }
    const event = verified.event as Received['event'];
    const received = { id: verified.id, body, event, path: request.url ?? '' };
    this.received.push(received);
    const answer = this.answer(received);
    if (answer === 'hang') this.#hanging.push(response);
    else response.writeHead(answer).end('what is said to people');
  }

  /** Answers what hangs. */
  release(status: number): void {
    for (const response of this.#hanging.splice(0)) response.writeHead(status).end();
  }

  at(path: string): Received[] {
    return this.received.filter((one) => one.path === path);
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }
}
