import { collectDefaultMetrics, Registry, type Metric } from 'prom-client';
import type { Clock } from '../clock.js';
import type { Log } from '../log.js';
import { seen, type Definition } from './catalogue.js';
import { Looks, type Looked } from './looks.js';
import type { Meters } from './meters.js';
import type { Book, BookReading, ChannelStanding, Group, QueueReading } from './ports.js';
import type { Sample } from './tally.js';

export interface Sources {
  readonly meters: Meters;
  readonly book: Book;
  readonly queues: () => Promise<readonly QueueReading[] | null>;
  readonly channels: () => readonly ChannelStanding[];
  readonly clock: Clock;
  readonly log: Log;
}

type Seen = Partial<Record<keyof typeof seen, readonly Sample[]>>;

const bookLooks = { keepMs: 10_000, rest: 20, keepMsMax: 60_000, waitMs: 3_000 };
const queueLooks = { ...bookLooks, keepMs: 5_000 };

/** All metrics of a process as text, in Prometheus' form. Scrapes at once share one answer. */
export class Exposition {
  readonly #registry = new Registry();
  readonly #book: Looks<BookReading>;
  readonly #queues: Looks<readonly QueueReading[]>;
  #seen: Seen = {};
  #underWay: Promise<string> | null = null;

  constructor(private readonly sources: Sources) {
    const { meters, book, queues, clock, log } = sources;
    let away = false;
    const read = async (): Promise<BookReading> => {
      const reading = await book.read(clock.nowMs());
      away = false;
      return reading;
    };
    // One line when it goes: a scrape every few seconds must not fill the log.
    this.#book = new Looks(read, bookLooks, (error) => {
      const { code } = error as { code?: string };
      if (!away) log.warn('metrics not read from the database', { why: code ?? String(error) });
      away = true;
    });
    this.#queues = new Looks(queues, queueLooks, () => undefined);
    collectDefaultMetrics({ register: this.#registry });
    for (const one of meters.all) this.#register(one.definition, () => one.read());
    for (const [key, definition] of Object.entries(seen)) {
      this.#register(definition, () => this.#seen[key as keyof typeof seen] ?? []);
    }
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  async text(): Promise<string> {
    this.#underWay ??= this.#render().finally(() => (this.#underWay = null));
    return await this.#underWay;
  }

  async #render(): Promise<string> {
    const [book, queues] = await Promise.all([this.#book.get(), this.#queues.get()]);
    const nowMs = this.sources.clock.nowMs();
    const channels = channelsSeen(this.sources.channels());
    this.#seen = { ...bookSeen(book, nowMs), ...queuesSeen(queues.value), ...channels };
    return await this.#registry.metrics();
  }

  /** prom-client asks a metric for its values and nothing else of it. */
  #register(definition: Definition, read: () => readonly Sample[]): void {
    const { name, help, type } = definition;
    const get = async () => ({ name, help, type, values: read(), aggregator: 'sum' });
    const metric = { name, help, type, get, reset: () => undefined };
    this.#registry.registerMetric(metric as unknown as Metric);
  }
}

function bookSeen({ value: book, tookMs, ageMs }: Looked<BookReading>, nowMs: number): Seen {
  const about: Seen = {
    databaseOk: [{ labels: {}, value: book === null ? 0 : 1 }],
    databaseSeconds: [{ labels: {}, value: tookMs / 1_000 }],
    databaseAge: [{ labels: {}, value: ageMs / 1_000 }],
  };
  if (book === null) return about;
  const age = (of: Definition, groups: readonly Group[]) =>
    groups.map((group) => {
      const ageMs = group.oldestAtMs === null ? 0 : Math.max(0, nowMs - group.oldestAtMs);
      return { labels: labelsOf(of, group), value: ageMs / 1_000 };
    });
  return {
    ...about,
    tasks: count(seen.tasks, book.tasks),
    taskAge: age(seen.taskAge, book.tasks),
    wakeUps: count(seen.wakeUps, book.wakeUps),
    wakeUpAge: age(seen.wakeUpAge, book.wakeUps),
    attempts: count(seen.attempts, book.attempts),
    attemptAge: age(seen.attemptAge, book.attempts),
    cases: count(seen.cases, book.cases),
    caseAge: age(seen.caseAge, book.cases),
    outbox: count(seen.outbox, book.outbox),
    outboxAge: age(seen.outboxAge, book.outbox),
    notices: count(seen.notices, book.notices),
    noticeAge: age(seen.noticeAge, book.notices),
    batches: count(seen.batches, book.batches),
    batchRows: count(seen.batchRows, book.batchRows),
  };
}

const count = (of: Definition, groups: readonly Group[]): readonly Sample[] =>
  groups.map((group) => ({ labels: labelsOf(of, group), value: group.count }));

const labelsOf = ({ labels }: Definition, group: Group): Sample['labels'] =>
  Object.fromEntries(labels.map((label, at) => [label, group.labels[at] ?? '']));

function queuesSeen(queues: readonly QueueReading[] | null): Seen {
  const of = (field: 'due' | 'later') =>
    (queues ?? []).map((one) => ({ labels: { kind: one.kind }, value: one[field] }));
  const redisOk = [{ labels: {}, value: queues === null ? 0 : 1 }];
  return { redisOk, queueDue: of('due'), queueLater: of('later') };
}

function channelsSeen(channels: readonly ChannelStanding[]): Seen {
  return {
    breakers: channels.flatMap(({ channelId, broken }) =>
      Object.entries(broken).map(([operation, open]) => {
        return { labels: { channel: channelId, operation }, value: open ? 1 : 0 };
      }),
    ),
    paused: channels.map(({ channelId, paused }) => {
      return { labels: { channel: channelId }, value: paused ? 1 : 0 };
    }),
  };
}
