/** Definite outcomes seen in a window, and how many of them were successes. */
export interface Tally {
  readonly successes: number;
  readonly outcomes: number;
}

export interface WindowSpec {
  readonly bucketMs: number;
  readonly buckets: number;
}

/** Ten minutes: long enough to count a small bank, short enough to forgive an outage soon. */
export const healthWindowSpec: WindowSpec = { bucketMs: 10_000, buckets: 60 };

/**
 * Counts outcomes over the last `buckets × bucketMs`, in fixed memory (480 bytes for ten minutes).
 * It forgets a bucket at a time, so what it holds is at most one bucket younger than the full span.
 */
export class SlidingWindow {
  readonly #spec: WindowSpec;
  readonly #successes: Uint32Array;
  readonly #outcomes: Uint32Array;
  /** The newest bucket, counted from the epoch. */
  #head = Number.NEGATIVE_INFINITY;
  #successesSum = 0;
  #outcomesSum = 0;

  constructor(spec: WindowSpec = healthWindowSpec) {
    this.#spec = spec;
    this.#successes = new Uint32Array(spec.buckets);
    this.#outcomes = new Uint32Array(spec.buckets);
  }

  /** An outcome a little older than the newest goes where it belongs, so a log can be replayed. */
  record(succeeded: boolean, atMs: number): void {
    const bucket = Math.floor(atMs / this.#spec.bucketMs);
    // Older than all we hold: the clock was set back, and what we hold would never age.
    if (bucket <= this.#head - this.#spec.buckets) this.clear();
    this.#advance(bucket);
    const slot = bucket % this.#spec.buckets;
    this.#outcomes[slot] = (this.#outcomes[slot] ?? 0) + 1;
    this.#outcomesSum += 1;
    if (!succeeded) return;
    this.#successes[slot] = (this.#successes[slot] ?? 0) + 1;
    this.#successesSum += 1;
  }

  /** A value of its own: later records do not change it. */
  tally(nowMs: number): Tally {
    this.#advance(Math.floor(nowMs / this.#spec.bucketMs));
    return { successes: this.#successesSum, outcomes: this.#outcomesSum };
  }

  clear(): void {
    this.#successes.fill(0);
    this.#outcomes.fill(0);
    this.#successesSum = 0;
    this.#outcomesSum = 0;
    this.#head = Number.NEGATIVE_INFINITY;
  }

  #advance(bucket: number): void {
    if (bucket <= this.#head) return;
    const { buckets } = this.#spec;
    if (bucket - this.#head >= buckets) this.clear();
    else for (let b = this.#head + 1; b <= bucket; b += 1) this.#forget(b % buckets);
    this.#head = bucket;
  }

  #forget(slot: number): void {
    this.#successesSum -= this.#successes[slot] ?? 0;
    this.#outcomesSum -= this.#outcomes[slot] ?? 0;
    this.#successes[slot] = 0;
    this.#outcomes[slot] = 0;
  }
}
