/**
 * A bound on calls under way, first come first served. Whoever waits gives up after its own time.
 */
export class Slots {
  #free: number;
  #next = 0;
  readonly #waiting = new Map<number, (got: boolean) => void>();

  constructor(readonly max: number) {
    this.#free = max;
  }

  get inUse(): number {
    return this.max - this.#free;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** True: a slot is held until `release`. False: there was none within `waitMs`. */
  async acquire(waitMs: number): Promise<boolean> {
    if (this.#free > 0) {
      this.#free -= 1;
      return true;
    }
    return await new Promise<boolean>((resolve) => {
      const ticket = this.#next;
      this.#next += 1;
      const timer = setTimeout(() => {
        this.#waiting.delete(ticket);
        resolve(false);
      }, waitMs);
      this.#waiting.set(ticket, (got) => {
        clearTimeout(timer);
        resolve(got);
      });
    });
  }

  release(): void {
    const first = this.#waiting.entries().next();
    if (first.done === true) {
      this.#free += 1;
      return;
    }
    const [ticket, give] = first.value;
    this.#waiting.delete(ticket);
    give(true);
  }
}
