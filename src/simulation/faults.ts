import { Chance, hashText, mix } from './chance.js';

/** Every way in which a simulated world can go wrong, with its share of the occasions for it. */
const faultShares = {
  // The network between a process and a channel
  request_lost: 0.04,
  request_delayed: 0.05,
  request_not_sent: 0.03,
  reply_lost: 0.05,
  reply_garbled: 0.02,
  server_error_before: 0.02,
  server_error_after: 0.02,
  // The channel, within what its profile promises
  effect_late: 0.05,
  never_decides: 0.02,
  not_found_within_window: 0.3,
  order_forgotten: 0.2,
  close_proves_nothing: 0.2,
  answer_mismatched: 0.01,
  // What a profile promises is broken: then no harm may go unnoticed
  promise_broken: 0.02,
  channel_doubles: 0.01,
  // Callbacks
  callback_lost: 0.15,
  callback_late: 0.15,
  callback_repeated: 0.2,
  callback_mismatched: 0.02,
  callback_contradicts: 0.02,
  // The database
  commit_refused: 0.015,
  commit_unheard: 0.015,
  commit_late: 0.01,
  commit_slow: 0.02,
  read_refused: 0.01,
  // Redis
  lock_granted_alone: 0.02,
  lock_lost: 0.02,
  wake_dropped: 0.1,
  wake_late: 0.1,
  wake_repeated: 0.1,
  // Processes
  crash_before_commit: 0.01,
  crash_after_commit: 0.01,
  crash_before_send: 0.01,
  crash_after_send: 0.01,
  crash_at_reply: 0.01,
  pause_before_commit: 0.01,
  pause_before_send: 0.02,
  pause_at_reply: 0.02,
  // Planned for an hour of the world, not for an occasion
  outage: 0.3,
  redis_flush: 0.5,
  clock_jump: 0.5,
  crash: 0.3,
  pause: 0.3,
  // The way to the books. At the end, as all that is new: what a seed drew before stays as it was
  ledger_queue_away: 0.05,
  ledger_before: 0.05,
  ledger_unheard: 0.1,
  ledger_crash: 0.02,
  // Card systems and account services
  query_unavailable: 0.1,
  // An account service debits what it had said to be dead
  debit_late: 0.5,
} as const satisfies Record<string, number>;

export type FaultKind = keyof typeof faultShares;

export const faultKinds = Object.keys(faultShares) as readonly FaultKind[];

/** One fault that struck: kind, what it struck, and the how-manieth occasion it was. */
export type FaultId = `${FaultKind}/${number}/${number}`;

/**
 * Decides which faults strike. A decision depends on the seed, the kind, the task and the count of
 * such occasions alone, never on what was drawn before: so a fault can be left out (`without`) and
 * the others stay what they were, which is what shrinking a failing run needs.
 */
export class Faults {
  readonly struck: FaultId[] = [];
  readonly tasksHit = new Set<number>();
  /** Faults stop: what the liveness phase is. */
  stopped = false;
  readonly #shares = new Map<FaultKind, number>();
  readonly #occasions = new Map<number, number>();
  readonly #kindIndex = new Map(faultKinds.map((kind, at) => [kind, at]));

  constructor(
    private readonly seed: number,
    private readonly without: ReadonlySet<string>,
  ) {
    // Swarm: each world knows some faults, some of them often. A world that has them all at once
    // ends most deductions before the rarer stories can begin.
    const mood = new Chance(mix(seed, 0xfa017));
    const harshness = mood.pick([0.5, 1, 1, 2, 4]);
    for (const kind of faultKinds) {
      // A world with channels that break their promises proves less of all the rest: not many are so.
      const weight = mood.pick(kind === 'promise_broken' ? [0, 0, 0, 0, 0, 3] : [0, 1, 1, 3]);
      this.#shares.set(kind, Math.min(0.9, faultShares[kind] * weight * harshness));
    }
  }

  /** @param task number of the deduction; 0 when it is about none. */
  strikes(kind: FaultKind, task: number): boolean {
    if (this.stopped) return false;
    const share = this.#shares.get(kind) ?? 0;
    if (share === 0) return false;
    const where = (this.#kindIndex.get(kind) ?? 0) * 65_536 + task;
    const occasion = (this.#occasions.get(where) ?? 0) + 1;
    this.#occasions.set(where, occasion);
    if (mix(mix(this.seed, where), occasion) / 2 ** 32 >= share) return false;
    const id: FaultId = `${kind}/${task}/${occasion}`;
    if (this.without.size > 0 && this.without.has(id)) return false;
    this.struck.push(id);
    if (task > 0) this.tasksHit.add(task);
    return true;
  }

  /** How long, how much: chance of its own for a fault that has struck. */
  extent(): Chance {
    const last = this.struck.at(-1) ?? '';
    return new Chance(mix(this.seed, hashText(last)));
  }
}
