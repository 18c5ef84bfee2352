import { constants } from 'node:os';

const names = ['SIGTERM', 'SIGINT'] as const;

/** Listens for the first SIGTERM or SIGINT; a second one ends the process at once. */
export class StopSignals {
  readonly first: Promise<NodeJS.Signals>;
  readonly #listener: (signal: NodeJS.Signals) => void;

  constructor() {
    let resolve!: (signal: NodeJS.Signals) => void;
    this.first = new Promise((told) => (resolve = told));
    let count = 0;
    this.#listener = (signal) => {
      count += 1;
      if (count > 1) process.exit(128 + constants.signals[signal]);
      resolve(signal);
    };
    for (const name of names) process.on(name, this.#listener);
  }

  ignoreFromNowOn(): void {
    for (const name of names) process.off(name, this.#listener);
  }
}

/** Resolves at the first SIGTERM or SIGINT, for a process that stays until then. */
export async function stopSignal(): Promise<NodeJS.Signals> {
  return await new StopSignals().first;
}

/** False when the work was not done in time: it is left, and others resume it. */
export async function within(ms: number, work: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  try {
    return await Promise.race([work.then(() => true as const), late]);
  } finally {
    clearTimeout(timer);
  }
}
