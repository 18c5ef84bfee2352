import type { InFlightLog } from '../compensation/sweep.js';
import type { TaskKind } from '../engine/entries.js';
import type { Task } from '../engine/tasks.js';
import type { Append } from '../engine/journal.js';
import type { Order } from '../engine/order.js';
import type { QueryAnswer } from '../engine/reply.js';
import { taskId as asTaskId, type ChannelId, type TaskId } from '../ids.js';
import type { ChannelTerms } from '../routing/terms.js';
import { callBackWith, sendRequest } from './callers.js';
import { sendFlow } from './flow-callers.js';
import { evenMix, type Mix } from './flow-plan.js';
import * as people from './people.js';
import { sqlTime } from '../store/database.js';
import { Chance, hashText, mix } from './chance.js';
import { Faults } from './faults.js';
import { MemoryDatabase, type Stored } from './memory-database.js';
import { givingBack } from './giving-back.js';
import { rememberedFlow } from './remembered-flow.js';
import { SimLocks, SimWakeUps } from './redis-ports.js';
import { SimChannel } from './sim-channel.js';
import { bytesOf } from './sim-words.js';
import { SimBooks } from './sim-ledger.js';
import { SimAccounts, SimCards } from './sim-parties.js';
import { SimProcess } from './sim-process.js';
import { VirtualTime } from './virtual-time.js';
import { silentLog, type Log } from '../log.js';
import { planWorld, worldStartMs, type Happening, type WorldPlan } from './world-plan.js';

export interface WorldOptions {
  readonly seed: number;
  /** How much of each flow; evenly, unless said. */
  readonly mix?: Mix;
  /** Faults that do not strike although it would be their turn: for shrinking. */
  readonly without?: ReadonlySet<string>;
  /** Keep what happens, for a story to be told. */
  readonly told?: boolean;
  /** Hears every command that reaches the database, with what came of it. */
  readonly watch?: (command: StoreCommand) => void;
}

export type StoreCommand =
  | {
      readonly kind: 'append';
      readonly append: Append<Task>;
      /** `committed`, the code of a coded error, or the name of any other. */
      readonly outcome: string;
    }
  | {
      readonly kind: 'claim';
      readonly claim: Parameters<InFlightLog['claimOverdue']>[0];
      readonly claimed: readonly TaskId[];
    };

export interface Happened {
  readonly atMs: number;
  readonly who: string;
  readonly what: string;
  readonly task: number;
}

export interface WorldViolation {
  readonly kind: string;
  readonly about: string;
  readonly detail: string;
}

const sweepMs = 180_000;
/** Sweeps of the compensator for one of the settlement. */
const settlesEvery = 3;
const lastsMs = 4 * 86_400_000;

/** Everything that exists in one simulated world, and the rules by which its parts meet. */
export class World {
  readonly zone = 'UTC';
  readonly flow = rememberedFlow();
  readonly time = new VirtualTime(worldStartMs);
  readonly faults: Faults;
  readonly plan: WorldPlan;
  readonly database: MemoryDatabase;
  readonly books: SimBooks;
  readonly locks: SimLocks;
  readonly wakeUps = new SimWakeUps(this);
  readonly channels = new Map<ChannelId, SimChannel>();
  readonly processes: SimProcess[] = [];
  readonly violations: WorldViolation[] = [];
  readonly story: Happened[] = [];
  /** Callers who still wait for a word. */
  callers = 0;
  digest = 0;
  #outside = 0;
  #tasks = 0;
  #births = 0;
  readonly #chances: Chance[] = [];
  readonly #people: Chance;
  readonly #departures = new Map<string, number>();

  constructor(readonly options: WorldOptions) {
    const { seed, without = new Set(), mix: how = evenMix } = options;
    this.faults = new Faults(seed, without);
    this.#people = new Chance(mix(seed, 0x9e091e));
    this.plan = planWorld(seed, this.faults, how);
    this.database = new MemoryDatabase(this.zone, this.plan.encoded);
    this.books = new SimBooks(this.database);
    this.locks = new SimLocks(this, this.plan.leaseMs);
    for (const character of this.plan.channels) {
      this.channels.set(character.id, new SimChannel(character, this));
    }
    for (const repayment of this.plan.repayments) this.database.register(repayment);
    this.#openParties();
  }

  #openParties(): void {
    const { flows } = this.plan;
    if (flows === null) return;
    for (const { id, balance } of flows.members) {
      if (balance > 0n) this.database.flows.open(id, 'CNY', balance);
    }
    const accounts = new SimAccounts();
    for (const { token, balance } of flows.remote) accounts.balances.set(token, balance);
    const cards = new SimCards(flows.creditsOnce);
    this.channels.set(flows.cards.id, new SimChannel(flows.cards, this, cards));
    this.channels.set(flows.accounts.id, new SimChannel(flows.accounts, this, accounts));
  }

  get terms(): readonly ChannelTerms[] {
    return this.plan.terms;
  }

  get lockWaitMs(): number {
    return this.plan.lockWaitMs;
  }

  get attemptWindowMs(): number {
    return this.plan.attemptWindowMs;
  }

  /** Safety first, with faults; then liveness, without. */
  async live(): Promise<void> {
    for (let slot = 0; slot < this.plan.processes; slot += 1) this.#born(slot);
    for (const request of this.plan.requests) {
      this.callers += 1;
      this.time.after(request.atMs, () => sendRequest(this, request, 0));
    }
    for (const request of this.plan.flows?.requests ?? []) {
      this.callers += 1;
      this.time.after(request.atMs, () => sendFlow(this, request, 0));
    }
    for (const one of this.plan.happenings) {
      // Nothing has settled before the people have done their work.
      if (one.kind === 'decide') this.outside(one.atMs, () => this.#happen(one));
      else this.time.after(one.atMs, () => this.#happen(one));
    }
    this.time.after(this.plan.faultsForMs, () => this.#stopFaults());
    await this.time.run(() => this.#settled(), worldStartMs + lastsMs);
  }

  /** Something under way that no process of ours holds: a request in a wire, a capture to come. */
  outside(ms: number, act: () => void): void {
    this.#outside += 1;
    this.time.after(ms, () => {
      this.#outside -= 1;
      act();
    });
  }

  note(who: string, what: string, task: number): void {
    this.digest = mix(mix(this.digest, hashText(what)), task + (this.time.nowMs % 2 ** 31));
    if (this.options.told === true) this.story.push({ atMs: this.time.nowMs, who, what, task });
  }

  violated(kind: string, about: string, detail: string): void {
    this.note('oracle', `${kind}: ${about} ${detail}`, 0);
    this.violations.push({ kind, about, detail });
  }

  newTaskId(): TaskId {
    this.#tasks += 1;
    const world = this.options.seed.toString(16).padStart(8, '0').slice(-8);
    return asTaskId(`${world}-0000-7000-8000-${this.#tasks.toString(16).padStart(12, '0')}`);
  }

  ordinalOf(taskId: TaskId): number {
    return Number.parseInt(taskId.slice(-8), 16);
  }

  ordinal(orderNo: string): number {
    const taskId = this.database.taskOfOrder(orderNo);
    return taskId === null ? 0 : this.ordinalOf(taskId);
  }

  chanceOf(task: number): Chance {
    const known = this.#chances[task];
    if (known !== undefined) return known;
    const chance = new Chance(mix(this.options.seed, task + 1));
    this.#chances[task] = chance;
    return chance;
  }

  /** A process that would take a message now; null when all are dead or stand still. */
  someProcess(task: number): SimProcess | null {
    const up = this.processes.filter((one) => one.alive && !one.paused);
    const [first, ...rest] = up;
    return first === undefined ? null : this.chanceOf(task).pick([first, ...rest]);
  }

  /** @param carriedOut called when a process has done it; never, when it is killed meanwhile. */
  wake(taskId: TaskId, kind: TaskKind, carriedOut: () => void): void {
    const task = this.ordinalOf(taskId);
    const process = this.someProcess(task);
    if (process === null) return this.time.after(1_000, () => this.wake(taskId, kind, carriedOut));
    void process.wake(taskId, kind).then(carriedOut);
  }

  #relay(process: SimProcess): void {
    // It rejects when the outbox is away: it comes again.
    process.deliver(() => void process.ledger.relay.runOnce().catch(() => undefined));
  }

  /** Messages for the books: a batch for some consumer. */
  consume(ids: readonly string[]): void {
    const process = this.someProcess(0);
    if (process === null) return;
    // It rejects when the outbox is away: the messages are then sent again.
    process.ledger.consumer.handle(ids).catch(() => undefined);
  }

  /** A dead letter is a person's, but no message of ours may be one that means nothing. */
  get ledgerLog(): Log {
    const error = (message: string, fields?: Readonly<Record<string, unknown>>): void => {
      if (fields?.['reason'] === 'malformed' || fields?.['reason'] === 'conflict') {
        this.violated('dead_letter', String(fields['outbox_id']), message);
      }
    };
    return { ...silentLog, error };
  }

  callBack(order: Order, answer: QueryAnswer, tries: number): void {
    callBackWith(this, order, answer, tries);
  }

  restartLater(dead: SimProcess): void {
    const slot = this.processes.indexOf(dead);
    const chance = new Chance(mix(this.options.seed, this.#births + 77));
    this.time.after(chance.spread(500, 60_000), () => this.#born(slot));
  }

  /** Rule 1, seen from the wire: only what is in the log may be sent, and as it is in the log. */
  sends(order: Order, channel: SimChannel): void {
    const taskId = this.database.taskOfOrder(order.orderNo);
    const announced =
      taskId === null
        ? undefined
        : this.database
            .entries(taskId)
            ?.find((one) => 'nature' in one && one.order.orderNo === order.orderNo);
    if (announced === undefined || !('nature' in announced)) {
      return this.violated('unannounced', order.orderNo, `sent to ${channel.id} before its intent`);
    }
    if (bytesOf(announced.order) !== bytesOf(order) || announced.order.channelId !== channel.id) {
      this.violated('order_changed', order.orderNo, `sent to ${channel.id} other than announced`);
    }
  }

  /** Rule 3: a number goes once to a channel that is not idempotent. */
  left(order: Order): void {
    const times = (this.#departures.get(order.orderNo) ?? 0) + 1;
    this.#departures.set(order.orderNo, times);
    const channel = this.channels.get(order.channelId);
    if (times > 1 && channel?.character.nature.idempotent === false) {
      this.violated('resent', order.orderNo, `sent ${times} times to ${channel.id}`);
    }
  }

  committed({ entries, writer, taskId }: Append<Task>): void {
    const task = this.ordinalOf(taskId);
    for (const entry of entries) this.note(writer, entry.kind, task);
    if (!entries.some(({ kind }) => kind === 'settled')) return;
    this.time.after(100, () => {
      const process = this.someProcess(0);
      if (process !== null) this.#relay(process);
    });
  }

  /** Some customers order and never pay. */
  abandons({ orderNo, operation }: Order): boolean {
    if (operation !== undefined || this.plan.flows === null) return false;
    const taskId = this.database.taskOfOrder(orderNo);
    if (taskId === null || !this.database.flows.topUps.has(taskId)) return false;
    return this.chanceOf(this.ordinalOf(taskId)).yes(0.12);
  }

  isOut({ character: { outage } }: SimChannel): boolean {
    const { nowMs } = this.time;
    return !this.faults.stopped && outage !== null && nowMs >= outage.fromMs && nowMs < outage.toMs;
  }

  /** Whether the log says that the channel has shown us this order. */
  knownToUs(orderNo: string): boolean {
    const taskId = this.database.taskOfOrder(orderNo);
    const entries = taskId === null ? null : this.database.entries(taskId);
    const intent = entries?.find((one) => 'nature' in one && one.order.orderNo === orderNo);
    if (intent === undefined || !('nature' in intent)) return false;
    return (entries ?? []).some(
      (one) =>
        one.kind === 'replied' &&
        one.attemptNo === intent.attemptNo &&
        (one.answer.kind === 'pending' || one.answer.kind === 'refused'),
    );
  }

  succeededByUs(orderNo: string): boolean {
    const taskId = this.database.taskOfOrder(orderNo);
    const rows = taskId === null ? [] : (this.database.attempts.get(taskId) ?? []);
    return rows.some((row) => row['order_no'] === orderNo && row['status'] === 'succeeded');
  }

  #born(slot: number): void {
    this.#births += 1;
    const process = new SimProcess(`p${slot + 1}.${this.#births}`, this);
    const chance = new Chance(mix(this.options.seed, this.#births + 1_077));
    this.processes[slot] = process;
    let sweeps = 0;
    // It rejects when it cannot claim: it comes again.
    const settle = (): void =>
      process.deliver(() => void process.settlement.runOnce().catch(() => undefined));
    const sweep = (): void => {
      if (!process.alive) return;
      if (this.#isOverdue()) process.deliver(() => void process.compensator.runOnce());
      sweeps += 1;
      if (sweeps % settlesEvery === 0) settle();
      if (!this.books.settled) this.#relay(process);
      this.time.after(sweepMs, sweep);
    };
    this.time.after(chance.between(1_000, sweepMs), sweep);
  }

  #happen(happening: Happening): void {
    if (this.faults.stopped && happening.kind !== 'decide') return;
    this.note('world', happening.kind, 0);
    switch (happening.kind) {
      case 'decide':
        return people.decide(this, this.#people);
      case 'refund':
        return people.refundSomebody(this, this.#people, this.time.events);
      case 'statement':
        return people.loadStatements(this, this.#people);
      case 'redis_flush':
        this.locks.flush();
        this.wakeUps.flush();
        return;
      case 'ask':
        return people.askAgain(this);
      case 'crash':
        return this.processes[happening.process]?.crash();
      case 'pause':
        return this.processes[happening.process]?.pause(happening.ms);
      case 'clock_jump': {
        const process = this.processes[happening.process];
        if (process !== undefined) process.clockSkewMs = happening.skewMs;
        return;
      }
      default:
        throw new Error('unreachable happening');
    }
  }

  /** What no sweep would find need not be looked for, by four processes for days. */
  #isOverdue(): boolean {
    if (this.options.watch !== undefined) return true;
    const now = sqlTime(this.time.nowMs);
    for (const { wake_at: at } of this.database.inFlight.values()) {
      if (typeof at === 'string' && at <= now) return true;
    }
    return false;
  }

  /** A credit of unknown outcome is the settlement's before it is a person's alone. */
  #awaitsSettlement({ id, status, settle_at: at }: Stored): boolean {
    const looked = this.database.flows.unsettled.hasLookedAt(String(id));
    return status === 'needs_review' && at !== null && !looked;
  }

  #stopFaults(): void {
    this.faults.stopped = true;
    this.note('world', 'faults stop', 0);
    for (const process of this.processes) process.wakeUp(true);
  }

  #settled(): boolean {
    if (this.callers > 0 || this.#outside > 0) return false;
    for (const process of this.processes) if (process.paused) return false;
    const { deductions, refunds, flows } = this.database;
    for (const table of [deductions, refunds, flows.withdrawals, flows.topUps]) {
      for (const row of table.values()) if (row['status'] === 'processing') return false;
    }
    for (const row of flows.topUps.values()) if (this.#awaitsSettlement(row)) return false;
    if (givingBack(this.database).length > 0) return false;
    return this.books.settled;
  }
}
