/**
 * A clock that jumps from event to event. Between two events every promise that can go on has gone
 * on: `process.nextTick`, queued from a microtask, runs when no microtask is left. So the same events
 * in the same order always give the same run, and no real timer is waited for.
 */
interface Timed {
  readonly atMs: number;
  /** First come, first served among events of one instant. */
  readonly order: number;
  readonly act: () => void;
}

export class VirtualTime {
  readonly #heap: Timed[] = [];
  #order = 0;
  #nowMs: number;

  constructor(startMs: number) {
    this.#nowMs = startMs;
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  get events(): number {
    return this.#order;
  }

  after(ms: number, act: () => void): void {
    this.#order += 1;
    this.#push({ atMs: this.#nowMs + Math.max(0, ms), order: this.#order, act });
  }

  /** Runs until `done` says so, nothing is left or the next event lies beyond `limitMs`. */
  async run(done: () => boolean, limitMs: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const step = (): void => {
        try {
          const [next] = this.#heap;
          if (next === undefined || next.atMs > limitMs || done()) return resolve();
          this.#pop();
          this.#nowMs = next.atMs;
          next.act();
        } catch (error) {
          return reject(error instanceof Error ? error : new Error(String(error)));
        }
        queueMicrotask(again);
      };
      const again = (): void => process.nextTick(step);
      process.nextTick(step);
    });
  }

  #push(timed: Timed): void {
    const heap = this.#heap;
    let at = heap.length;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = heap[above];
      if (parent === undefined || !before(timed, parent)) break;
      heap[at] = parent;
      at = above;
    }
    heap[at] = timed;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      const [one, two] = [heap[left], heap[left + 1]];
      if (one === undefined) break;
      const smaller = two !== undefined && before(two, one) ? left + 1 : left;
      const child = heap[smaller];
      if (child === undefined || !before(child, last)) break;
      heap[at] = child;
      at = smaller;
    }
    heap[at] = last;
  }
}

const before = (a: Timed, b: Timed): boolean =>
  a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
