import { RecoupError } from '../errors.js';

/** Bounds the runs that HTTP starts in this process, and knows when the last of them has ended. */
export class RunGate {
  #running = 0;
  #whenEmpty: (() => void)[] = [];

  constructor(private readonly runsMax: number) {}

  get running(): number {
    return this.#running;
  }

  /**
   * @returns what to call when the run has ended; calling it again does nothing.
   * @throws RecoupError `overloaded`
   */
  enter(): () => void {
    if (this.#running >= this.runsMax) throw new RecoupError('overloaded');
    this.#running += 1;
    let inside = true;
    return () => {
      if (!inside) return;
      inside = false;
      this.#running -= 1;
      if (this.#running === 0) for (const resolve of this.#whenEmpty.splice(0)) resolve();
    };
  }

  async pass<T>(work: () => Promise<T>): Promise<T> {
    const leave = this.enter();
    try {
      return await work();
    } finally {
      leave();
    }
  }

  async drained(): Promise<void> {
    if (this.#running > 0) await new Promise<void>((resolve) => this.#whenEmpty.push(resolve));
  }
}
