import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Log } from '../log.js';

export interface Exposed {
  readonly contentType: string;
  text(): Promise<string>;
}

const timeOutMs = 10_000;

/**
 * `GET /metrics` on a port of its own, and nothing else: borrowers and channels reach the API's port
 * only, so that no key is needed here and none can be forgotten.
 */
export class MetricsServer {
  readonly #server: Server;

  constructor(
    private readonly exposed: Exposed,
    private readonly log: Log,
  ) {
    const options = { requestTimeout: timeOutMs, headersTimeout: timeOutMs, maxHeaderSize: 8_192 };
    this.#server = createServer(options, (request, response) => {
      // A connection kept alive would keep the closing process, too.
      response.setHeader('connection', 'close');
      request.resume();
      if (request.url?.split('?')[0] !== '/metrics') response.writeHead(404).end();
      else if (request.method !== 'GET') response.writeHead(405, { allow: 'GET' }).end();
      else void this.#answer(response);
    });
  }

  /** @throws what Node throws when the address cannot be had, such as `EADDRINUSE`. */
  async listen(host: string, port: number): Promise<string> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, host, resolve);
    });
    const { address, family, port: bound } = this.#server.address() as AddressInfo;
    return `http://${family === 'IPv6' ? `[${address}]` : address}:${bound}/metrics`;
  }

  /** Answers the scrapes under way, and takes no more. */
  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    await closed;
  }

  async #answer(response: ServerResponse): Promise<void> {
    try {
      const text = await this.exposed.text();
      response.writeHead(200, { 'content-type': this.exposed.contentType }).end(text);
    } catch (error) {
      this.log.error('metrics not exposed', { why: String(error) });
      response.writeHead(500).end();
    }
  }
}
