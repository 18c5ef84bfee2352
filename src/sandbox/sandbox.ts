import { mkdirSync } from 'node:fs';
import { AdminServer } from './admin-server.js';
import { Book } from './book.js';
import { lockBook } from './book-lock.js';
import { CallbackSender } from './callbacks.js';
import { idsOf, type SandboxChannelId, type SandboxRole } from './channel-spec.js';
import { channelSpecs } from './specs.js';
import { ChannelServer } from './channel-server.js';
import {
  environmentOf,
  formKeysOf,
  jsonKeysOf,
  loadCredentials,
  saveCredentials,
  type Credentials,
} from './credentials.js';
import { FaultBoard } from './faults.js';
import { OrderDesk } from './order-desk.js';
import { formWire } from './wire-form.js';
import { jsonWire } from './wire-json.js';
import type { KeySerial, Wire } from './wire.js';

/**
 * Channels to practise on: four payment channels of different nature, a bank behind them that draws
 * from a seed, faults on demand, and a durable book of what really happened. It shares no code with
 * the engine: it knows it by its bytes alone.
 */
export interface SandboxOptions {
  /** Folder of the book, the keys and the ports. Made when missing, gone on with when not. */
  readonly bookDir: string;
  /** `channels` unless told: a card system and an account service are processes and books of their own. */
  readonly role?: SandboxRole;
  readonly seed?: string;
  /** The admin port; 0 for the one used last time, else a free one. Channels always choose so. */
  readonly port?: number;
  readonly host?: string;
  /** Rules as `PUT /_faults` takes them. */
  readonly faults?: unknown;
  /** Multiplies how long banks think. 0: at once. */
  readonly latencyScale?: number;
  /** Only when the keys are made. 1024 unless told: keys to practise with, and signing costs most here. */
  readonly rsaBits?: number;
  /** Where to call back, by channel; kept beside the book. */
  readonly callbackUrls?: Readonly<Record<string, string | null>>;
}

export interface SandboxReady {
  readonly ready: true;
  readonly pid: number;
  readonly admin: string;
  readonly channels: Readonly<Partial<Record<SandboxChannelId, string>>>;
  /** For the engine: what examples/channels.yaml asks of the environment. */
  readonly env: Readonly<Record<string, string>>;
}

export interface Sandbox extends SandboxReady {
  readonly close: () => Promise<void>;
}

interface Room {
  readonly server: ChannelServer;
  readonly desk: OrderDesk;
  readonly callbacks: CallbackSender;
}

/** @throws FaultError for rules that are not understood; Error when the book is damaged or in use. */
export async function startSandbox(options: SandboxOptions): Promise<Sandbox> {
  const host = options.host ?? '127.0.0.1';
  mkdirSync(options.bookDir, { recursive: true });
  const unlock = await lockBook(options.bookDir);
  const book = await Book.open(options.bookDir).catch(async (error: unknown) => {
    await unlock();
    throw error;
  });
  let credentials = loadCredentials(options.bookDir, options.rsaBits ?? 1024);
  const rooms = new Map<SandboxChannelId, Room>();
  const switched = (): Promise<unknown> =>
    Promise.all(
      [...rooms].map(([id, { server }]) => server.switchTo(faults.isDown(id) ? 'down' : 'up')),
    );
  const faults = new FaultBoard(options.seed ?? '1', () => void switched().catch(() => undefined));
  const { role = 'channels' } = options;
  for (const id of idsOf(role)) {
    const serial = (): KeySerial => credentials.serials[id] ?? 'A';
    rooms.set(id, openRoom(id, options, host, book, faults, credentials, serial));
  }
  const setCallbacks = (urls: Readonly<Record<string, string | null>>): object => {
    const merged: Record<string, string> = { ...credentials.callbackUrls };
    for (const [id, url] of Object.entries(urls)) {
      if (url === null) delete merged[id];
      else merged[id] = url;
      rooms.get(id as SandboxChannelId)?.callbacks.setUrl(url === null ? null : new URL(url));
    }
    credentials = { ...credentials, callbackUrls: merged };
    saveCredentials(options.bookDir, credentials);
    return merged;
  };
  const setSerials = (serials: Credentials['serials']): object => {
    credentials = { ...credentials, serials: { ...credentials.serials, ...serials } };
    saveCredentials(options.bookDir, credentials);
    return credentials.serials;
  };
  const stats = (): object => statsOf(rooms);
  const letGo = async (): Promise<object> => {
    const counts = await Promise.all([...rooms.values()].map(({ desk }) => desk.letGo()));
    return { let_go: counts.reduce((sum, one) => sum + one, 0) };
  };
  const admin = new AdminServer(
    {
      book,
      faults,
      merchant: credentials.merchant,
      ready: () => ready(),
      stats,
      setCallbacks,
      setSerials,
      letGo,
      switched,
    },
    host,
  );
  for (const [id, { server }] of rooms) await listenAt(server, credentials.ports[id]);
  await listenAdmin(admin, options.port ?? 0, credentials.ports['admin']);
  const ports = Object.fromEntries([...rooms].map(([id, { server }]) => [id, server.port]));
  credentials = { ...credentials, ports: { ...ports, admin: admin.port } };
  setCallbacks({ ...credentials.callbackUrls, ...options.callbackUrls });
  if (options.faults !== undefined) faults.set(options.faults, false);
  await switched();
  for (const { desk, callbacks } of rooms.values()) {
    desk.resume();
    callbacks.resume();
  }
  const ready = (): SandboxReady => readyOf(rooms, role, admin.url, credentials);
  return { ...ready(), close: () => closeAll(rooms, admin, book).then(unlock) };
}

function openRoom(
  id: SandboxChannelId,
  options: SandboxOptions,
  host: string,
  book: Book,
  faults: FaultBoard,
  credentials: Credentials,
  serial: () => KeySerial,
): Room {
  const spec = channelSpecs[id];
  const { merchant } = credentials;
  const wire: Wire =
    spec.wire === 'form'
      ? formWire(spec, formKeysOf(credentials, serial))
      : jsonWire(spec, jsonKeysOf(credentials, id, serial));
  const callbacks = new CallbackSender({ spec, wire, book, faults, merchant });
  const desk = new OrderDesk(spec, book, {
    seed: options.seed ?? '1',
    latencyScale: options.latencyScale ?? 1,
    decided: (order) => {
      if (spec.callsBack) callbacks.decided(order);
    },
  });
  const server = new ChannelServer({ spec, wire, desk, book, faults, merchant, host });
  return { server, desk, callbacks };
}

/** At the port of last time where it is free. */
async function listenAt(server: ChannelServer, remembered: number | undefined): Promise<void> {
  if (remembered !== undefined) {
    server.port = remembered;
    try {
      await server.listen();
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
      server.port = 0;
    }
  }
  await server.listen();
}

async function listenAdmin(
  admin: AdminServer,
  asked: number,
  remembered: number | undefined,
): Promise<void> {
  if (asked !== 0 || remembered === undefined) return admin.listen(asked);
  try {
    await admin.listen(remembered);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    await admin.listen(0);
  }
}

function readyOf(
  rooms: ReadonlyMap<SandboxChannelId, Room>,
  role: SandboxRole,
  adminUrl: string,
  credentials: Credentials,
): SandboxReady {
  const urls = new Map([...rooms].map(([id, { server }]) => [id, server.url]));
  const env = environmentOf(credentials, role, urls, adminUrl);
  return {
    ready: true,
    pid: process.pid,
    admin: adminUrl,
    channels: Object.fromEntries(urls),
    env,
  };
}

function statsOf(rooms: ReadonlyMap<SandboxChannelId, Room>): object {
  const channels = Object.fromEntries(
    [...rooms].map(([id, { server, callbacks }]) => [
      id,
      {
        requests: server.requests,
        callbacksSent: callbacks.sent,
        callbacksAcknowledged: callbacks.acknowledged,
      },
    ]),
  );
  return { channels, rssBytes: process.memoryUsage.rss() };
}

async function closeAll(
  rooms: ReadonlyMap<SandboxChannelId, Room>,
  admin: AdminServer,
  book: Book,
): Promise<void> {
  await admin.close();
  for (const { server, desk, callbacks } of rooms.values()) {
    desk.shutDown();
    callbacks.close();
    await server.close();
  }
  await book.close();
}
