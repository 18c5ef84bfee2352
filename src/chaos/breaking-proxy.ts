/**
 * Stands between one worker and its database, and breaks their connections: cut, half closed, slow,
 * and at the worst moment of all, with a COMMIT under way. The journal sends a transaction as one request.
 */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** `reply`: committed, and nobody hears. `request`: the transaction, its COMMIT in it, never arrives. */
export type CommitCut = 'reply' | 'request';

interface Armed {
  readonly how: CommitCut;
  readonly struck: (atMs: number) => void;
}

export class BreakingProxy {
  readonly #links = new Set<Link>();
  readonly #server = createServer({ allowHalfOpen: true }, (client) => this.#join(client));
  #armed: Armed | null = null;
  #delayMs = 0;
  /** When the worker heard that entries of the log were committed; monotonic ms. */
  readonly logCommits: number[] = [];

  constructor(private readonly databasePort: number) {}

  async listen(): Promise<number> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return (this.#server.address() as AddressInfo).port;
  }

  cutAll(): void {
    for (const link of this.#links) link.cut();
  }

  /** @param deaf the client is not told; else the client is told, and the server is not. */
  halfCloseAll(deaf: boolean): void {
    for (const link of this.#links) link.halfClose(deaf);
  }

  set delayMs(ms: number) {
    this.#delayMs = ms;
  }

  get delayMs(): number {
    return this.#delayMs;
  }

  /** Cuts at the next commit of log entries. Null when none came in time. */
  async cutCommit(how: CommitCut, withinMs: number): Promise<number | null> {
    if (this.#armed !== null) return null;
    return await new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#armed = null;
        resolve(null);
      }, withinMs);
      const struck = (atMs: number): void => {
        clearTimeout(timer);
        resolve(atMs);
      };
      this.#armed = { how, struck };
    });
  }

  /** Called by a link at each COMMIT of log entries: what is to be done to it. */
  takeArmed(): Armed | null {
    const armed = this.#armed;
    this.#armed = null;
    return armed;
  }

  close(): void {
    this.cutAll();
    this.#server.close();
  }

  #join(client: Socket): void {
    const server = connect({ port: this.databasePort, host: '127.0.0.1', allowHalfOpen: true });
    const link: Link = new Link(this, client, server, () => this.#links.delete(link));
    this.#links.add(link);
  }
}

class Link {
  readonly #toServer: Pipe;
  readonly #toClient: Pipe;
  /** A transaction of log entries was passed on; what comes back next are its answers. */
  #committing: { readonly armed: Armed | null; readonly answers: Answers } | null = null;
  #deaf = false;

  constructor(
    private readonly proxy: BreakingProxy,
    private readonly client: Socket,
    private readonly server: Socket,
    private readonly gone: () => void,
  ) {
    this.#toServer = new Pipe(server, proxy);
    this.#toClient = new Pipe(client, proxy);
    for (const socket of [client, server]) socket.setNoDelay(true).on('error', () => undefined);
    client.on('data', (sent: Buffer) => this.#onSent(sent));
    server.on('data', (answer: Buffer) => this.#onAnswer(answer));
    client.on('end', () => server.end());
    client.on('close', () => this.cut());
    server.on('end', () => this.#onServerGone());
    server.on('close', () => this.#onServerGone());
  }

  cut(): void {
    this.client.destroy();
    this.server.destroy();
    this.gone();
  }

  halfClose(deaf: boolean): void {
    this.#deaf = deaf;
    if (deaf) this.server.end();
    else this.client.end();
  }

  #onSent(sent: Buffer): void {
    const query = sent[4] === 3 ? sent.toString('latin1', 5, 60) : '';
    if (/^begin;insert into `?execution_log\b/i.test(query)) {
      const armed = this.proxy.takeArmed();
      if (armed?.how === 'request') return this.#strike(armed);
      this.#committing = { armed, answers: new Answers() };
    }
    this.#toServer.push(sent);
  }

  #onAnswer(answer: Buffer): void {
    const last = this.#committing?.answers.take(answer) ?? null;
    if (this.#committing !== null && last !== null) {
      const { armed } = this.#committing;
      this.#committing = null;
      if (armed !== null) return this.#strike(armed);
      if (last === 'ok') this.proxy.logCommits.push(performance.now());
    }
    if (!this.#deaf) this.#toClient.push(answer);
  }

  #strike({ struck }: Armed): void {
    struck(performance.now());
    this.cut();
  }

  #onServerGone(): void {
    if (!this.#deaf) this.cut();
  }
}

const moreResults = 8;

/** The server's packets to one request of several statements, in whatever pieces they come. */
class Answers {
  #rest = Buffer.alloc(0);

  /** What the last statement that ran was answered; null as long as more is to come. */
  take(piece: Buffer): 'ok' | 'error' | null {
    this.#rest = Buffer.concat([this.#rest, piece]);
    let last: 'ok' | 'error' | null = null;
    while (this.#rest.length >= 4) {
      const end = 4 + this.#rest.readUIntLE(0, 3);
      if (this.#rest.length < end) return null;
      const packet = this.#rest.subarray(4, end);
      this.#rest = this.#rest.subarray(end);
      if (packet[0] === 0xff) last = 'error';
      else last = (statusOf(packet) & moreResults) === 0 ? 'ok' : null;
    }
    return last;
  }
}

/** Of an OK packet: its kind, two numbers of one byte or more, then the status. */
function statusOf(packet: Buffer): number {
  let at = 1;
  for (let numbers = 0; numbers < 2; numbers += 1) {
    at += { 0xfc: 3, 0xfd: 4, 0xfe: 9 }[packet[at] ?? 0] ?? 1;
  }
  return packet.readUInt16LE(at);
}

/** One direction, in order, each piece as late as the proxy says. */
class Pipe {
  readonly #waiting: Buffer[] = [];
  #dueMs = 0;

  constructor(
    private readonly to: Socket,
    private readonly pace: { readonly delayMs: number },
  ) {}

  push(piece: Buffer): void {
    const nowMs = performance.now();
    this.#dueMs = Math.max(this.#dueMs, nowMs + this.pace.delayMs);
    if (this.#waiting.length === 0 && this.#dueMs <= nowMs) return this.#write(piece);
    this.#waiting.push(piece);
    setTimeout(() => this.#write(this.#waiting.shift()), Math.max(0, this.#dueMs - nowMs));
  }

  #write(piece: Buffer | undefined): void {
    if (piece !== undefined && this.to.writable) this.to.write(piece);
  }
}
