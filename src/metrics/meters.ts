import type { ObservedAnswer } from '../channels/observed.js';
import type { SweepObserver } from '../compensation/compensator.js';
import type { RunObserver } from '../engine/executor.js';
import type { Locks } from '../engine/ports.js';
import type { HttpObserver } from '../http/ports.js';
import type { CommitObserver } from '../store/group-commit.js';
import { counted } from './catalogue.js';
import { Counter, Histogram } from './tally.js';

/**
 * What a process counts: a listener for each room that has something to tell. Rooms declare what they
 * tell and know nothing of metrics; without a listener they tell nobody, and nothing is counted.
 */
export class Meters {
  readonly #runs = new Counter(counted.runs);
  readonly #runSeconds = new Histogram(counted.runSeconds);
  readonly #lockSeconds = new Histogram(counted.lockSeconds);
  readonly #answers = new Counter(counted.answers);
  readonly #callSeconds = new Histogram(counted.callSeconds);
  readonly #callbacks = new Counter(counted.callbacks);
  readonly #commitSeconds = new Histogram(counted.commitSeconds);
  readonly #commitWrites = new Histogram(counted.commitWrites);
  readonly #unavailable = new Counter(counted.unavailable);
  readonly #sweepSeconds = new Histogram(counted.sweepSeconds);
  readonly #swept = new Counter(counted.swept);
  readonly #requests = new Counter(counted.requests);
  readonly #requestSeconds = new Histogram(counted.requestSeconds);
  readonly #refusals = new Counter(counted.refusals);

  readonly run: RunObserver = (kind, outcome, ms) => {
    this.#runs.add(1, kind, outcome);
    this.#runSeconds.observe(ms / 1_000, kind);
  };

  readonly call = ({ channelId, operation, answer, ms }: ObservedAnswer): void => {
    this.#answers.add(1, channelId, operation, answer.kind);
    this.#callSeconds.observe(ms / 1_000, channelId, operation);
  };

  readonly callback = (channelId: string, verdict: string): void => {
    this.#callbacks.add(1, channelId, verdict);
  };

  readonly commits: CommitObserver = {
    transaction: (outcome, writes, ms) => {
      this.#commitSeconds.observe(ms / 1_000, outcome);
      if (outcome === 'committed') this.#commitWrites.observe(writes);
    },
    gaveUp: (writes) => this.#unavailable.add(writes),
  };

  readonly sweep: SweepObserver = (kind, claimed, ms) => {
    this.#sweepSeconds.observe(ms / 1_000, kind);
    this.#swept.add(claimed, kind);
  };

  readonly http: HttpObserver = {
    answered: (method, route, status, ms) => {
      this.#requests.add(1, method, route, String(status));
      this.#requestSeconds.observe(ms / 1_000, route);
    },
    refused: (code) => this.#refusals.add(1, code),
  };

  /** The same locks, each wait timed. */
  timed(locks: Locks): Locks {
    return {
      acquire: async (key, waitMs) => {
        const askedMs = performance.now();
        const lease = await locks.acquire(key, waitMs);
        const outcome = lease === null ? 'busy' : 'granted';
        this.#lockSeconds.observe((performance.now() - askedMs) / 1_000, outcome);
        return lease;
      },
    };
  }

  get all(): readonly (Counter | Histogram)[] {
    // prettier-ignore
    return [
      this.#runs, this.#runSeconds, this.#lockSeconds, this.#answers, this.#callSeconds,
      this.#callbacks, this.#commitSeconds, this.#commitWrites, this.#unavailable,
      this.#sweepSeconds, this.#swept, this.#requests, this.#requestSeconds, this.#refusals,
    ];
  }
}
