/**
 * Counts and durations as plain numbers. They take Prometheus' form only when somebody scrapes: an
 * observation is a few look-ups, a tenth of what prom-client's own take (docs/metrics.md).
 */
import type { Definition } from './catalogue.js';

export interface Sample {
  readonly metricName?: string;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
}

/** Series of one metric, at most; what comes beyond is counted together, under `other`. */
const seriesMax = 2_000;

/** A level for each label: codes are hashed once for all, and a text put together of them is not. */
type Level<Held> = Map<string, Level<Held> | Held>;

class Series<Held> {
  readonly #root: Level<Held> = new Map();
  readonly #all: { readonly values: readonly string[]; readonly held: Held }[] = [];

  constructor(
    readonly definition: Definition,
    private readonly start: () => Held,
  ) {}

  of(values: readonly string[]): Held {
    let at: Level<Held> | Held | undefined = this.#root;
    for (const value of values) {
      at = (at as Level<Held>).get(value);
      if (at === undefined) return this.#first(values);
    }
    return values.length === 0 ? this.#only() : (at as Held);
  }

  #first(values: readonly string[]): Held {
    const others = values.map(() => 'other');
    if (this.#all.length >= seriesMax && values.some((value) => value !== 'other')) {
      return this.of(others);
    }
    const held = this.start();
    let level = this.#root;
    for (const value of values.slice(0, -1)) {
      const next = (level.get(value) ?? new Map()) as Level<Held>;
      level.set(value, next);
      level = next;
    }
    level.set(values.at(-1) ?? '', held);
    this.#all.push({ values, held });
    return held;
  }

  #only(): Held {
    return this.#all[0]?.held ?? this.#first([]);
  }

  read<T>(show: (labels: Sample['labels'], held: Held) => readonly T[]): readonly T[] {
    const { labels } = this.definition;
    return this.#all.flatMap(({ values, held }) =>
      show(Object.fromEntries(labels.map((label, at) => [label, values[at] ?? ''])), held),
    );
  }
}

export class Counter {
  readonly #series: Series<{ count: number }>;

  constructor(readonly definition: Definition) {
    this.#series = new Series(definition, () => ({ count: 0 }));
    // A counter that is not there cannot rise: an alert would miss the first.
    if (definition.labels.length === 0) this.add(0);
  }

  /** @param values of the labels, in the order of the definition. */
  add(by: number, ...values: readonly string[]): void {
    this.#series.of(values).count += by;
  }

  read(): readonly Sample[] {
    return this.#series.read((labels, { count }) => [{ labels, value: count }]);
  }
}

export class Histogram {
  readonly #bounds: readonly number[];
  readonly #series: Series<{ sum: number; readonly counts: number[] }>;

  constructor(readonly definition: Definition) {
    this.#bounds = definition.buckets ?? [];
    const start = () => ({ sum: 0, counts: [...this.#bounds.map(() => 0), 0] });
    this.#series = new Series(definition, start);
  }

  /** @param values of the labels, in the order of the definition. */
  observe(value: number, ...values: readonly string[]): void {
    const held = this.#series.of(values);
    let bucket = 0;
    for (const bound of this.#bounds) {
      if (value <= bound) break;
      bucket += 1;
    }
    held.counts[bucket] = (held.counts[bucket] ?? 0) + 1;
    held.sum += value;
  }

  read(): readonly Sample[] {
    const { name } = this.definition;
    return this.#series.read((labels, { sum, counts }) => {
      let below = 0;
      const buckets = counts.map((count, at) => {
        below += count;
        const le = this.#bounds[at] ?? '+Inf';
        return { metricName: `${name}_bucket`, labels: { ...labels, le }, value: below };
      });
      const total = { metricName: `${name}_sum`, labels, value: sum };
      return [...buckets, total, { metricName: `${name}_count`, labels, value: below }];
    });
  }
}
