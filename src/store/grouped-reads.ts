/** At once, of one kind: the next keys gather meanwhile, and the pool has room for other reads. */
const statementsMax = 2;
const keysMax = 200;

export interface GroupedRead<Row, Value> {
  /** One statement; a key without a row is left out of the answer. */
  readonly select: (keys: readonly string[]) => Promise<readonly Row[]>;
  readonly key: (row: Row) => string;
  readonly value: (row: Row) => Value;
}

/**
 * Reads of one row each, by a key, many in one statement. While statements are under way the next
 * keys gather; nothing waits for a timer. A statement of one key costs this process and the database
 * nearly as much as one of fifty, and through the API three of them were made a deduction.
 *
 * Whoever asks sees all that was committed before: no statement begins before its keys are asked for.
 */
export class GroupedReads<Row, Value> {
  readonly #waiting: Waiting<Value>[] = [];
  #reading = 0;

  constructor(private readonly read: GroupedRead<Row, Value>) {}

  /**
   * Null: there is no such row.
   *
   * @throws what the statement throws, to each that it read for; what `value` throws, to one
   */
  async find(key: string): Promise<Value | null> {
    return await new Promise((resolve, reject) => {
      this.#waiting.push({ key, resolve, reject });
      if (this.#reading < statementsMax) {
        this.#reading += 1;
        // The next turn of the loop: what this turn still asks for joins the first statement.
        setImmediate(() => void this.#drain());
      }
    });
  }

  async #drain(): Promise<void> {
    while (this.#waiting.length > 0) {
      const group = this.#waiting.splice(0, keysMax);
      try {
        const keys = new Set(group.map(({ key }) => key));
        const rows = await this.read.select([...keys]);
        const found = new Map(rows.map((row) => [this.read.key(row), row]));
        for (const one of group) this.#answer(one, found.get(one.key));
      } catch (error) {
        for (const { reject } of group) reject(error);
      }
    }
    this.#reading -= 1;
  }

  /** Each by itself: a row that cannot be is the trouble of whoever asked for it. */
  #answer({ resolve, reject }: Waiting<Value>, row: Row | undefined): void {
    try {
      resolve(row === undefined ? null : this.read.value(row));
    } catch (error) {
      reject(error);
    }
  }
}

interface Waiting<Value> {
  readonly key: string;
  readonly resolve: (value: Value | null) => void;
  readonly reject: (reason: unknown) => void;
}
