import { expect } from 'chai';
import { Redis } from 'ioredis';
import { systemClock } from '../../src/clock.js';
import { loadConfig } from '../../src/config.js';
import { newAttempt, type Attempt } from '../../src/engine/attempt.js';
import type { Lease } from '../../src/engine/ports.js';
import { refundFlow } from '../../src/engine/refund.js';
import type { Withdrawal } from '../../src/engine/requests.js';
import { newTaskId, orderNo, type TaskId } from '../../src/ids.js';
import type { Deposit } from '../../src/intake/member.js';
import type { NewRepayment } from '../../src/intake/repayment.js';
import { amountMinor } from '../../src/money.js';
import { silentLog } from '../../src/log.js';
import { RedisLocks } from '../../src/queue/locks.js';
import {
  blockingOptions,
  connectRedis,
  failFastOptions,
  lockOptions,
} from '../../src/queue/redis.js';
import { Consumers } from '../../src/queue/consumers.js';
import { QueuedWakeUps } from '../../src/queue/wake-ups.js';
import { Chance } from '../../src/simulation/chance.js';
import { deductionsAlone, evenMix, type Mix } from '../../src/simulation/flow-plan.js';
import type { Stored } from '../../src/simulation/memory-database.js';
import { LockTable, WakeTable } from '../../src/simulation/redis-ports.js';
import { outcomeOf } from '../../src/simulation/store-ports.js';
import { World, type StoreCommand } from '../../src/simulation/world.js';
import { openDatabase, selectRows, type Database } from '../../src/store/database.js';
import { SqlInFlightLog } from '../../src/store/in-flight.js';
import { MemberStore } from '../../src/store/members.js';
import { RepaymentStore } from '../../src/store/repayments.js';
import { SqlJournal } from '../../src/store/sql-journal.js';
import { patient, patientClock } from '../queue/patience.js';
import { until } from '../sandbox/sandbox-process.js';
import { startEnvironment, type TestEnvironment } from '../support/environment.js';

/** A simulator whose stores were kinder than the real ones would prove nothing. */
describe('the stores in memory and the real ones', () => {
  let environment: TestEnvironment;
  let database: Database;
  let journal: SqlJournal;
  let inFlight: SqlInFlightLog;

  before(async () => {
    environment = await startEnvironment();
    database = openDatabase(environment.config.databaseUrl, 4, silentLog, { bundles: true });
    journal = new SqlJournal(database, 'UTC', systemClock, silentLog);
    inFlight = new SqlInFlightLog(database);
  });
  after(async () => {
    await database.destroy();
    await environment.close();
  });

  /** Everything that reached the database of a world, in order. */
  async function commandsOf(
    seed: number,
    mix: Mix = evenMix,
  ): Promise<{ world: World; commands: StoreCommand[] }> {
    const commands: StoreCommand[] = [];
    const world = new World({ seed, mix, watch: (command) => commands.push(command) });
    await world.live();
    return { world, commands };
  }

  async function perform(command: StoreCommand): Promise<unknown> {
    if (command.kind === 'claim')
      return [...(await inFlight.claimOverdue(command.claim))].toSorted();
    return await outcome(journal.append(command.append));
  }

  /** Tables that held rows in one of the worlds. */
  const compared = new Set<string>();

  const expected = (command: StoreCommand): unknown =>
    command.kind === 'claim' ? [...command.claimed].toSorted() : command.outcome;

  const rows = async (table: string, key: string, ids: readonly string[]): Promise<Stored[]> =>
    await selectRows<Stored>(
      database,
      `SELECT * FROM ${table} WHERE ${key} IN (${ids.map(() => '?').join(',')}) ORDER BY ${key}`,
      ids,
    );

  for (const seed of [3, 14, 159, 265, 846]) {
    it(`answer the commands of world ${seed} alike, and hold the same rows`, async () => {
      const { world, commands } = await commandsOf(seed);
      // What other worlds left waiting is none of this one's sweeps'.
      await environment.owner.raw('DELETE FROM in_flight');
      const store = new RepaymentStore(database);
      await store.register(world.plan.repayments, 0);
      await openMembers(world);
      for (const command of commands) {
        expect(await perform(command), JSON.stringify(about(command))).to.deep.equal(
          expected(command),
        );
      }
      const { database: memory } = world;
      const ids: readonly string[] = [...memory.log.keys()];
      const keys = [...memory.outbox.values()].map((row) => String(row['message_key']));
      const tables = [
        ['deduction', 'id', [...memory.deductions.values()], ids],
        ['refund', 'id', [...memory.refunds.values()], ids],
        ['attempt', 'task_id', [...memory.attempts.values()].flat().map(withCredit(memory)), ids],
        ['review_case', 'task_id', [...memory.cases.values()].flat(), ids],
        ['in_flight', 'task_id', [...memory.inFlight.values()], ids],
        ['withdrawal', 'id', [...memory.flows.withdrawals.values()], ids],
        ['top_up', 'id', [...memory.flows.topUps.values()], ids],
        [
          'member_entry',
          'cause_id',
          [...memory.flows.memberEntries.values()],
          [...causesOf(world)],
        ],
        ['outbox', 'message_key', [...memory.outbox.values()], keys],
      ] as const;
      for (const [table, key, kept, wanted] of tables) {
        if (wanted.length === 0) continue;
        if (kept.length > 0) compared.add(table);
        compare(table, key, await rows(table, key, wanted), kept);
      }
      const sums = await rows('repayment', 'id', [...world.database.repayments.keys()]);
      for (const row of sums) {
        const balance = world.database.repayments.get(String(row['id']));
        expect([row['paid_minor'], row['collecting_minor']].map(String)).to.deep.equal(
          [balance?.paid, balance?.collecting].map(String),
        );
      }
      for (const { id, balance } of memory.flows.members.values()) {
        const [row] = await rows('member_account', 'id', [id]);
        expect(String(row?.['balance_minor'])).to.equal(String(balance));
      }
      for (const id of ids) {
        const kept = world.database.log.get(id as never) ?? [];
        const loaded = (await journal.load(id as never))?.entries ?? [];
        expect(loaded).to.deep.equal(kept.map((row) => row.entry));
      }
    });
  }

  it('have been compared in every table', () => {
    expect([...compared].toSorted()).to.deep.equal([
      'attempt',
      'deduction',
      'in_flight',
      'member_entry',
      'outbox',
      'refund',
      'review_case',
      'top_up',
      'withdrawal',
    ]);
  });

  async function openMembers({ plan }: World): Promise<void> {
    const members = new MemberStore(database);
    for (const { id: memberId, balance } of plan.flows?.members ?? []) {
      if (balance === 0n) continue;
      await members.open(memberId, 'CNY', 0);
      const causeId = `deposit_${memberId}`;
      const deposit = { causeId, memberId, amountMinor: amountMinor(balance), currency: 'CNY' };
      await members.deposit(deposit as Deposit, 0);
    }
  }

  it('refuse what breaks a constraint by the same name', async () => {
    const { world, commands } = await commandsOf(77, deductionsAlone);
    const [first] = commands;
    if (first?.kind !== 'append') throw new Error('a world starts with an append');
    await new RepaymentStore(database).register(world.plan.repayments, 0);
    const fresh = new World({ seed: 77, mix: deductionsAlone });
    const variants = variantsOf(first, world.plan.repayments);
    for (const [name, append] of variants) {
      const real = await outcome(journal.append(append));
      const memory = await outcome((async () => fresh.database.append(append))());
      expect(memory, name).to.equal(real);
    }
    expect(variants.length).to.be.above(5);
  });

  it('refuse what breaks a constraint of withdrawals and top-ups by the same name', async () => {
    const { world, commands } = await commandsOf(78);
    await openMembers(world);
    const fresh = new World({ seed: 78 });
    const { members } = world.database.flows;
    const variants = flowVariantsOf(commands, [...members.values()][0]?.id ?? '');
    const answers: string[] = [];
    for (const [name, append] of variants) {
      const real = await outcome(journal.append(append));
      const memory = await outcome((async () => fresh.database.append(append))());
      expect(memory, name).to.equal(real);
      answers.push(real);
    }
    expect(answers.slice(-4)).to.deep.equal([
      'committed',
      'capture_not_available',
      'committed',
      'committed',
    ]);
    expect(answers).to.include.members([
      'committed',
      'request_repeated',
      'member_unknown',
      'balance_too_low',
      'capture_not_available',
    ]);
  });

  it('grant, extend, release and forget locks alike', async () => {
    const { redisUrl } = loadConfig(process.env);
    // Nothing expires by itself, however slow this machine is: time passes where a deed says so.
    const leaseMs = 60_000;
    let nowMs = 0;
    const clock = { ...systemClock, monotonicMs: () => nowMs };
    const clients = [0, 1].map(() =>
      connectRedis(redisUrl, patient(lockOptions), silentLog, 'test'),
    );
    await until('redis', async () => clients.every(({ status }) => status === 'ready'));
    const admin = new Redis(redisUrl);
    const locks = clients.map((redis) => new RedisLocks(redis, leaseMs, clock, silentLog));
    const table = new LockTable(leaseMs);
    const chance = new Chance(7);
    const held: { lease: Lease; token: number; key: string }[] = [];
    const trail: string[] = [];
    for (let n = 0; n < 600; n += 1) {
      const key = `fidelity:${chance.between(1, 3)}`;
      const deed = chance.pick(['acquire', 'acquire', 'extend', 'release', 'flush', 'expire']);
      trail.push(`${deed} ${key}`);
      const one = held[chance.between(0, Math.max(0, held.length - 1))];
      if (deed === 'acquire') {
        const lease = await locks[chance.between(0, 1)]!.acquire(key, 0);
        const token = table.acquire(key, nowMs);
        expect(lease !== null, trail.join('; ')).to.equal(token !== null);
        if (lease !== null && token !== null) held.push({ lease, token, key });
      } else if (deed === 'extend' && one !== undefined) {
        await one.lease.extend();
        const extended = table.extend(one.key, one.token, nowMs);
        expect(one.lease.remainingMs() > 0, trail.join('; ')).to.equal(extended);
        if (!extended) held.splice(held.indexOf(one), 1);
      } else if (deed === 'release' && one !== undefined) {
        await one.lease.release();
        table.release(one.key, one.token);
        held.splice(held.indexOf(one), 1);
      } else if (deed === 'flush' && chance.yes(0.3)) {
        await admin.flushdb();
        table.flush();
      } else if (deed === 'expire' && chance.yes(0.3)) {
        nowMs += leaseMs;
        const kept = await admin.keys('recoup:lock:fidelity:*');
        for (const one of kept) await admin.pexpire(one, 1);
        await until(
          'they expire',
          async () => kept.length === 0 || (await admin.exists(kept)) === 0,
        );
      }
    }
    for (const client of [...clients, admin]) client.disconnect();
  });

  it('queue, carry out, keep and forget wake-ups alike', async () => {
    const queue = await openQueue(loadConfig(process.env).redisUrl);
    const table = new WakeTable();
    const chance = new Chance(11);
    const tasks = [newTaskId(), newTaskId(), newTaskId()];
    const expected: TaskId[] = [];
    const underWay: { job: Job; carriedOut: () => void }[] = [];
    const trail: string[] = [];
    const nowMs = Date.now();
    for (let n = 0; n < 150; n += 1) {
      const deed = chance.pick([
        'schedule',
        'schedule',
        'schedule',
        'end',
        'end',
        'flush',
        'later',
      ]);
      const [taskId] = [tasks[chance.between(0, tasks.length - 1)]!];
      if (deed === 'end' || underWay.length >= 6) {
        const [one] = underWay.splice(chance.between(0, Math.max(0, underWay.length - 1)), 1);
        await one?.job.end();
        one?.carriedOut();
        trail.push('end');
      } else if (deed === 'flush') {
        if (!chance.yes(0.3)) continue;
        await queue.flush();
        table.flush();
        trail.push('flush');
      } else {
        // Few names, so that they meet while they are taken. What is due later is not due at all here.
        const atMs = deed === 'later' ? nowMs + 3_600_000 : nowMs - chance.between(1, 2);
        const name = `${taskId}-${atMs}`;
        const queued = table.add(taskId, atMs);
        await queue.wakeUps.schedule(taskId, atMs, 'deduction');
        trail.push(
          `${deed} ${tasks.indexOf(taskId)} ${nowMs - atMs} ${queued === null ? 'taken' : 'queued'}`,
        );
        if (deed === 'schedule' && queued !== null) {
          expected.push(taskId);
          const job = await queue.begun(expected.length, name);
          underWay.push({ job, carriedOut: queued.carriedOut });
        }
      }
      expect(queue.delivered, trail.join('; ')).to.deep.equal(expected);
    }
    // What was swallowed would have come by now, before the last one.
    for (const { job } of underWay) await job.end();
    const last = newTaskId();
    await queue.wakeUps.schedule(last, nowMs, 'deduction');
    await (await queue.begun(expected.length + 1, `${last}-${nowMs}`)).end();
    expect(queue.delivered).to.deep.equal([...expected, last]);
    expect(trail.filter((one) => one.endsWith('taken')).length).to.be.above(10);
    await queue.close();
  });
});

interface Job {
  /** Resolves when the queue has forgotten it; at once where a flush has made it do so. */
  readonly end: () => Promise<void>;
}

/** The real queue, with a pool whose work ends when it is told to. */
async function openQueue(redisUrl: string) {
  const client = connectRedis(redisUrl, patient(failFastOptions), silentLog, 'test');
  const blocking = connectRedis(redisUrl, blockingOptions, silentLog, 'test');
  const admin = new Redis(redisUrl);
  await until('redis', async () => client.status === 'ready' && blocking.status === 'ready');
  await admin.flushdb();
  const wakeUps = new QueuedWakeUps(client, ['deduction'], patientClock, silentLog);
  const delivered: TaskId[] = [];
  const ends: (() => void)[] = [];
  let flushes = 0;
  const wake = async (taskId: TaskId): Promise<void> => {
    const ended = new Promise<void>((resolve) => ends.push(resolve));
    delivered.push(taskId);
    await ended;
  };
  const settings = { consumers: 8, waitingMax: 100, helpersMax: 0 };
  const worker = new Consumers(
    blocking,
    ['deduction'],
    settings,
    wakeUps,
    wake,
    systemClock,
    silentLog,
  );
  return {
    wakeUps,
    delivered,
    flush: async () => {
      flushes += 1;
      await admin.flushdb();
    },
    begun: async (count: number, name: string): Promise<Job> => {
      await until(`wake-up ${count}`, async () => delivered.length >= count);
      const flushesBefore = flushes;
      const end = async (): Promise<void> => {
        ends[count - 1]?.();
        if (flushes > flushesBefore) return;
        await until(
          'forgotten',
          async () => (await admin.exists(`bull:recoup-wake-deduction:${name}`)) === 0,
        );
      };
      return { end };
    },
    close: async () => {
      await worker.close();
      await wakeUps.close();
      for (const redis of [client, blocking, admin]) redis.disconnect();
    },
  };
}

/** What the tables say of a capture, beside its attempt. */
const withCredit =
  ({ captures }: World['database']) =>
  (row: Stored): Stored => {
    const { credited = 0n, refund = 0n } =
      captures.get(`${row['task_id']} ${row['attempt_no']}`) ?? {};
    return { ...row, credited_minor: credited.toString(), refund_minor: refund.toString() };
  };

async function outcome(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return 'committed';
  } catch (error) {
    return outcomeOf(error);
  }
}

const about = (command: StoreCommand): unknown =>
  command.kind === 'claim'
    ? command.claim
    : [command.append.taskId, command.append.afterSeq, command.append.entries.map((e) => e.kind)];

/** Column by column, for the columns that the projections write. */
function compare(
  table: string,
  key: string,
  real: readonly Stored[],
  memory: readonly Stored[],
): void {
  expect(real.length, table).to.equal(memory.length);
  const sorted = (all: readonly Stored[]): readonly Stored[] =>
    all.toSorted((a, b) => (nameOf(a, key) < nameOf(b, key) ? -1 : 1));
  const theirs = sorted(real);
  sorted(memory).forEach((row, at) => {
    for (const [column, value] of Object.entries(row)) {
      expect(plain(theirs[at]?.[column]), `${table}.${column}`).to.equal(plain(value));
    }
  });
}

const nameOf = (row: Stored, key: string): string =>
  `${row[key]} ${row['attempt_no'] ?? row['case_no'] ?? row['topic'] ?? row['kind'] ?? ''}`;

const causesOf = ({ database }: World): Set<string> =>
  new Set([...database.flows.memberEntries.values()].map((row) => String(row['cause_id'])));

function plain(value: unknown): string {
  if (!(value instanceof Date)) return String(value);
  const text = value.toISOString().replace('T', ' ').replace('Z', '');
  return text.endsWith(' 00:00:00.000') ? text.slice(0, 10) : text;
}

type Variant = readonly [name: string, append: Extract<StoreCommand, { kind: 'append' }>['append']];

/** The first append of a world, and what may not follow it. */
function variantsOf(
  first: Extract<StoreCommand, { kind: 'append' }>,
  repayments: readonly NewRepayment[],
): Variant[] {
  const { append } = first;
  const { state } = append;
  if (state.kind !== 'deduction') throw new Error('a world starts with a deduction');
  const other = (n: number) => append.taskId.replace(/.{4}$/, `f00${n}`) as typeof append.taskId;
  const changed = (n: number, fields: object): Variant[1] => {
    const id = other(n);
    const deduction = { ...state.deduction, id, ...fields };
    const entries = append.entries
      .filter(({ kind }) => kind === 'accepted' || kind === 'routed')
      .map((entry) => (entry.kind === 'accepted' ? { ...entry, deduction } : entry));
    const begun = { ...state, taskId: id, deduction, attempts: [], openCall: null, seq: 2 };
    return { ...append, taskId: id, entries, state: begun };
  };
  const key = state.deduction.requestKey;
  const free = repayments.at(-1)!;
  const elsewhere = { repaymentId: free.id, amountMinor: 1n };
  return [
    ['the first', append],
    ['the same again, by its writer', append],
    ['the same place, by another', { ...append, writer: 'another.1' }],
    ['a second live attempt', secondAttempt(append)],
    ['a second live deduction', changed(1, { requestKey: 'k1' })],
    ['the same request key', changed(2, { ...elsewhere, requestKey: key })],
    ['an unknown repayment', changed(3, { repaymentId: 'rp_nowhere', requestKey: 'k3' })],
    ['more than is due', changed(4, { ...elsewhere, amountMinor: 10n ** 9n, requestKey: 'k4' })],
    [
      'all that is due elsewhere',
      changed(5, { ...elsewhere, amountMinor: free.dueMinor, requestKey: 'k5' }),
    ],
    ['and once more there', changed(6, { ...elsewhere, requestKey: 'k6' })],
  ];
}

type AppendCommand = Extract<StoreCommand, { kind: 'append' }>;

/** First appends of withdrawals and top-ups, and what the tables refuse of them. */
function flowVariantsOf(commands: readonly StoreCommand[], member: string): Variant[] {
  const firstOf = (kind: 'withdrawal' | 'top_up'): Variant[1] => {
    const found = commands.find(
      (one): one is AppendCommand =>
        one.kind === 'append' && one.append.kind === kind && one.append.afterSeq === 0,
    );
    if (found === undefined) throw new Error(`no ${kind}`);
    return found.append;
  };
  const other = (append: Variant[1], n: number) =>
    append.taskId.replace(/.{4}$/, `f10${n}`) as typeof append.taskId;
  const withdrawing = (n: number, fields: object): Variant[1] => {
    const append = firstOf('withdrawal');
    const [first] = append.entries;
    if (append.state.kind !== 'withdrawal' || first?.kind !== 'withdrawal_accepted') {
      throw new Error('not a withdrawal');
    }
    const taskId = other(append, n);
    const local = { memberId: member, funding: null, amountMinor: 1n };
    const withdrawal = {
      ...append.state.withdrawal,
      id: taskId,
      ...local,
      ...fields,
    } as Withdrawal;
    const state = { ...append.state, taskId, withdrawal, attempts: [], openCall: null, seq: 1 };
    return { ...append, taskId, entries: [{ ...first, withdrawal }], state };
  };
  const failed = (append: Variant[1], atMs: number, writer: string): Variant[1] => ({
    ...append,
    afterSeq: 1,
    entries: [{ kind: 'failed', atMs, code: 'x', detail: 'x' }],
    before: append.state,
    state: {
      ...append.state,
      seq: 2,
      end: { kind: 'failed', atMs, code: 'x', detail: 'x' },
    },
    writer,
  });
  const taken = withdrawing(1, { requestKey: 'w1' });
  const back = failed(taken, 5, 'one.1');
  const topUp = firstOf('top_up');
  return [
    ['one of a balance', taken],
    ['the same request key', withdrawing(2, { requestKey: 'w1' })],
    ['a member that is not there', withdrawing(3, { requestKey: 'w3', memberId: 'mb_nowhere' })],
    ['more than there is', withdrawing(4, { requestKey: 'w4', amountMinor: 10n ** 9n })],
    ['given back', back],
    ['given back at another place', { ...back, afterSeq: 2, writer: 'two.2' }],
    ['a top-up', topUp],
    ['the same top-up again', secondTopUp(topUp, other(topUp, 6))],
    ['paid, credited and given back', bothWays(topUp, other(topUp, 7))],
    ...givenBackTwice(topUp, other(topUp, 8), failed),
  ];
}

/** A payment that was taken twice, and refunds of it. */
function givenBackTwice(
  append: Variant[1],
  taskId: Variant[1]['taskId'],
  failed: (append: Variant[1], atMs: number, writer: string) => Variant[1],
): Variant[] {
  const paid = withLegs(append, taskId, ['charge'], { captures: 2 });
  const [order] = paid.state.attempts.map((one) => one.order);
  if (order === undefined) throw new Error('nothing was paid');
  const refunding = (n: number): Variant[1] => {
    const id = taskId.replace(/.{4}$/, `f20${n}`) as TaskId;
    const { channelId, orderNo: captureOrderNo, currency, account, amountMinor: all } = order;
    const { nature } = paid.state.attempts[0]!;
    const what = { topUpId: taskId, attemptNo: 1, captureNo: 2, captureOrderNo, channelRef: 'ref' };
    const where = { channelId, currency, account, amountMinor: all, nature, orderTtlMs: 1_000 };
    const people = { reason: 'twice', requestedBy: 'ann', approvedBy: 'ben', requestKey: id };
    const refund = { id, ...what, ...where, ...people };
    const entry = { kind: 'top_up_refund_accepted', atMs: 1, refund } as const;
    const state = refundFlow.evolve(null, entry);
    const first = { taskId: id, kind: 'refund', afterSeq: 0, before: null, wakeAtMs: 1 } as const;
    return { ...first, entries: [entry], state, writer: `r${n}.1` };
  };
  return [
    ['paid twice', paid],
    ['a refund of the second', refunding(1)],
    ['another refund of it', refunding(2)],
    ['the first one fails', failed(refunding(1), 5, 'r1.2')],
    ['one more refund of it', refunding(3)],
  ];
}

function secondTopUp(append: Variant[1], taskId: Variant[1]['taskId']): Variant[1] {
  const [first] = append.entries;
  if (append.state.kind !== 'top_up' || first?.kind !== 'top_up_accepted') throw new Error('no');
  const topUp = { ...append.state.topUp, id: taskId };
  const state = { ...append.state, taskId, topUp, attempts: [], openCall: null, seq: 1 };
  return { ...append, taskId, entries: [{ ...first, topUp }], state };
}

/** A flow gone wrong: the payment is used by a credit that may stand, and by a refund. */
const bothWays = (append: Variant[1], taskId: Variant[1]['taskId']): Variant[1] =>
  withLegs(append, taskId, ['charge', 'credit', 'refund']);

/** A top-up whose payment was made, with these orders in its first append. */
function withLegs(
  append: Variant[1],
  taskId: Variant[1]['taskId'],
  operations: readonly ('charge' | 'credit' | 'refund')[],
  payment: Partial<Attempt> = {},
): Variant[1] {
  const second = secondTopUp(append, taskId);
  const [intent] = append.entries.filter((one) => 'nature' in one);
  if (second.state.kind !== 'top_up' || intent === undefined || !('nature' in intent)) {
    throw new Error('a top-up starts with a pre-recharge');
  }
  const topUp = { ...second.state.topUp, requestKey: operations.join() };
  const legs = operations.map((operation, at) => {
    const { operation: _of, ...order } = intent.order;
    const no = at + 1;
    const numbered = { ...order, orderNo: orderNo(taskId, no) };
    const placed = operation === 'charge' ? numbered : { ...numbered, operation };
    const { nature } = intent;
    const attempt = newAttempt({ ...intent, attemptNo: no, order: placed, nature });
    if (operation === 'credit') return attempt;
    return { ...attempt, ...captured, ...(operation === 'charge' && payment) };
  });
  const intents = legs.map(({ no, order, nature }) => ({
    kind: 'intended' as const,
    atMs: 1,
    attemptNo: no,
    order,
    nature,
  }));
  const [first] = second.entries;
  const accepted = { ...first, topUp } as (typeof second.entries)[number];
  const paid = { no: 1, atMs: 1 };
  const state = { ...second.state, topUp, attempts: legs, paid };
  return { ...second, entries: [accepted, ...intents], state };
}

const captured = { status: 'succeeded', channelRef: 'ref', endedAtMs: 1 } as const;

function secondAttempt(append: Variant[1]): Variant[1] {
  const [one] = append.state.attempts;
  const intent = append.entries.find(({ kind }) => kind === 'charge_intended');
  if (one === undefined || intent?.kind !== 'charge_intended') throw new Error('no attempt');
  const order = { ...one.order, orderNo: orderNo(append.taskId, 2) };
  return {
    ...append,
    afterSeq: append.entries.length,
    entries: [{ ...intent, attemptNo: 2, order }],
    state: { ...append.state, attempts: [one, { ...one, no: 2, order }] },
    writer: 'another.2',
  };
}
