import { invariant } from '../assert.js';
import type { Clock } from '../clock.js';
import type { ChannelId, TaskId } from '../ids.js';
import { isPlacing, type Entry, type Placing, type TaskKind, type Via } from './entries.js';
import { fold, type Evidence, type Flow, type Step, type TaskState } from './flow.js';
import { StaleWriter, type Journal } from './journal.js';
import type { Order } from './order.js';
import type { ChannelCalls, Channels, Lease, Locks, Log, Router, WakeUps } from './ports.js';
import type { Answer } from './reply.js';

/** What a run left behind. None of these is an error: the task goes on elsewhere or later. */
export type RunOutcome =
  | 'ended'
  | 'review'
  | 'waiting'
  /** Another executor holds the record's lock. */
  | 'busy'
  /** Another executor has written to the log: this one stopped. */
  | 'overtaken'
  /** The lease ran short of what the next call may take. */
  | 'lease_lost'
  | 'no_such_task';

export interface RunResult<S> {
  readonly outcome: RunOutcome;
  /**
   * What the log held when this run last read or wrote it; null where it did neither. What a run that
   * was overtaken had come to think besides is nobody's business.
   */
  readonly state: S | null;
}

/** Told how each run ended; must not throw. `threw`: the database was away, or a bug. */
export type RunObserver = (kind: TaskKind, outcome: RunOutcome | 'threw', ms: number) => void;

export interface ExecutorSettings {
  /** Names this process in the log. */
  readonly executorId: string;
  /** Lease left beyond the longest a call may take before the call is made, ms. */
  readonly leaseMarginMs: number;
  /** How long a wake-up waits for the record's lock, ms. */
  readonly lockWaitMs: number;
}

export interface ExecutorParts<S extends TaskState> {
  readonly flow: Flow<S>;
  readonly journal: Journal<S>;
  readonly locks: Locks;
  readonly channels: Channels;
  readonly router: Router;
  readonly wakeUps: WakeUps;
  readonly clock: Clock;
  readonly log: Log;
  readonly observer?: RunObserver;
}

/** The calls that a step makes; the other ways of hearing come from outside. */
type CallVia = Placing | Extract<Via, 'query' | 'close'>;

/** No path of a flow is this long between two waits; more is a flow that goes round in circles. */
const stepsMax = 100;

/**
 * The only code that performs steps. It folds a task's log, asks the flow what comes next, does it
 * and appends what came of it, until there is nothing to do now. It knows no payment rule.
 */
export class Executor<S extends TaskState> {
  #runs = 0;

  constructor(
    private readonly parts: ExecutorParts<S>,
    private readonly settings: ExecutorSettings,
  ) {}

  /**
   * Starts a new task from its first entries. `accepted` settles at the first commit: from then on
   * the task lives, whatever happens to this process.
   *
   * @throws (both promises) what `Journal.append` throws for a first append.
   */
  start(entries: readonly [Entry, ...Entry[]]): {
    accepted: Promise<void>;
    finished: Promise<RunResult<S>>;
  } {
    let accept!: () => void;
    let refuse!: (reason: unknown) => void;
    let isAccepted = false;
    const accepted = new Promise<void>((resolve, reject) => {
      accept = () => {
        isAccepted = true;
        resolve();
      };
      refuse = reject;
    });
    const state = fold(this.parts.flow, entries);
    invariant(state !== null, 'a task starts with an entry');
    const finished = this.#underLock(state, (lease) => {
      const run = this.#newRun(lease, state, 0, entries);
      run.onFirstCommit = accept;
      return this.#advance(run);
    });
    // Whoever awaits only one of the two must not make the other an unhandled rejection.
    // A run that ends before its first commit (the lock was held, the lease ran out) wrote nothing.
    finished.then(() => (isAccepted ? undefined : refuse(new LockBusy())), refuse);
    accepted.catch(() => undefined);
    return { accepted, finished };
  }

  /**
   * Takes a task as far as it goes now, from its last logged entry. Every wake-up does this.
   * Repeating it, or running it in several processes at once, costs calls and never money.
   *
   * @throws RecoupError `journal_unavailable`; the compensator will come again.
   */
  async run(taskId: TaskId, evidence?: Evidence): Promise<RunResult<S>> {
    const { journal, flow, clock } = this.parts;
    const glance = fold(flow, (await journal.load(taskId))?.entries ?? []);
    if (glance === null) return { outcome: 'no_such_task', state: null };
    return await this.#underLock(glance, async (lease) => {
      // Read on: it may have moved while we waited for the lock.
      let state = glance;
      for (const entry of await journal.loadAfter(taskId, glance.seq)) {
        state = flow.evolve(state, entry);
      }
      const now = clock.nowMs();
      const first = evidence === undefined ? [] : flow.receive(state, evidence, now);
      const run = this.#newRun(lease, state, state.seq, []);
      for (const entry of first) this.#hold(run, entry);
      if (run.state.openCall !== null) {
        const { attemptNo } = run.state.openCall;
        // Like all that is held it is committed before anything is asked or sent: there the old holder collides.
        this.#hold(run, { kind: 'taken_over', atMs: now, attemptNo, by: run.writer });
      }
      return await this.#advance(run);
    });
  }

  async #underLock(state: S, work: (lease: Lease) => Promise<RunResult<S>>): Promise<RunResult<S>> {
    const { observer, clock, locks, flow } = this.parts;
    const startedMs = clock.monotonicMs();
    let outcome: RunOutcome | 'threw' = 'threw';
    let lease: Lease | null = null;
    try {
      lease = await locks.acquire(flow.lockKey(state), this.settings.lockWaitMs);
      const result = lease === null ? ({ outcome: 'busy', state } as const) : await work(lease);
      ({ outcome } = result);
      return result;
    } finally {
      // Not waited for: it would be a tenth of what a lone deduction takes. `Locks` wait when they close.
      void lease?.release();
      observer?.(state.kind, outcome, clock.monotonicMs() - startedMs);
    }
  }

  async #advance(run: Run<S>): Promise<RunResult<S>> {
    try {
      for (let steps = 0; steps < stepsMax; steps += 1) {
        const step = this.parts.flow.next(run.state, this.parts.clock.nowMs());
        const outcome = await this.#perform(run, step);
        if (outcome !== null) return { outcome, state: run.durable };
      }
    } catch (error) {
      await this.#saveAnswers(run).catch(() => undefined);
      throw error;
    }
    throw new Error(`task ${run.state.taskId} made ${stepsMax} steps without coming to a wait`);
  }

  /** Null: go on with the next step. */
  async #perform(run: Run<S>, step: Step): Promise<RunOutcome | null> {
    const { clock, router, wakeUps } = this.parts;
    switch (step.kind) {
      case 'record':
        for (const entry of step.entries) this.#hold(run, entry);
        return null;
      case 'route': {
        const route = await router.plan(step.request);
        this.#hold(run, { kind: 'routed', atMs: clock.nowMs(), route });
        return null;
      }
      case 'close':
        return await this.#call(run, step, 'close', (channel) => channel.close?.(step.order));
      case 'query':
        return await this.#call(run, step, 'query', (channel) => channel.query(step.order));
      case 'wait':
        if (!(await this.#commit(run, step.untilMs))) return 'overtaken';
        await wakeUps.schedule(run.state.taskId, step.untilMs, run.state.kind);
        return 'waiting';
      case 'stop':
        if (!(await this.#commit(run, null))) return 'overtaken';
        return step.reason;
      default:
        return await this.#call(run, step, step.kind, (one) => one[step.kind]?.(step.order));
    }
  }

  /** Intent, commit, lease, call, answer: the one order in which anything outside is touched. */
  async #call(
    run: Run<S>,
    step: { intent?: Entry; attemptNo: number; order: Order },
    via: CallVia,
    send: (channel: ChannelCalls) => Promise<Answer> | undefined,
  ): Promise<RunOutcome | null> {
    const { channels, clock } = this.parts;
    const channel = channels.get(step.order.channelId);
    const callMs = channel?.timeoutsMs[isPlacing(via) ? 'charge' : via] ?? 0;
    if (!(await this.#leaseCovers(run, callMs))) return await this.#leaseLost(run);
    if (step.intent !== undefined) this.#hold(run, step.intent);
    if (!(await this.#commit(run, clock.nowMs() + callMs))) return 'overtaken';
    // The commit took its time: only what the lease still covers may be sent (rule 7).
    if (!(await this.#leaseCovers(run, callMs))) {
      // For an order we know it, and say so: whoever goes on need not ask about it.
      if (isPlacing(via)) this.#holdReply(run, step.attemptNo, via, withheld, clock.nowMs());
      return await this.#leaseLost(run);
    }
    const sentAtMs = clock.nowMs();
    const answer =
      channel === undefined
        ? notConfigured(step.order.channelId, via)
        : ((await send(channel)) ?? cannot(via));
    this.#holdReply(run, step.attemptNo, via, answer, sentAtMs);
    return null;
  }

  #holdReply(run: Run<S>, attemptNo: number, via: Via, answer: Answer, sentAtMs: number): void {
    const atMs = this.parts.clock.nowMs();
    this.#hold(run, { kind: 'replied', atMs, attemptNo, via, answer, sentAtMs });
  }

  async #leaseLost(run: Run<S>): Promise<RunOutcome> {
    this.parts.log.warn('the lease ran short of the next call', { task_id: run.state.taskId });
    return (await this.#saveAnswers(run)) ? 'lease_lost' : 'overtaken';
  }

  /**
   * A run that must stop early still writes down what it has heard: the fence makes that safe with or
   * without the lock. A task that was never accepted stays so.
   */
  async #saveAnswers(run: Run<S>): Promise<boolean> {
    return run.committedSeq === 0 || (await this.#commit(run, this.parts.clock.nowMs()));
  }

  async #leaseCovers(run: Run<S>, callMs: number): Promise<boolean> {
    const needed = callMs + this.settings.leaseMarginMs;
    if (run.lease.remainingMs() < needed) await run.lease.extend();
    return run.lease.remainingMs() >= needed;
  }

  /** Holds an entry until the next commit; the state moves at once. */
  #hold(run: Run<S>, entry: Entry): void {
    run.state = this.parts.flow.evolve(run.state, entry);
    run.held.push(entry);
  }

  /** Writes what is held. False: the log has moved on without us. */
  async #commit(run: Run<S>, wakeAtMs: number | null): Promise<boolean> {
    if (run.held.length === 0) return true;
    const entries = run.held;
    run.held = [];
    try {
      await this.parts.journal.append({
        taskId: run.state.taskId,
        kind: run.state.kind,
        afterSeq: run.committedSeq,
        entries,
        before: run.durable,
        state: run.state,
        wakeAtMs,
        writer: run.writer,
      });
    } catch (error) {
      if (!(error instanceof StaleWriter)) throw error;
      this.parts.log.info('overtaken by another executor', {
        task_id: run.state.taskId,
        after_seq: run.committedSeq,
        writer: run.writer,
      });
      return false;
    }
    run.committedSeq += entries.length;
    run.durable = run.state;
    run.onFirstCommit?.();
    run.onFirstCommit = undefined;
    return true;
  }

  #newRun(lease: Lease, state: S, committedSeq: number, held: readonly Entry[]): Run<S> {
    this.#runs += 1;
    const writer = `${this.settings.executorId}.${this.#runs}`;
    const durable = committedSeq === 0 ? null : state;
    const first = { state, durable, committedSeq, held: [...held] };
    return { onFirstCommit: undefined, lease, writer, ...first };
  }
}

/** A new task's record is in use by somebody else's run. */
export class LockBusy extends Error {
  override readonly name = 'LockBusy';
}

interface Run<S> {
  readonly lease: Lease;
  readonly writer: string;
  state: S;
  /** The state at the last entry that is committed; null before the first. */
  durable: S | null;
  /** The seq of the last entry that is committed. */
  committedSeq: number;
  held: Entry[];
  onFirstCommit: (() => void) | undefined;
}

const notSent: Answer = { kind: 'not_executed', proof: 'not_sent' };
const withheld: Answer = { ...notSent, withheld: true };

function notConfigured(channelId: ChannelId, via: Via): Answer {
  // Nothing was sent: for an order that is proof, for a question it is no answer.
  if (isPlacing(via)) return notSent;
  return { kind: 'unknown', why: 'not_offered', detail: `channel ${channelId} is not configured` };
}

const cannot = (via: Via): Answer =>
  isPlacing(via)
    ? notSent
    : { kind: 'unknown', why: 'not_offered', detail: `the channel offers no ${via}` };
