import { Compensator } from '../compensation/compensator.js';
import { Settlement } from '../compensation/settlement.js';
import { poller } from '../compensation/poller.js';
import type { TaskKind } from '../engine/entries.js';
import { taskKinds, type Task } from '../engine/tasks.js';
import { Executor, type RunOutcome } from '../engine/executor.js';
import type { Evidence } from '../engine/flow.js';
import type { Log } from '../engine/ports.js';
import type { Clock } from '../clock.js';
import type { TaskId } from '../ids.js';
import { silentLog } from '../log.js';
import { LiveHealth } from '../routing/live-health.js';
import { LiveRouter, liveRouterDefaults } from '../routing/live-router.js';
import { channelsOf } from './line.js';
import { refundRequestsOf, type RefundRequestParts } from './refund-clerks.js';
import { desksOf, type Desks } from './sim-desks.js';
import { ledgerOf } from './sim-ledger.js';
import { inFlightOf, journalOf, unsettledOf, usageOf } from './store-ports.js';
import type { World } from './world.js';

/**
 * One process of Recoup: the real executor, desk, router, poller and compensator over ports that the
 * world answers. Whatever goes on in it goes on because the world delivers an answer; so a process
 * that is dead simply gets none any more, and one that is paused gets them when it wakes up.
 */
export class SimProcess {
  readonly clock: Clock;
  readonly executor: Executor<Task>;
  readonly desks: Desks;
  readonly refundRequests: RefundRequestParts;
  readonly settlement: Settlement;
  readonly wake: (taskId: TaskId, kind: TaskKind) => Promise<void>;
  readonly compensator: Compensator;
  readonly ledger: ReturnType<typeof ledgerOf>;
  alive = true;
  clockSkewMs = 0;
  #pausedUntilMs = 0;
  #held: (() => void)[] = [];

  constructor(
    readonly name: string,
    readonly world: World,
  ) {
    const log = this.#log();
    const { time } = world;
    this.clock = {
      nowMs: () => time.nowMs + this.clockSkewMs,
      monotonicMs: () => time.nowMs,
      sleep: async (ms) => await this.io(ms, () => undefined),
    };
    const { clock } = this;
    const health = new LiveHealth();
    const usage = async () => await this.io(2, () => usageOf(world));
    const router = new LiveRouter(() => world.terms, health, { usage }, clock, {
      ...liveRouterDefaults,
      zone: world.zone,
    });
    const { locks, wakeUps } = world;
    this.executor = new Executor(
      {
        flow: world.flow,
        journal: journalOf(this),
        locks: locks.of(this),
        channels: channelsOf(this, health),
        router,
        wakeUps: wakeUps.of(this),
        clock,
        log,
      },
      { executorId: name, leaseMarginMs: 1_000, lockWaitMs: world.lockWaitMs },
    );
    this.desks = desksOf(this, router);
    this.refundRequests = refundRequestsOf(this);
    this.settlement = new Settlement(
      unsettledOf(this),
      async (id, evidence) => (await this.run(id, evidence)).outcome,
      { intervalMs: 600_000, concurrency: 4 },
      clock,
      log,
    );
    const resume = async (taskId: TaskId): Promise<RunOutcome> => (await this.run(taskId)).outcome;
    this.wake = poller(resume, wakeUps.of(this), clock, log);
    this.ledger = ledgerOf(this);
    this.compensator = new Compensator(
      inFlightOf(this),
      resume,
      {
        instanceId: name,
        kinds: taskKinds,
        intervalMs: 0,
        ageMs: 180_000,
        concurrency: 4,
      },
      clock,
      log,
    );
  }

  async run(taskId: TaskId, evidence?: Evidence) {
    return await this.executor.run(taskId, evidence);
  }

  get paused(): boolean {
    return this.#pausedUntilMs > this.world.time.nowMs;
  }

  /** An answer from outside, now or when the process goes on; never to a dead one. */
  deliver(act: () => void): void {
    if (!this.alive) return;
    if (this.paused) this.#held.push(act);
    else act();
  }

  /** Reads (or writes) something outside after a while and delivers what came of it. */
  io<T>(ms: number, read: () => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.world.time.after(ms, () => {
        if (!this.alive) return;
        try {
          const value = read();
          this.deliver(() => resolve(value));
        } catch (error) {
          this.deliver(() => reject(error instanceof Error ? error : new Error(String(error))));
        }
      });
    });
  }

  /** SIGKILL. */
  crash(): void {
    if (!this.alive) return;
    this.alive = false;
    this.#held = [];
    this.world.note('process', `${this.name} is killed`, 0);
    this.world.restartLater(this);
  }

  /** SIGSTOP, and SIGCONT after a while. */
  pause(ms: number): void {
    const { time } = this.world;
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, time.nowMs + ms);
    this.world.note('process', `${this.name} stands still for ${ms} ms`, 0);
    time.after(ms, () => this.wakeUp());
  }

  /** @param atOnce faults have stopped: nobody stands still any longer. */
  wakeUp(atOnce = false): void {
    if (atOnce) this.#pausedUntilMs = 0;
    if (!this.alive || this.paused) return;
    const held = this.#held;
    this.#held = [];
    for (const act of held) act();
  }

  /** What the real parts complain of: only what the world did to them is to be expected. */
  #log(): Log {
    const complain = (message: string, fields?: Readonly<Record<string, unknown>>): void => {
      const why = fields?.['why'];
      if (typeof why !== 'string' || why.includes('journal_unavailable')) return;
      this.world.violated('exception', this.name, `${message}: ${why}`);
    };
    return { ...silentLog, warn: complain, error: complain };
  }
}
