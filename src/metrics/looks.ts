/** One answer for whoever asks at once and soon after; nobody waits for longer than they have. */
export interface Looked<T> {
  /** Null: it failed, or has not come in time. */
  readonly value: T | null;
  readonly tookMs: number;
  readonly ageMs: number;
}

export interface LookSettings {
  /** An answer is given out again for so long, ms … */
  readonly keepMs: number;
  /** … and so many times as long as it took: looking must stay a small share of what is going on, … */
  readonly rest: number;
  /** … but no longer: what was away may be back. */
  readonly keepMsMax: number;
  readonly waitMs: number;
}

export class Looks<T> {
  #last: { readonly value: T | null; readonly tookMs: number; readonly atMs: number } | null = null;
  #underWay: Promise<void> | null = null;

  constructor(
    private readonly look: () => Promise<T | null>,
    private readonly settings: LookSettings,
    private readonly failed: (error: unknown) => void,
  ) {}

  /** Never rejects. */
  async get(): Promise<Looked<T>> {
    const last = this.#last;
    const { keepMs, keepMsMax, rest, waitMs } = this.settings;
    const goodForMs = Math.min(keepMsMax, Math.max(keepMs, rest * (last?.tookMs ?? 0)));
    if (last === null || performance.now() - last.atMs >= goodForMs) {
      this.#underWay ??= this.#lookNow();
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<'late'>((resolve) => {
        timer = setTimeout(() => resolve('late'), waitMs);
      });
      const first = await Promise.race([this.#underWay, late]);
      clearTimeout(timer);
      if (first === 'late') return { value: null, tookMs: waitMs, ageMs: 0 };
    }
    const { value = null, tookMs = 0, atMs = performance.now() } = this.#last ?? {};
    return { value, tookMs, ageMs: performance.now() - atMs };
  }

  async #lookNow(): Promise<void> {
    const startedMs = performance.now();
    let value: T | null = null;
    try {
      value = await this.look();
    } catch (error) {
      this.failed(error);
    }
    const atMs = performance.now();
    this.#last = { value, tookMs: atMs - startedMs, atMs };
    this.#underWay = null;
  }
}
