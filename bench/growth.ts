/** What grows with history, and what must not: the same questions over none, a tenth and all of it. */
import { number, ranged, spread, table, type Spread } from './figures.js';
import type { Section } from './sections.js';
import type { Running, Stage } from './stage.js';
import type { Settings } from './throughput.js';

interface Size {
  readonly rows: number;
  readonly running: Running;
  readonly rounds: Readonly<Record<string, number>>[];
}

/** @param rows rows of the log at the most; ten million are some minutes' work and 8 GB of disk. */
export async function growth(stage: Stage, settings: Settings, rows: number): Promise<Section> {
  const sizes: Size[] = [];
  const count = settings.smoke ? 3 : 30;
  try {
    for (const size of settings.smoke ? [0, 100] : [0, rows / 10, rows]) {
      const beganMs = performance.now();
      const env = await stage.ownStores(`growth_${size}`);
      const running = await stage.start('growth', [String(size)], env);
      sizes.push({ rows: size, running, rounds: [] });
      const seconds = (performance.now() - beganMs) / 1_000;
      settings.progress(`growth: ${number(size)} rows of history in ${number(seconds)} s`);
    }
    // The first round warms up.
    for (let round = 0; round <= settings.rounds; round += 1) {
      for (const size of sizes) {
        const { extra } = await size.running.measure({ inFlight: 1, count });
        if (round > 0) size.rounds.push(extra);
      }
    }
  } finally {
    await Promise.all(sizes.map(({ running }) => running.end()));
  }
  const names = Object.keys(sizes[0]?.rounds[0] ?? {});
  const times = names.map((name) => ({ name, each: sizes.map((size) => spreadOf(size, name)) }));
  return {
    figures: sizes.map((size) => ({ rows: size.rows, rounds: size.rounds })),
    text: table(
      ['ms, median', ...sizes.map((size) => `${number(size.rows)} rows`), 'times none'],
      times.map(({ name, each }) => [name, ...each.map(ranged), number(growthOf(sizes, name))]),
    ),
  };
}

const spreadOf = ({ rounds }: Size, name: string): Spread =>
  spread(rounds.map((round) => round[name] ?? 0));

/** In each round the largest over none, then over the rounds. */
function growthOf(sizes: readonly Size[], name: string): number {
  const none = sizes[0]?.rounds ?? [];
  const most = sizes.at(-1)?.rounds ?? [];
  return spread(most.map((round, at) => (round[name] ?? 0) / (none[at]?.[name] ?? 1))).median;
}
