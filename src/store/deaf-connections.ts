/** What of a socket tells whether anybody is at its other end. */
export interface Line {
  readonly bytesWritten: number;
  on(event: 'data' | 'close', then: () => void): unknown;
  setTimeout(ms: number, then: () => void): unknown;
  destroy(): unknown;
}

interface Heard {
  atMs: number;
  /** What had been said by then; more than that is waiting for its answer. */
  bytesWritten: number;
}

/**
 * The connections of a pool, and whether their server is still there. One that is silent for
 * `silentMs` is cut. If it was waiting for an answer its server is gone or frozen, and all others that
 * wait and have not been heard since it asked are cut with it: whoever waits for the pool must not be
 * handed from one dead connection to the next, a time-out at each.
 */
export class DeafConnections {
  readonly #lines = new Map<Line, Heard>();

  constructor(
    private readonly silentMs: number,
    private readonly nowMs: () => number = () => performance.now(),
  ) {}

  watch(line: Line): void {
    const heard: Heard = { atMs: this.nowMs(), bytesWritten: line.bytesWritten };
    this.#lines.set(line, heard);
    line.on('data', () => {
      heard.atMs = this.nowMs();
      heard.bytesWritten = line.bytesWritten;
    });
    line.on('close', () => this.#lines.delete(line));
    line.setTimeout(this.silentMs, () => this.#cut(line));
  }

  #cut(line: Line): void {
    const askedMs = this.nowMs() - this.silentMs;
    const deaf = [...this.#lines].filter(
      ([one, heard]) => one.bytesWritten > heard.bytesWritten && heard.atMs <= askedMs,
    );
    const withIt = deaf.some(([one]) => one === line) ? deaf.map(([one]) => one) : [];
    for (const one of new Set([line, ...withIt])) one.destroy();
  }
}
