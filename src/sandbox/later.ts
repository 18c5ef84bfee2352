/** What happens later: decisions that take their time, and what a fault holds on its way. */
export class Later {
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #held = new Set<() => Promise<void>>();
  #closed = false;

  get closed(): boolean {
    return this.#closed;
  }

  in(ms: number, act: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      if (!this.#closed) act();
    }, ms);
    this.#timers.add(timer);
  }

  async pause(ms: number): Promise<void> {
    await new Promise<void>((resolve) => this.in(ms, resolve));
  }

  hold(ms: number, act: () => Promise<unknown>): void {
    const once = async (): Promise<void> => {
      if (this.#held.delete(once)) await act().catch(() => undefined);
    };
    this.#held.add(once);
    this.in(ms, () => void once());
  }

  /** What is held arrives now; resolves when all of it has. */
  async letGo(): Promise<number> {
    const held = [...this.#held];
    await Promise.all(held.map((one) => one()));
    return held.length;
  }

  /** Nothing happens any more. */
  close(): void {
    this.#closed = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }
}
