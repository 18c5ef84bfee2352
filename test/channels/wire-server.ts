import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** A server of bare bytes: hears everything, says whatever the test wants. */
export class WireServer {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** All bytes that ever arrived, of every connection. */
  heard = '';
  connections = 0;

  private constructor(behave: (socket: Socket, nth: number) => void) {
    this.#server = createServer((socket) => {
      this.connections += 1;
      this.#sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => this.#sockets.delete(socket));
      socket.on('data', (bytes) => (this.heard += bytes.toString('latin1')));
      behave(socket, this.connections);
    });
  }

  static async start(behave: (socket: Socket, nth: number) => void): Promise<WireServer> {
    const server = new WireServer(behave);
    server.#server.listen(0, '127.0.0.1');
    await once(server.#server, 'listening');
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    if (!this.#server.listening) return;
    this.#server.close();
    await once(this.#server, 'close');
  }
}

/** A port at which nobody listens. */
export async function closedPort(): Promise<number> {
  const server = await WireServer.start(() => undefined);
  const { port } = server;
  await server.stop();
  return port;
}
