/**
 * A storm of callbacks over real processes: servers of `recoup serve`, one of them killed on the way,
 * and a worker that posts to the ledger. The captures are in the database before; what is counted
 * afterwards is read from it, not from what anybody said.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { invariant } from '../src/assert.js';
import { Daemon } from '../src/demo/processes.js';
import type { Channels } from '../src/engine/ports.js';
import { repaymentId } from '../src/ids.js';
import { amountMinor } from '../src/money.js';
import { selectRows } from '../src/store/database.js';
import { startEnvironment, type TestEnvironment } from '../test/support/environment.js';
import {
  forgedMessage,
  genuineMessage,
  stormOf,
  type Message,
  type Slot,
  type StormOrder,
} from './storm-messages.js';

export interface StormSettings {
  readonly callbacks: number;
  readonly servers: number;
  readonly inFlight: number;
  readonly seed: number;
  /** Kill one of the servers when half is said. */
  readonly kill: boolean;
  readonly say: (what: string) => void;
}

export interface StormReport {
  readonly callbacks: number;
  readonly genuine: number;
  readonly copies: number;
  readonly forged: number;
  readonly captures: number;
  readonly seconds: number;
  readonly per_second: number;
  /** Sendings that were answered with 503, cut or unanswered, and made again. */
  readonly sent_again: number;
  readonly forgeries_accepted: number;
  readonly forgeries_in_tables: number;
  readonly settled: number;
  readonly settled_twice: number;
  readonly lost: number;
  readonly outbox_messages: number;
  readonly ledger_entries: number;
  readonly ledger_minor: string;
  readonly captured_minor: string;
  readonly cases: number;
  readonly killed: number;
  readonly verdicts: Readonly<Record<string, number>>;
}

export const isRight = (r: StormReport): boolean =>
  r.forgeries_accepted === 0 &&
  r.forgeries_in_tables === 0 &&
  r.settled === r.captures &&
  r.settled_twice === 0 &&
  r.lost === 0 &&
  r.outbox_messages === r.captures &&
  r.ledger_entries === r.captures &&
  r.ledger_minor === r.captured_minor &&
  r.cases === 0;

const amount = 100;

export async function storm(settings: StormSettings): Promise<StormReport> {
  const folder = mkdtempSync(join(tmpdir(), 'recoup-storm-'));
  const environment = await startEnvironment({ adjust });
  const daemons: Daemon[] = [];
  try {
    const captures = Math.ceil((settings.callbacks * 3) / 10);
    const orders = await pendingOrders(environment, captures);
    settings.say(`${captures} orders wait for their callbacks`);
    const env = {
      ...process.env,
      ...environment.env,
      RECOUP_LOG_LEVEL: 'error',
      // The locks of the server that is killed last so long.
      RECOUP_LOCK_LEASE_MS: '6000',
    };
    const serve = async (name: string): Promise<Server> => {
      const daemon = Daemon.start(name, ['serve', '--port', '0'], env, folder);
      daemons.push(daemon);
      return { daemon, url: (await daemon.ready<{ url: string }>()).url };
    };
    const names = Array.from({ length: settings.servers }, (_, at) => `server-${at + 1}`);
    const servers = await Promise.all(names.map(serve));
    const worker = Daemon.start('worker', ['worker'], env, folder);
    daemons.push(worker);
    await worker.ready();
    const slots = stormOf(orders, settings.seed);
    const key = environment.env['RECOUP_SANDBOX_SWIFTPAY_HMAC_KEY'] ?? '';
    const teller = new Teller(slots, servers, key, settings);
    const beganMs = performance.now();
    await teller.tellAll(async () => await serve('server-again'));
    const seconds = (performance.now() - beganMs) / 1_000;
    settings.say(`all is said after ${seconds.toFixed(1)} s`);
    await ledgerPosted(environment, captures, settings.say);
    // Counts are written within a second, and by a server that ends.
    await Promise.all(daemons.map(async (daemon) => await daemon.stop(20_000)));
    const per_second = Math.round(slots.length / seconds);
    return { ...teller.told(), seconds, per_second, ...(await found(environment, captures)) };
  } finally {
    for (const daemon of daemons) daemon.signal('SIGKILL');
    await environment.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Nobody asks the channel meanwhile: what is known by the end came by callbacks alone. */
function adjust(profile: Record<string, unknown>): void {
  if (profile['id'] !== 'swiftpay') return;
  profile['limits'] = {};
  profile['banks'] = { ICBC: {} };
  profile['nature'] = { ...(profile['nature'] as object), poll_schedule_ms: [36_000_000] };
}

/** Accepted by the channel, which has not said how they ended. */
async function pendingOrders(environment: TestEnvironment, count: number): Promise<StormOrder[]> {
  const services = await environment.compose({ wrappers: { channels: alwaysPending } });
  const ids = Array.from({ length: count }, (_, at) => repaymentId(`storm_${at}`));
  for (let at = 0; at < count; at += 500) {
    const rows = ids.slice(at, at + 500).map((id) => ({
      id,
      borrowerId: `bw_${id}`,
      currency: 'CNY' as const,
      dueMinor: amountMinor(amount),
      dueDate: '2026-11-22',
      account: { token: `tok_ok_${id}`, bankCode: 'ICBC', last4: '4321' },
    }));
    await services.repayments.register(rows, Date.now());
  }
  const left = [...ids];
  const lane = async (): Promise<void> => {
    for (let id = left.pop(); id !== undefined; id = left.pop()) {
      const { finished } = await services.desk.start({
        source: 'batch',
        repaymentId: id,
        amountMinor: null,
        requestKey: `storm:${id}`,
        requestDigest: '0'.repeat(64),
        batchId: null,
        agent: null,
      });
      await finished;
    }
  };
  await Promise.all(Array.from({ length: 256 }, lane));
  const rows = await selectRows<{ orderNo: string }>(
    environment.owner,
    `SELECT order_no AS orderNo FROM attempt WHERE status = 'pending' AND channel_id = 'swiftpay'`,
  );
  if (rows.length !== count) throw new Error(`${rows.length} orders of ${count} are pending`);
  return rows.map(({ orderNo }) => ({ orderNo, amountMinor: amount }));
}

const alwaysPending = (inner: Channels): Channels => ({
  get: (id) => {
    const calls = inner.get(id);
    return calls && { ...calls, charge: async () => ({ kind: 'pending', channelRef: null }) };
  },
});

interface Server {
  daemon: Daemon;
  url: string;
}

/** Says everything, and again what was not acknowledged, as a channel does. */
class Teller {
  readonly #messages = new Map<number, Message>();
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 512 });
  #next = 0;
  #sentAgain = 0;
  #accepted = 0;
  #killed = 0;

  constructor(
    private readonly slots: readonly Slot[],
    private readonly servers: Server[],
    private readonly key: string,
    private readonly settings: StormSettings,
  ) {}

  async tellAll(another: () => Promise<Server>): Promise<void> {
    const lane = async (): Promise<void> => {
      for (let at = this.#next++; at < this.slots.length; at = this.#next++) {
        if (this.settings.kill && at === Math.floor(this.slots.length / 2)) {
          void this.#kill(another);
        }
        if (at % 10_000 === 0) this.settings.say(`${at} said`);
        const slot = this.slots[at];
        if (slot !== undefined) await this.#tell(slot, at);
      }
    };
    await Promise.all(Array.from({ length: this.settings.inFlight }, lane));
    this.#agent.destroy();
  }

  /** SIGKILL in the middle of its work; a new one takes its place. */
  async #kill(another: () => Promise<Server>): Promise<void> {
    const [server] = this.servers;
    if (server === undefined) return;
    server.daemon.signal('SIGKILL');
    this.#killed += 1;
    this.settings.say('a server is killed');
    Object.assign(server, await another());
  }

  async #tell(slot: Slot, at: number): Promise<void> {
    for (let tries = 0; ; tries += 1) {
      const server = this.servers[(at + tries) % this.servers.length];
      invariant(server !== undefined, 'there is a server');
      const status = await this.#post(server, this.#message(slot));
      if (slot.kind === 'forged') {
        if (status !== null && status < 300) this.#accepted += 1;
        if (status === 401) return;
      } else {
        if (status === 200) return;
        // Under the time of the sending, as a channel signs what it says again after minutes.
        if (status === 401) this.#messages.delete(slot.message);
      }
      this.#sentAgain += 1;
      if (tries > 600) throw new Error(`${slot.kind} ${slot.order.orderNo}: ${String(status)}`);
      await delay(Math.min(1_000, 50 * 2 ** Math.min(tries, 5)));
    }
  }

  #message(slot: Slot): Message {
    if (slot.kind === 'forged') return forgedMessage(slot, this.key);
    let message = this.#messages.get(slot.message);
    if (message === undefined) {
      message = genuineMessage(slot, this.key);
      this.#messages.set(slot.message, message);
    }
    return message;
  }

  /** Null: no answer. */
  async #post({ url }: Server, { headers, body }: Message): Promise<number | null> {
    return await new Promise((resolve) => {
      const sending = request(
        `${url}/v1/callbacks/swiftpay`,
        { method: 'POST', agent: this.#agent, headers, timeout: 30_000 },
        (response) => {
          response.resume();
          response.on('end', () => resolve(response.statusCode ?? null));
          response.on('error', () => resolve(null));
        },
      );
      sending.on('timeout', () => sending.destroy());
      sending.on('error', () => resolve(null));
      sending.end(body);
    });
  }

  told() {
    const count = (kind: Slot['kind']): number =>
      this.slots.filter((slot) => slot.kind === kind).length;
    return {
      callbacks: this.slots.length,
      genuine: count('genuine'),
      copies: count('copy'),
      forged: count('forged'),
      sent_again: this.#sentAgain,
      forgeries_accepted: this.#accepted,
      killed: this.#killed,
    };
  }
}

async function ledgerPosted(
  { owner }: TestEnvironment,
  captures: number,
  say: (what: string) => void,
): Promise<void> {
  const giveUpMs = performance.now() + 300_000;
  for (;;) {
    const [row] = await selectRows<{ n: number | string }>(
      owner,
      'SELECT COUNT(*) AS n FROM ledger_entry',
    );
    if (Number(row?.n) >= captures || performance.now() > giveUpMs) return;
    say(`${Number(row?.n)} of ${captures} in the ledger`);
    await delay(2_000);
  }
}

async function found({ owner }: TestEnvironment, captures: number) {
  const one = async (sql: string): Promise<string> => {
    const [row] = await selectRows<{ n: string | number | null }>(owner, sql);
    return String(row?.n ?? 0);
  };
  const number = async (sql: string): Promise<number> => Number(await one(sql));
  const succeeded = await number(`SELECT COUNT(*) AS n FROM deduction WHERE status = 'succeeded'`);
  const counts = await selectRows<{ verdict: string; n: string | number }>(
    owner,
    'SELECT verdict, SUM(messages) AS n FROM callback_count GROUP BY verdict ORDER BY verdict',
  );
  return {
    captures,
    forgeries_in_tables:
      (await number(`SELECT COUNT(*) AS n FROM execution_log WHERE body LIKE '%FORGED%'`)) +
      (await number(`SELECT COUNT(*) AS n FROM attempt WHERE channel_ref = 'FORGED'`)) +
      (await number(`SELECT COUNT(*) AS n FROM execution_log WHERE body LIKE '%declined%'`)),
    settled: await number(`SELECT COUNT(*) AS n FROM execution_log WHERE kind = 'settled'`),
    settled_twice: await number(
      `SELECT COUNT(*) AS n FROM (SELECT task_id FROM execution_log WHERE kind = 'settled'
       GROUP BY task_id HAVING COUNT(*) > 1) AS twice`,
    ),
    lost: captures - succeeded,
    outbox_messages: await number(
      `SELECT COUNT(*) AS n FROM outbox WHERE topic = 'ledger.repayment_collected'`,
    ),
    ledger_entries: await number('SELECT COUNT(*) AS n FROM ledger_entry'),
    ledger_minor: await one(
      `SELECT SUM(amount_minor) AS n FROM ledger_posting WHERE credit_account LIKE '%receivable%'`,
    ),
    captured_minor: await one(
      `SELECT SUM(amount_minor) AS n FROM attempt WHERE status = 'succeeded'`,
    ),
    cases: await number('SELECT COUNT(*) AS n FROM review_case'),
    verdicts: Object.fromEntries(counts.map(({ verdict, n }) => [verdict, Number(n)])),
  };
}
