import type { Knex } from 'knex';
import { RecoupError } from '../errors.js';
import { channelId as asChannelId, taskId, type ChannelId, type OrderNo } from '../ids.js';
import type { BreakKind, NewBreak } from '../reconciliation/difference.js';
import type {
  BreakRecord,
  Breaks,
  HeldOrder,
  MatchDay,
  Provable,
  Run,
  RunState,
} from '../reconciliation/ports.js';
import type { ReconciliationReport } from '../reconciliation/report.js';
import type { RowType } from '../reconciliation/statement.js';
import { decodeReport, encodeReport } from './reconciliation-report.js';
import { execute, inTransaction, selectRows, sqlTime, type Database } from './database.js';
import { classify } from './sql-errors.js';

/** Who closes what a later run no longer finds. People's names stand where people decide. */
const byItself = 'reconciliation';
/** A run that has written nothing for so long is dead: another may begin. */
const staleMs = 120_000;

/** A break that is found again opens again, unless a person resolved just this difference. */
const again = `b.closed_at IS NOT NULL AND (b.closed_by = '${byItself}'
  OR NOT (b.ours_minor <=> VALUES(ours_minor) AND b.theirs_minor <=> VALUES(theirs_minor)))`;
const unlessResolved = (column: string): string =>
  `b.${column} = IF(b.closed_at IS NULL, VALUES(${column}), b.${column})`;
/** In this order: an assignment sees what those before it have assigned. */
const foundAgain = [
  `b.opened_at = IF(${again}, VALUES(opened_at), b.opened_at)`,
  `b.resolution = IF(${again}, NULL, b.resolution)`,
  `b.closed_at = IF(${again}, NULL, b.closed_at)`,
  'b.closed_by = IF(b.closed_at IS NULL, NULL, b.closed_by)',
  ...['amount_minor', 'evidence', 'ours_minor', 'theirs_minor'].map(unlessResolved),
  'b.seen_by = VALUES(seen_by)',
]
  .join(', ')
  .replaceAll('b.', 'reconciliation_break.');

/** Some row of theirs about the order of \`x\`, in a statement that counts. */
const spokenOf = `EXISTS (SELECT 1 FROM statement_row s FORCE INDEX (statement_row_order)
    STRAIGHT_JOIN channel_statement st
      ON st.id = s.statement_id AND st.state = 'valid' AND st.channel_id = x.channel_id
  WHERE s.order_no = x.order_no AND s.type = x.type)`;

export class BreakStore implements Breaks {
  constructor(private readonly database: Database) {}

  async begin(run: Parameters<Breaks['begin']>[0], nowMs: number): Promise<void> {
    const now = sqlTime(nowMs);
    await execute(
      this.database,
      `UPDATE reconciliation SET state = 'abandoned', ended_at = ?
       WHERE running_channel_id = ? AND touched_at < ?`,
      [now, run.channelId, sqlTime(nowMs - staleMs)],
    );
    try {
      await execute(
        this.database,
        `INSERT INTO reconciliation (id, channel_id, business_date, statement_id, state, asked_by,
           created_at, touched_at) VALUES (?,?,?,?,'running',?,?,?)`,
        [run.id, run.channelId, run.date, run.statementId, run.by.slice(0, 100), now, now],
      );
    } catch (error) {
      const failure = classify(error);
      if (failure.kind !== 'constraint' || failure.name !== 'reconciliation_running') throw error;
      throw new RecoupError('reconciliation_busy', {}, { cause: error });
    }
  }

  async record(
    runId: string,
    day: MatchDay,
    breaks: readonly NewBreak[],
    nowMs: number,
  ): Promise<void> {
    if (breaks.length === 0) return;
    await this.#whileRunning(runId, nowMs, async (transaction) => {
      await execute(
        transaction,
        `INSERT INTO reconciliation_break (channel_id, business_date, kind, type, order_no,
           occurrence, ours_minor, theirs_minor, amount_minor, evidence, seen_by, opened_at)
         VALUES ${breaks.map(() => '(?,?,?,?,?,?,?,?,?,?,?,?)').join(',')}
         ON DUPLICATE KEY UPDATE ${foundAgain}`,
        breaks.flatMap((one) => [
          day.channelId,
          day.date,
          one.kind,
          one.type,
          one.orderNo,
          one.occurrence,
          one.oursMinor?.toString() ?? null,
          one.theirsMinor?.toString() ?? null,
          one.amountMinor.toString(),
          one.evidence.slice(0, 1_000),
          runId,
          sqlTime(nowMs),
        ]),
      );
    });
  }

  async hold(
    runId: string,
    day: MatchDay,
    held: readonly HeldOrder[],
    nowMs: number,
  ): Promise<void> {
    if (held.length === 0) return;
    await this.#whileRunning(runId, nowMs, async (transaction) => {
      await execute(
        transaction,
        `INSERT INTO reconciliation_held (channel_id, type, order_no, business_date, amount_minor,
           held_until, seen_by) VALUES ${held.map(() => '(?,?,?,?,?,?,?)').join(',')}
         ON DUPLICATE KEY UPDATE held_until = VALUES(held_until), seen_by = VALUES(seen_by)`,
        held.flatMap((one) => [
          day.channelId,
          one.type,
          one.orderNo,
          day.date,
          one.amountMinor.toString(),
          day.heldUntil,
          runId,
        ]),
      );
    });
  }

  async touch(runId: string, nowMs: number): Promise<void> {
    await this.#whileRunning(runId, nowMs, async () => undefined);
  }

  async provable(day: MatchDay, afterBreakId: string, limit: number): Promise<readonly Provable[]> {
    const rows = await selectRows<{
      breakId: string;
      task: string;
      orderNo: string;
      channelRef: string;
      amount: string;
      lineNo: number;
      captures: number | string;
    }>(
      this.database,
      `SELECT b.id AS breakId, a.task_id AS task, a.order_no AS orderNo,
         SUBSTRING_INDEX(GROUP_CONCAT(s.channel_ref ORDER BY s.line_no), ',', 1) AS channelRef,
         a.amount_minor AS amount, MIN(s.line_no) AS lineNo,
         IF(b.type = 'payout', 1, ${timesListed('b')}) AS captures
       FROM reconciliation_break b
         STRAIGHT_JOIN attempt a FORCE INDEX (attempt_order)
           ON a.order_no = b.order_no AND a.channel_id = b.channel_id
         STRAIGHT_JOIN statement_row s FORCE INDEX (statement_row_order)
           ON s.order_no = b.order_no AND s.type = b.type
           AND s.statement_id = ? AND s.status = 'succeeded'
         STRAIGHT_JOIN channel_statement st ON st.id = s.statement_id AND st.state = 'valid'
       WHERE b.channel_id = ? AND b.closed_at IS NULL
         AND b.business_date = ? AND b.id > ?
         AND (b.kind = 'only_theirs' AND a.status <> 'succeeded'
           OR b.kind = 'duplicate_capture' AND b.type = 'capture' AND a.captures < ${timesListed('b')})
         AND a.amount_minor = s.amount_minor AND ${ourTypeIs('b.type')}
       GROUP BY b.id ORDER BY b.id LIMIT ?`,
      [day.statementId, day.channelId, day.date, afterBreakId, limit],
    );
    return rows.map((row) => ({
      breakId: row.breakId,
      taskId: taskId(row.task),
      orderNo: row.orderNo as OrderNo,
      channelRef: row.channelRef,
      amountMinor: BigInt(row.amount),
      lineNo: row.lineNo,
      captures: Number(row.captures),
    }));
  }

  async finish(
    runId: string,
    day: MatchDay,
    report: ReconciliationReport,
    state: RunState,
    today: string,
    nowMs: number,
  ): Promise<void> {
    const now = sqlTime(nowMs);
    const { channelId, date } = day;
    await this.#whileRunning(runId, nowMs, async (transaction) => {
      const close = async (where: string, resolution: string, values: readonly string[] = []) =>
        await execute(
          transaction,
          `UPDATE reconciliation_break x
           SET closed_at = ?, closed_by = '${byItself}', resolution = ?
           WHERE x.channel_id = ? AND x.closed_at IS NULL AND ${where}`,
          [now, resolution, channelId, ...values],
        );
      await close(`x.kind = 'only_ours' AND ${spokenOf}`, 'a later statement speaks of it');
      await close(
        `x.kind = 'only_theirs' AND EXISTS (SELECT 1 FROM attempt a
           WHERE a.order_no = x.order_no AND a.channel_id = x.channel_id
             AND a.status = 'succeeded' AND a.amount_minor = x.theirs_minor
             AND ${ourTypeIs('x.type')})`,
        'captured by our book since',
      );
      await close(
        `x.kind = 'duplicate_capture' AND x.type = 'capture' AND EXISTS (SELECT 1 FROM attempt a
           WHERE a.order_no = x.order_no AND a.channel_id = x.channel_id
             AND a.status = 'succeeded' AND a.amount_minor = x.theirs_minor
             AND a.captures >= ${timesListed('x', 'COUNT(*)')})`,
        'counted by our book since: it is owed back, and a case',
      );
      await close('x.business_date = ? AND x.seen_by <> ?', 'no longer found', [date, runId]);
      await endHolding(transaction, { runId, channelId, date, today, now });
      await execute(
        transaction,
        `UPDATE reconciliation SET state = ?, report = ?, ended_at = ? WHERE id = ?`,
        [state, encodeReport(report), now, runId],
      );
    });
  }

  async abandon(runId: string, nowMs: number): Promise<void> {
    await execute(
      this.database,
      `UPDATE reconciliation SET state = 'abandoned', ended_at = ? WHERE id = ? AND state = 'running'`,
      [sqlTime(nowMs), runId],
    );
  }

  async run(id: string): Promise<Run | null> {
    return (await this.#runs('id = ?', [id], 1))[0] ?? null;
  }

  async runs({ channelId, date, limit }: Parameters<Breaks['runs']>[0]): Promise<readonly Run[]> {
    const { where, values } = conditions({
      'channel_id = ?': channelId,
      'business_date = ?': date,
    });
    return await this.#runs(where, values, limit);
  }

  async #runs(where: string, values: readonly string[], limit: number): Promise<Run[]> {
    const rows = await selectRows<RunRow>(
      this.database,
      `SELECT id, channel_id AS channelId, DATE_FORMAT(business_date, '%Y-%m-%d') AS date, state,
         report, asked_by AS \`by\`, created_at AS createdAt, ended_at AS endedAt
       FROM reconciliation WHERE ${where} ORDER BY id DESC LIMIT ?`,
      [...values, limit],
    );
    return rows.map((row) => ({
      ...row,
      channelId: asChannelId(row.channelId),
      report: row.report === null ? null : decodeReport(row.report),
    }));
  }

  async openCount(channelId: ChannelId, date: string): Promise<number> {
    const [row] = await selectRows<{ n: number | string }>(
      this.database,
      `SELECT COUNT(*) AS n FROM reconciliation_break
       WHERE channel_id = ? AND business_date = ? AND closed_at IS NULL`,
      [channelId, date],
    );
    return Number(row?.n ?? 0);
  }

  async list(filter: Parameters<Breaks['list']>[0]): Promise<readonly BreakRecord[]> {
    const { where, values } = conditions({
      'channel_id = ?': filter.channelId,
      'business_date = ?': filter.date,
      'id > ?': filter.afterId,
    });
    const open =
      filter.open === undefined ? '' : `AND closed_at IS ${filter.open ? '' : 'NOT '}NULL`;
    const rows = await selectRows<BreakRow>(
      this.database,
      `SELECT id, channel_id AS channelId, DATE_FORMAT(business_date, '%Y-%m-%d') AS date, kind,
         type, order_no AS orderNo, occurrence, ours_minor AS ours, theirs_minor AS theirs,
         amount_minor AS amount, evidence, opened_at AS openedAt, closed_at AS closedAt,
         closed_by AS closedBy, resolution
       FROM reconciliation_break WHERE ${where} ${open} ORDER BY id LIMIT ?`,
      [...values, filter.limit],
    );
    return rows.map(({ ours, theirs, amount, ...row }) => ({
      ...row,
      channelId: asChannelId(row.channelId),
      oursMinor: ours === null ? null : BigInt(ours),
      theirsMinor: theirs === null ? null : BigInt(theirs),
      amountMinor: BigInt(amount),
    }));
  }

  async resolve(id: string, by: string, resolution: string, nowMs: number): Promise<boolean> {
    const found = await execute(
      this.database,
      `UPDATE reconciliation_break SET closed_at = ?, closed_by = ?, resolution = ?
       WHERE id = ? AND closed_at IS NULL`,
      [sqlTime(nowMs), by.slice(0, 100), resolution.slice(0, 500), id],
    );
    return found > 0;
  }

  /** @throws RecoupError `reconciliation_busy` once the run was taken for dead, or its statement replaced. */
  async #whileRunning(
    runId: string,
    nowMs: number,
    work: (transaction: Knex.Transaction) => Promise<unknown>,
  ): Promise<void> {
    await inTransaction(this.database, async (transaction) => {
      const mine = await execute(
        transaction,
        `UPDATE reconciliation SET touched_at = ? WHERE id = ? AND state = 'running'
           AND statement_id IN (SELECT id FROM channel_statement WHERE state = 'valid')`,
        [sqlTime(nowMs), runId],
      );
      if (mine === 0) throw new RecoupError('reconciliation_busy');
      await work(transaction);
    });
  }
}

/** How often the statements that count list the order, at our amount: a line repeated is no capture. */
const timesListed = (found: string, what = 'COUNT(DISTINCT e.channel_ref)'): string =>
  `(SELECT ${what} FROM statement_row e FORCE INDEX (statement_row_order)
     STRAIGHT_JOIN channel_statement es
       ON es.id = e.statement_id AND es.state = 'valid' AND es.channel_id = ${found}.channel_id
   WHERE e.order_no = ${found}.order_no AND e.type = ${found}.type AND e.status = 'succeeded'
     AND e.amount_minor = a.amount_minor)`;

const ourTypeIs = (type: string): string =>
  `${type} = CASE a.operation
     WHEN 'refund' THEN 'refund' WHEN 'payout' THEN 'payout' ELSE 'capture' END`;

/** What has come is held no longer; what has not come in time becomes a break of its own date. */
async function endHolding(
  transaction: Knex.Transaction,
  about: { runId: string; channelId: ChannelId; date: string; today: string; now: string },
): Promise<void> {
  const { runId, channelId, date, today, now } = about;
  await execute(
    transaction,
    `DELETE x FROM reconciliation_held x
     WHERE x.channel_id = ? AND ((x.business_date = ? AND x.seen_by <> ?) OR ${spokenOf})`,
    [channelId, date, runId],
  );
  await execute(
    transaction,
    `INSERT INTO reconciliation_break (channel_id, business_date, kind, type, order_no, occurrence,
       ours_minor, theirs_minor, amount_minor, evidence, seen_by, opened_at)
     SELECT x.channel_id, x.business_date, 'only_ours', x.type, x.order_no, 0, x.amount_minor, NULL,
       x.amount_minor, CONCAT('in no statement until ', x.held_until), ?, ?
     FROM reconciliation_held x WHERE x.channel_id = ? AND x.held_until < ?
     ON DUPLICATE KEY UPDATE ${foundAgain}`,
    [runId, now, channelId, today],
  );
  await execute(
    transaction,
    'DELETE FROM reconciliation_held WHERE channel_id = ? AND held_until < ?',
    [channelId, today],
  );
}

function conditions(all: Readonly<Record<string, string | undefined>>): {
  where: string;
  values: string[];
} {
  const used = Object.entries(all).filter((one): one is [string, string] => one[1] !== undefined);
  const where = used.length === 0 ? 'TRUE' : used.map(([condition]) => condition).join(' AND ');
  return { where, values: used.map(([, value]) => value) };
}

interface RunRow {
  readonly id: string;
  readonly channelId: string;
  readonly date: string;
  readonly state: RunState;
  readonly report: string | null;
  readonly by: string;
  readonly createdAt: Date;
  readonly endedAt: Date | null;
}

interface BreakRow {
  readonly id: string;
  readonly channelId: string;
  readonly date: string;
  readonly kind: BreakKind;
  readonly type: RowType;
  readonly orderNo: string;
  readonly occurrence: number;
  readonly ours: string | null;
  readonly theirs: string | null;
  readonly amount: string;
  readonly evidence: string;
  readonly openedAt: Date;
  readonly closedAt: Date | null;
  readonly closedBy: string | null;
  readonly resolution: string | null;
}
