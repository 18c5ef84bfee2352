import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** A proxy in front of a server, to cut and to swallow at the worst moment. */
export class TcpProxy {
  readonly #sockets = new Set<Socket>();
  readonly #server = createServer((client) => this.#join(client));
  /** Called with what a client sends; true: pass it on, then cut before any answer comes back. */
  cutAfter: (sent: Buffer) => boolean = () => false;
  /** Refuses new connections and cuts the open ones. */
  #down = false;
  cuts = 0;

  constructor(
    private readonly host: string,
    private readonly port: number,
  ) {}

  async listen(): Promise<number> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return (this.#server.address() as AddressInfo).port;
  }

  set down(down: boolean) {
    this.#down = down;
    if (down) for (const socket of this.#sockets) socket.destroy();
  }

  #join(client: Socket): void {
    if (this.#down) return void client.destroy();
    const server = connect(this.port, this.host);
    let swallow = false;
    for (const socket of [client, server]) {
      this.#sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        this.#sockets.delete(socket);
        client.destroy();
        server.destroy();
      });
    }
    client.on('data', (sent: Buffer) => {
      if (this.cutAfter(sent)) {
        swallow = true;
        this.cuts += 1;
      }
      server.write(sent);
    });
    server.on('data', (answer: Buffer) => {
      // The server has done it and says so; nobody hears.
      if (swallow) client.destroy();
      else client.write(answer);
    });
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }
}
