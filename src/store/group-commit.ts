import { RecoupError } from '../errors.js';
import type { Clock } from '../clock.js';
import type { Log } from '../engine/ports.js';
import { classify, domainError, type SqlFailure } from './sql-errors.js';

/**
 * Group commit: writes of many tasks share a transaction. While a transaction is under way the next
 * writes gather; nothing waits for a timer. On two cores two committers were the best of one, two
 * and four.
 *
 * Tasks that were written together go on together, in one turn, and come back together: should two
 * groups hold all that is in flight, the server idles while this process works, and the other way
 * round. So `batchMax` is a quarter of 512 in flight, and fewer are shared out.
 */
export interface GroupCommitSettings {
  readonly committers: number;
  /** At 64 a deduction cost the server a tenth more than at 128; 128 and 256 cost the same. */
  readonly batchMax: number;
  /** How long a write is tried again before its outcome is reported as not known, ms. */
  readonly patienceMs: number;
  readonly observer?: CommitObserver;
}

/** Told of every transaction; must not throw. */
export interface CommitObserver {
  transaction(outcome: 'committed' | SqlFailure['kind'], writes: number, ms: number): void;
  /** So many writes were reported as not known: `journal_unavailable`. */
  gaveUp(writes: number): void;
}

export interface GroupWriter<Item> {
  /** Writes all items in one transaction, or none. */
  write(items: readonly Item[]): Promise<void>;
  /** Which of the items are committed, by reading back: after a connection was lost at COMMIT. */
  findCommitted(items: readonly Item[]): Promise<ReadonlySet<Item>>;
  /** The error of an item whose place in the log is taken; null when `constraint` is not that. */
  collision(item: Item, constraint: string): Error | null;
}

/**
 * Fewer are not shared out: a transaction by itself costs the server as much as ten to fifteen of its
 * writes. With 16 here, 64 in flight cost it a quarter more a deduction.
 */
const shareMin = 32;

interface Pending<Item> {
  readonly item: Item;
  readonly deadlineMs: number;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

export class GroupCommit<Item> {
  readonly #queue: Pending<Item>[] = [];
  /** Committers that have something to write, or will look for it in the next turn. */
  #awake = 0;
  #writing = 0;

  constructor(
    private readonly writer: GroupWriter<Item>,
    private readonly settings: GroupCommitSettings,
    private readonly clock: Clock,
    private readonly log: Log,
  ) {}

  /** Resolves when the item is committed. See `Journal.append` for what it throws. */
  add(item: Item): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      const deadlineMs = this.clock.monotonicMs() + this.settings.patienceMs;
      this.#queue.push({ item, deadlineMs, resolve, reject });
      if (this.#awake < this.settings.committers) {
        this.#awake += 1;
        // The next turn of the loop: what this turn still adds joins the first transaction.
        setImmediate(() => void this.#drain());
      }
    });
  }

  async #drain(): Promise<void> {
    while (this.#queue.length > 0) {
      const waited = this.#queue.splice(0, this.#share());
      // Its caller may long have lost its lease: what waited too long is not written any more.
      const batch = this.#withoutExpired(waited, new Error('the database is too slow'));
      if (batch.length === 0) continue;
      this.#writing += 1;
      try {
        await this.#commit(batch);
      } catch (error) {
        // Whatever went wrong, nobody may wait for ever.
        for (const one of batch) one.reject(error);
      }
      this.#writing -= 1;
    }
    this.#awake -= 1;
  }

  /** How many of those that wait go together: an equal part for each committer that is free. */
  #share(): number {
    const { committers, batchMax } = this.settings;
    const part = Math.ceil(this.#queue.length / (committers - this.#writing));
    return Math.min(batchMax, Math.max(shareMin, part));
  }

  /** Every pending write of the batch is settled when this returns. */
  async #commit(batch: readonly Pending<Item>[]): Promise<void> {
    let left = batch;
    const { observer } = this.settings;
    for (let tries = 0; left.length > 0; tries += 1) {
      const startedMs = this.clock.monotonicMs();
      let committed = false;
      let failure: unknown;
      try {
        await this.writer.write(left.map((one) => one.item));
        for (const one of left) one.resolve();
        committed = true;
      } catch (error) {
        failure = error;
      }
      const meaning = committed ? null : classify(failure);
      const ms = this.clock.monotonicMs() - startedMs;
      observer?.transaction(meaning?.kind ?? 'committed', left.length, ms);
      if (meaning === null) return;
      if (meaning.kind === 'constraint' || meaning.kind === 'other') {
        return await this.#narrow(left, meaning.kind === 'constraint' ? meaning.name : '', failure);
      }
      // The whole transaction is run again, never a part of it: what it wrote before is gone.
      this.log.debug('transaction to be repeated', { why: String(failure), writes: left.length });
      await this.clock.sleep(Math.min(1_000, 10 * 2 ** Math.min(tries, 7)));
      if (meaning.kind === 'ambiguous') left = await this.#withoutCommitted(left);
      left = this.#withoutExpired(left, failure);
    }
  }

  /** One write's constraint failed the transaction: halve it until only the culprit is left. */
  async #narrow(
    batch: readonly Pending<Item>[],
    constraint: string,
    failure: unknown,
  ): Promise<void> {
    const [only] = batch;
    if (only === undefined) return;
    if (batch.length > 1) {
      const middle = Math.ceil(batch.length / 2);
      await this.#commit(batch.slice(0, middle));
      await this.#commit(batch.slice(middle));
      return;
    }
    const collision = this.writer.collision(only.item, constraint);
    if (collision !== null) {
      // Our own commit, perhaps, whose confirmation was lost with the connection.
      const committed = await this.#findCommitted(batch);
      if (committed === null) this.#giveUp(only, failure);
      else if (committed.has(only.item)) only.resolve();
      else only.reject(collision);
      return;
    }
    only.reject(domainError(constraint, failure) ?? failure);
  }

  async #withoutCommitted(batch: readonly Pending<Item>[]): Promise<readonly Pending<Item>[]> {
    const committed = await this.#findCommitted(batch);
    // Not readable now: the rows' own keys will tell when they are written again.
    if (committed === null) return batch;
    const left = batch.filter((one) => !committed.has(one.item));
    for (const one of batch) if (committed.has(one.item)) one.resolve();
    return left;
  }

  #withoutExpired(batch: readonly Pending<Item>[], failure: unknown): readonly Pending<Item>[] {
    const now = this.clock.monotonicMs();
    for (const one of batch) if (one.deadlineMs <= now) this.#giveUp(one, failure);
    return batch.filter((one) => one.deadlineMs > now);
  }

  #giveUp(one: Pending<Item>, cause: unknown): void {
    this.settings.observer?.gaveUp(1);
    one.reject(new RecoupError('journal_unavailable', {}, { cause }));
  }

  async #findCommitted(batch: readonly Pending<Item>[]): Promise<ReadonlySet<Item> | null> {
    try {
      return await this.writer.findCommitted(batch.map((one) => one.item));
    } catch {
      return null;
    }
  }
}
