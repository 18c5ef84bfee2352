/** Does a kind of task whose third party hangs cost the others: docs/work-queues.md. */
import { costOf, number, ranged, spread, table } from './figures.js';
import type { Section } from './sections.js';
import type { Stage } from './stage.js';
import type { Settings } from './throughput.js';

/** Deductions that wait for a wake-up each, alone and beside a stuck kind, in turn. */
export async function starvation(stage: Stage, settings: Settings): Promise<Section> {
  const alone = await stage.start('starvation', [], await stage.ownStores('alone'));
  const beside = await stage.start('starvation', ['stuck'], await stage.ownStores('stuck'));
  const rates = { alone: [] as number[], beside: [] as number[] };
  const load = {
    inFlight: settings.smoke ? 16 : 256,
    count: settings.smoke ? 50 : 1_000,
  };
  try {
    for (let round = 0; round <= settings.rounds; round += 1) {
      const each = { alone: 0, beside: 0 };
      // By turns: a machine that is getting quieter, or busier, favours neither.
      const turns = [['alone', alone] as const, ['beside', beside] as const];
      for (const [name, subject] of round % 2 === 0 ? turns : turns.toReversed()) {
        each[name] = costOf(await subject.measure(load)).perSecond;
      }
      settings.progress(
        `starvation: ${number(each.alone)}/s alone, ${number(each.beside)}/s beside`,
      );
      // The first round warms up.
      if (round === 0) continue;
      rates.alone.push(each.alone);
      rates.beside.push(each.beside);
    }
  } finally {
    await Promise.all([alone.end(), beside.end()]);
  }
  const kept = spread(rates.beside.map((rate, round) => rate / (rates.alone[round] ?? rate)));
  const stuck = load.inFlight * 4;
  return {
    figures: { ...load, stuck, rates, kept },
    text: table(
      ['deductions while withdrawals hang', ''],
      [
        ['deductions/s alone', ranged(spread(rates.alone))],
        [
          `deductions/s beside ${number(stuck)} withdrawals that hang`,
          ranged(spread(rates.beside)),
        ],
        ['of the throughput is kept', ranged(kept)],
      ],
    ),
  };
}
