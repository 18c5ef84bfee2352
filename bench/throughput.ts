/**
 * The main section: Recoup, the raw ceiling, the same by hand, and the peers, side by side. Every
 * subject keeps its process and its stores for the whole run; the rounds go through all cells in
 * turn, so that whatever else the machine does meets all of them.
 */
import {
  costOf,
  costSpread,
  number,
  ranged,
  spread,
  table,
  type Cost,
  type Spread,
} from './figures.js';
import type { Running, Stage } from './stage.js';

export interface Settings {
  /** Only to see that everything runs. */
  readonly smoke: boolean;
  readonly rounds: number;
  /** Before the rounds, for each cell. */
  readonly warmUps: number;
  /** How long one measurement should take. */
  readonly seconds: number;
  /** No round begins that would end later than this after the first: a slow machine makes fewer. */
  readonly minutes: number;
  readonly levels: readonly number[];
  /** Whether to measure DBOS, which needs PostgreSQL and packages of its own. */
  readonly peers: boolean;
  readonly progress: (line: string) => void;
}

interface Cell {
  readonly name: string;
  readonly inFlight: number;
  readonly running: Running;
  count: number;
  readonly rounds: Cost[];
}

export interface CellFigures {
  readonly name: string;
  readonly inFlight: number;
  readonly spread: ReturnType<typeof costSpread>;
  readonly rounds: readonly Cost[];
}

export interface ThroughputFigures {
  readonly cells: readonly CellFigures[];
  readonly ratios: Readonly<Record<string, Spread>>;
  readonly notes: readonly string[];
}

const firstCount = 200;
const countMax = 60_000;

export async function throughput(stage: Stage, settings: Settings): Promise<ThroughputFigures> {
  const cast = new Cast(stage, settings);
  try {
    const cells = await cast.cells();
    const beganMs = performance.now();
    for (const cell of cells) await calibrate(cell, settings);
    for (let round = 1; round <= settings.rounds; round += 1) {
      const goneMs = performance.now() - beganMs;
      // With its calibration, which takes two thirds of a round or more, each round so far took this.
      const eachMs = goneMs / (round - 1 + 2 / 3);
      if (round > 1 && goneMs + eachMs > settings.minutes * 60_000) {
        cast.notes.push(`the time was enough for ${round - 1} rounds of ${settings.rounds}`);
        break;
      }
      for (const cell of cells) {
        const { name, inFlight, count, running } = cell;
        const cost = costOf(await running.measure({ inFlight, count }));
        cell.rounds.push(cost);
        settings.progress(
          `round ${round}: ${name}, ${inFlight} in flight: ${number(cost.perSecond)}/s`,
        );
      }
    }
    const figures = cells.map(({ name, inFlight, rounds }) => ({
      name,
      inFlight,
      rounds,
      spread: costSpread(rounds),
    }));
    return { cells: figures, ratios: ratiosOf(figures), notes: cast.notes };
  } finally {
    await cast.end();
  }
}

const cell = (name: string, running: Running, inFlight: number): Cell => ({
  name,
  inFlight,
  running,
  count: 0,
  rounds: [],
});

/** Warms the code up, then finds how many deductions take about as long as they should. */
async function calibrate(cell: Cell, settings: Settings): Promise<void> {
  const { running, inFlight, name } = cell;
  const { seconds, progress } = settings;
  // Thousands at once are seconds of work whatever the count is.
  const warmUps = inFlight > 1_000 ? 1 : settings.warmUps;
  let count = Math.max(10, Math.round(Math.max(inFlight, firstCount * Math.min(1, seconds))));
  for (let pass = 0; pass < warmUps; pass += 1) {
    const { perSecond } = costOf(await running.measure({ inFlight, count }));
    count = Math.round(Math.min(countMax, Math.max(10, inFlight, perSecond * seconds)));
    progress(`warm-up: ${name}, ${inFlight} in flight: ${number(perSecond)}/s`);
  }
  cell.count = count;
}

class Cast {
  readonly notes: string[] = [];
  readonly #running: Running[] = [];

  constructor(
    private readonly stage: Stage,
    private readonly settings: Settings,
  ) {}

  async cells(): Promise<Cell[]> {
    const { levels } = this.settings;
    const started = await Promise.all([
      this.#start('recoup'),
      this.#start('recoup', 'sandbox'),
      this.#start('api'),
      this.#start('ceiling'),
      this.#start('one-at-a-time'),
      this.#start('bullmq'),
    ]);
    const [recoup, sandbox, api, ceiling, byHand, bullmq] = started;
    const peer = this.settings.peers ? await this.#bestDbos() : null;
    const most = levels.at(-2) ?? 1;
    return [
      ...levels.map((level) => cell(names.recoup, recoup, level)),
      cell(names.ceiling, ceiling, most),
      cell(names.bare, ceiling, 1),
      cell(names.byHand, byHand, await this.#bestPool(byHand)),
      cell(names.bullmq, bullmq, most),
      ...(peer === null ? [] : [cell(names.dbos, peer, most)]),
      ...levels.map((level) => cell(names.sandbox, sandbox, level)),
      ...levels.map((level) => cell(names.api, api, level)),
    ];
  }

  async #start(module: string, ...args: string[]): Promise<Running> {
    const name = [module, ...args].join('_').replaceAll('-', '_');
    const env = await this.stage.ownStores(name);
    const running = await this.stage.start(module, args, env);
    this.#running.push(running);
    return running;
  }

  /** By hand the number of connections is what must be right; each is tried before the rounds. */
  async #bestPool(byHand: Running): Promise<number> {
    let best = { size: 0, perSecond: 0 };
    for (const size of this.settings.levels.length > 2 ? [8, 16, 32, 64] : [8]) {
      await byHand.measure({ inFlight: size, count: size });
      const count = Math.round(firstCount * this.settings.seconds);
      const { perSecond } = costOf(await byHand.measure({ inFlight: size, count }));
      this.notes.push(`one at a time, ${size} connections: ${number(perSecond)}/s`);
      if (perSecond > best.perSecond) best = { size, perSecond };
    }
    return best.size;
  }

  /** Its pool is given when it starts, so each size is a process; the best one stays. */
  async #bestDbos(): Promise<Running | null> {
    const tried: { running: Running; perSecond: number }[] = [];
    const inFlight = this.settings.levels.at(-2) ?? 1;
    for (const size of ['10', '20', '50']) {
      let running: Running;
      try {
        running = await this.#start('dbos', size);
      } catch (error) {
        this.notes.push(`DBOS is left out: ${String(error)}`);
        this.settings.progress(`DBOS is left out: ${String(error)}`);
        return null;
      }
      await running.measure({ inFlight, count: firstCount });
      const { perSecond } = costOf(await running.measure({ inFlight, count: firstCount }));
      this.notes.push(`DBOS, ${size} connections: ${number(perSecond)}/s`);
      tried.push({ running, perSecond });
    }
    const [best, ...others] = tried.toSorted((a, b) => b.perSecond - a.perSecond);
    for (const { running } of others) await running.end();
    return best?.running ?? null;
  }

  async end(): Promise<void> {
    await Promise.all(this.#running.map((running) => running.end()));
  }
}

const names = {
  recoup: 'Recoup, in-process channel',
  sandbox: 'Recoup, HTTP sandbox',
  api: 'Recoup, HTTP API',
  ceiling: 'raw ceiling',
  bare: 'two bare commits',
  byHand: 'one at a time',
  bullmq: 'BullMQ alone',
  dbos: 'DBOS Transact',
} as const;

/** Each from the same round, then over the rounds. */
function ratiosOf(cells: readonly CellFigures[]): Record<string, Spread> {
  const find = (name: string, inFlight?: number): CellFigures | undefined =>
    cells.find((cell) => cell.name === name && (inFlight ?? cell.inFlight) === cell.inFlight);
  const ceiling = find(names.ceiling);
  const recoup = find(names.recoup, ceiling?.inFlight);
  const speedOver = (other: CellFigures | undefined, one = recoup): Spread | null =>
    other === undefined || one === undefined
      ? null
      : over(one, other, ({ perSecond }) => perSecond);
  const single = find(names.recoup, 1);
  const bare = find(names.bare);
  const all = {
    'of the raw ceiling': speedOver(ceiling),
    'times one at a time': speedOver(find(names.byHand)),
    'times DBOS Transact': speedOver(find(names.dbos)),
    'times BullMQ alone': speedOver(find(names.bullmq)),
    // What no engine that writes these rows can pass.
    'the ceiling, times one at a time': speedOver(find(names.byHand), ceiling),
    'the ceiling, times DBOS Transact': speedOver(find(names.dbos), ceiling),
    'the ceiling, times BullMQ alone': speedOver(find(names.bullmq), ceiling),
    'latency at 1 in flight, times two bare commits':
      single === undefined || bare === undefined ? null : over(single, bare, (one) => one.p50Ms),
    'transactions a deduction': recoup === undefined ? null : recoup.spread.commits,
  };
  return Object.fromEntries(
    Object.entries(all).filter((entry): entry is [string, Spread] => entry[1] !== null),
  );
}

function over(a: CellFigures, b: CellFigures, figure: (cost: Cost) => number): Spread {
  return spread(a.rounds.map((cost, round) => figure(cost) / figure(b.rounds[round] ?? cost)));
}

export function throughputTable({ cells, ratios, notes }: ThroughputFigures): string {
  const head = [
    'what',
    'in flight',
    'per second',
    'p50 ms',
    'p99 ms',
    'commits',
    'statements',
    'redis',
    'node µs',
    'database µs',
    'redis µs',
    'MiB',
  ];
  const rows = cells.map(({ name, inFlight, spread: s }) => [
    name,
    String(inFlight),
    ranged(s.perSecond),
    number(s.p50Ms.median),
    number(s.p99Ms.median),
    number(s.commits.median),
    number(s.statements.median),
    number(s.redisCommands.median),
    number(s.nodeCpuUs.median),
    number(s.databaseCpuUs.median),
    number(s.redisCpuUs.median),
    number(s.peakMib.max),
  ]);
  const ratioRows = Object.entries(ratios).map(([name, one]) => [name, ranged(one)]);
  return [
    table(head, rows),
    '',
    table(['Recoup, in-process channel, at the same number in flight', 'ratio'], ratioRows),
    '',
    ...notes,
  ].join('\n');
}
