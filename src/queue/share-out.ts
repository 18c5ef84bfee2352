/**
 * How many wake-ups of each kind of task a process carries out at once.
 *
 * Each kind has consumers of its own, and up to `waitingMax` wake-ups that are due wait for them. What is
 * due beyond that is the global queue: any consumer that is idle takes from it. What a kind has lent it
 * may take back at once, so that a helper who hangs costs the process a slot more and nobody a turn; and
 * one kind has `helpersMax` helpers at the most, so that one that hangs does not take them all.
 */
export interface ShareSettings {
  /** Of each kind. */
  readonly consumers: number;
  /** Wake-ups of one kind that are due and wait for its own consumers. */
  readonly waitingMax: number;
  /** Consumers of other kinds that may work for one kind at once. */
  readonly helpersMax: number;
}

export interface Load {
  /** Wake-ups whose time has come and that nobody has taken: not those that are delayed. */
  readonly due: number;
  /** Wake-ups of the kind that this process carries out now. */
  readonly busy: number;
}

/** Wake-ups of a kind in the global queue. */
export const overflowOf = (due: number, { waitingMax }: ShareSettings): number =>
  Math.max(0, due - waitingMax);

/** @returns for each kind how many wake-ups may be carried out at once. */
export function shareOut<K extends string>(
  loads: ReadonlyMap<K, Load>,
  settings: ShareSettings,
): ReadonlyMap<K, number> {
  const { consumers, helpersMax } = settings;
  const overflows = (due: number): boolean => overflowOf(due, settings) > 0;
  let idle = 0;
  let beyond = 0;
  for (const { due, busy } of loads.values()) {
    if (overflows(due)) beyond += 1;
    else idle += Math.max(0, consumers - busy);
  }
  const helpers = beyond === 0 ? 0 : Math.min(helpersMax, Math.floor(idle / beyond));
  return new Map(
    [...loads].map(([kind, { due }]) => [kind, consumers + (overflows(due) ? helpers : 0)]),
  );
}
