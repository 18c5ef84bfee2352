/** The shorter questions: does a hanging channel cost others, do workers add up, how soon after a kill. */
import { costOf, number, ranged, spread, table, type Spread } from './figures.js';
import type { Stage } from './stage.js';
import type { Settings } from './throughput.js';

export interface Section {
  readonly figures: unknown;
  readonly text: string;
}

const fairnessInFlight = 256;

/** One channel that hangs, with as many deductions before it as are under way elsewhere. */
export async function fairness(stage: Stage, settings: Settings): Promise<Section> {
  const alone = await stage.start('fairness', [], await stage.ownStores('alone'));
  const beside = await stage.start('fairness', ['hung'], await stage.ownStores('hung'));
  const rates = { alone: [] as number[], beside: [] as number[] };
  const load = {
    inFlight: settings.smoke ? 16 : fairnessInFlight,
    count: settings.smoke ? 50 : 2_000,
  };
  try {
    for (let round = 0; round <= settings.rounds; round += 1) {
      const each = {
        alone: costOf(await alone.measure(load)).perSecond,
        beside: costOf(await beside.measure(load)).perSecond,
      };
      settings.progress(`fairness: ${number(each.alone)}/s alone, ${number(each.beside)}/s beside`);
      // The first round warms up.
      if (round === 0) continue;
      rates.alone.push(each.alone);
      rates.beside.push(each.beside);
    }
  } finally {
    await Promise.all([alone.end(), beside.end()]);
  }
  const kept = spread(rates.beside.map((rate, round) => rate / (rates.alone[round] ?? rate)));
  return {
    figures: { ...load, rates, kept },
    text: table(
      ['a channel while another one hangs', ''],
      [
        ['deductions/s without', ranged(spread(rates.alone))],
        [`deductions/s with ${load.inFlight} hanging`, ranged(spread(rates.beside))],
        ['of the speed is kept', ranged(kept)],
      ],
    ),
  };
}

/** Two worker processes on one database against one. More cores than two are needed to gain by it. */
export async function workers(stage: Stage, settings: Settings): Promise<Section> {
  const env = await stage.ownStores('workers');
  const first = await stage.start('recoup', [], env);
  const second = await stage.start('recoup', [], env);
  const load = { inFlight: settings.smoke ? 16 : 512, count: settings.smoke ? 50 : 4_000 };
  const rates = { one: [] as number[], two: [] as number[] };
  try {
    for (let round = 0; round <= settings.rounds; round += 1) {
      const one = costOf(await first.measure(load)).perSecond;
      const both = await Promise.all([first.measure(load), second.measure(load)]);
      const seconds = Math.max(...both.map((each) => each.seconds));
      const two = (2 * load.count) / seconds;
      settings.progress(`workers: one ${number(one)}/s, two ${number(two)}/s`);
      if (round === 0) continue;
      rates.one.push(one);
      rates.two.push(two);
    }
  } finally {
    await Promise.all([first.end(), second.end()]);
  }
  const gain: Spread = spread(rates.two.map((rate, round) => rate / (rates.one[round] ?? rate)));
  return {
    figures: { ...load, rates, gain },
    text: table(
      ['worker processes', 'deductions/s'],
      [
        ['one', ranged(spread(rates.one))],
        ['two', ranged(spread(rates.two))],
        ['two over one', ranged(gain)],
      ],
    ),
  };
}

/** Longer than the lease in `subjects/recovery.ts`. */
const deadLockMs = 6_000;

/** From a kill with so many charges sent and unanswered until every one of them has ended. */
export async function recovery(stage: Stage, settings: Settings): Promise<Section> {
  const count = settings.smoke ? 100 : 10_000;
  const env = await stage.ownStores('recovery');
  const victim = await stage.start('recovery', ['victim'], env);
  const rescuer = await stage.start('recovery', ['rescuer'], env);
  try {
    const beganMs = performance.now();
    await victim.begin({ inFlight: count, count });
    await stage.until(env, `SELECT COUNT(*) = ${count} AS yes FROM in_flight`);
    const startSeconds = (performance.now() - beganMs) / 1_000;
    await victim.kill();
    // Until the locks of the dead have run out: what comes then is the work.
    await new Promise((resolve) => setTimeout(resolve, deadLockMs));
    const { seconds, cpuMs, peakMib, stores } = await rescuer.measure({ inFlight: 1, count: 1 });
    const figures = {
      count,
      start_seconds: startSeconds,
      recovery_seconds: seconds,
      per_second: count / seconds,
      commits_each: stores.commits / count,
      node_cpu_us_each: (cpuMs * 1_000) / count,
      peak_mib: peakMib,
    };
    return {
      figures,
      text: table(
        [`${number(count)} in flight at the kill`, ''],
        Object.entries(figures).map(([name, value]) => [name, number(value)]),
      ),
    };
  } finally {
    await Promise.all([victim.end(), rescuer.end()]);
  }
}
