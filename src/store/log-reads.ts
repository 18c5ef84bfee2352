import { decodeEntry, type Entry } from '../engine/entries.js';
import { taskId as asTaskId, type TaskId } from '../ids.js';
import { selectRows, type Database } from './database.js';
import { GroupedReads } from './grouped-reads.js';

interface LogRow {
  readonly task_id: string;
  readonly seq: number;
  readonly kind: string;
  readonly at: Date;
  readonly body: string;
}

/** One caller's wish: a task, and the last entry of it that the caller has. */
interface Wish {
  readonly taskId: TaskId;
  readonly afterSeq: number;
}

interface Found extends Wish {
  readonly rows: readonly LogRow[];
}

/**
 * Reads of the execution log, for all who ask meanwhile in one statement. Where a hundred tasks are
 * resumed at once, statements of one log each were half of this process's time and of the database's.
 */
export class LogReads {
  readonly #reads: GroupedReads<Found, readonly Entry[]>;

  constructor(database: Database) {
    this.#reads = new GroupedReads<Found, readonly Entry[]>({
      select: async (keys) => await select(database, keys.map(wishOf)),
      key: keyOf,
      // Not in `select`: an entry that cannot be read is the trouble of whoever asked for that log.
      value: decode,
    });
  }

  /** @throws Error where the log has a gap, or an entry cannot be read */
  async after(taskId: TaskId, afterSeq: number): Promise<readonly Entry[]> {
    return (await this.#reads.find(keyOf({ taskId, afterSeq }))) ?? [];
  }
}

const keyOf = ({ taskId, afterSeq }: Wish): string => `${afterSeq} ${taskId}`;

function wishOf(key: string): Wish {
  const at = key.indexOf(' ');
  return { taskId: asTaskId(key.slice(at + 1)), afterSeq: Number(key.slice(0, at)) };
}

async function select(database: Database, wishes: readonly Wish[]): Promise<readonly Found[]> {
  // One range of the primary key each; where a task is asked for twice, its rows go to both.
  const ranges = wishes.map(() => '(task_id = ? AND seq > ?)').join(' OR ');
  const rows = await selectRows<LogRow>(
    database,
    `SELECT task_id, seq, kind, at, body FROM execution_log WHERE ${ranges} ORDER BY task_id, seq`,
    wishes.flatMap(({ taskId, afterSeq }) => [taskId, afterSeq]),
  );
  const logs = new Map<string, LogRow[]>();
  for (const row of rows) {
    const log = logs.get(row.task_id);
    if (log === undefined) logs.set(row.task_id, [row]);
    else log.push(row);
  }
  return wishes.map((wish) => {
    const log = logs.get(wish.taskId) ?? [];
    return { ...wish, rows: log.filter(({ seq }) => seq > wish.afterSeq) };
  });
}

function decode({ taskId, afterSeq, rows }: Found): readonly Entry[] {
  const gap = rows.find(({ seq }, index) => seq !== afterSeq + index + 1);
  if (gap !== undefined) throw new Error(`the log of ${taskId} has a gap before ${gap.seq}`);
  return rows.map((row) => decodeEntry(row.kind, row.at.getTime(), row.body));
}
