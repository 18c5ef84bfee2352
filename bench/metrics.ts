/** What the metrics cost: the same subject with a port for them and without, a round of each in turn. */
import { costOf, ranged, spread, table } from './figures.js';
import type { Section } from './sections.js';
import type { Stage } from './stage.js';
import type { Settings } from './throughput.js';

export async function metrics(stage: Stage, settings: Settings): Promise<Section> {
  const names = ['without', 'with'] as const;
  const port = { without: {}, with: { RECOUP_METRICS_PORT: '0' } };
  const [without, counting] = await Promise.all(
    names.map(async (name) =>
      stage.start('recoup', [], { ...(await stage.ownStores(name)), ...port[name] }),
    ),
  );
  if (without === undefined || counting === undefined) throw new Error('two subjects');
  const load = settings.smoke ? { inFlight: 16, count: 50 } : { inFlight: 512, count: 4_000 };
  const cpuUs: { without: number; with: number }[] = [];
  try {
    for (let round = 0; round <= settings.rounds; round += 1) {
      const of = { without: 0, with: 0 };
      // Whichever is first meets what the round before left behind.
      for (const name of round % 2 === 0 ? names : names.toReversed()) {
        const subject = name === 'with' ? counting : without;
        of[name] = costOf(await subject.measure(load)).nodeCpuUs;
      }
      settings.progress(`metrics: ${of.without.toFixed(0)} µs without, ${of.with.toFixed(0)} with`);
      // The first round warms up.
      if (round > 0) cpuUs.push(of);
    }
  } finally {
    await Promise.all([without.end(), counting.end()]);
  }
  const ratio = spread(cpuUs.map((of) => of.with / of.without));
  return {
    figures: { ...load, cpuUs, ratio },
    text: table(
      ["Node's CPU a deduction, µs", ''],
      [
        ['without metrics', ranged(spread(cpuUs.map((of) => of.without)))],
        ['with metrics', ranged(spread(cpuUs.map((of) => of.with)))],
        ['with to without, round by round', ranged(ratio)],
      ],
    ),
  };
}
