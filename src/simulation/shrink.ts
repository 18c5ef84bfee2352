import { runWorld, type WorldResult } from './run-world.js';

export interface Shrunk {
  readonly result: WorldResult;
  /** Faults of the first run that could not be left out. */
  readonly needed: readonly string[];
  readonly leftOut: ReadonlySet<string>;
}

const runsMax = 600;

/** What a run went wrong by; a shrunk run must still go wrong in one of these ways. */
export const kindsOf = ({ violations, unresolved }: WorldResult): ReadonlySet<string> =>
  new Set([
    ...violations.map(({ kind }) => kind),
    ...(unresolved.length > 0 ? ['unresolved'] : []),
  ]);

/**
 * Leaves out faults, in ever smaller groups, as long as the world still fails. Decisions do not
 * depend on each other, so what is left is a story with little in it that does not matter.
 */
export async function shrink(failing: WorldResult): Promise<Shrunk> {
  const { seed, mix } = failing;
  const kinds = kindsOf(failing);
  let leftOut: ReadonlySet<string> = new Set();
  let best = failing;
  let runs = 0;
  for (let size = Math.ceil(best.faults.length / 2); size >= 1;) {
    let shrunk = false;
    for (let from = 0; from < best.faults.length && runs < runsMax; from += size) {
      const without = new Set([...leftOut, ...best.faults.slice(from, from + size)]);
      runs += 1;
      const tried = await runWorld({ seed, mix, without });
      if (![...kindsOf(tried)].some((kind) => kinds.has(kind))) continue;
      leftOut = without;
      best = tried;
      shrunk = true;
      from -= size;
    }
    if (size === 1 && (!shrunk || runs >= runsMax)) break;
    size = size === 1 ? 1 : Math.ceil(size / 2);
  }
  const result = await runWorld({ seed, mix, without: leftOut, told: true });
  return { result, needed: result.faults, leftOut };
}
