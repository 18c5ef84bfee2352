/**
 * Both sides of a day held against each other, in sets: each side is read once, in parts, in the order
 * of an index, and looked up on the other side by order number. Everything is read in one snapshot, so
 * that the two sides and the control totals speak of the same moment while charging goes on.
 *
 * Indexes and the order of joins are forced: statistics made while a million rows were being written
 * lead MariaDB to read every statement that counts for each row, or every row of one.
 *
 * Parts of 10,000 rows keep each statement well under a second and memory flat. Measured with a million
 * rows on either side: see bench/reconciliation.ts.
 */
import type { Knex } from 'knex';
import { invariant } from '../assert.js';
import type { ChannelId } from '../ids.js';
import type { Difference, MatchKind, Tally } from '../reconciliation/difference.js';
import type { Found, MatchDay, Matched, Matching } from '../reconciliation/ports.js';
import type { RowStatus, RowType, StatementRow } from '../reconciliation/statement.js';
import { places, selectRows, sqlTime, type Database } from './database.js';

const partRows = 10_000;
/** A list of every order number of a part, and more. */
const listBytesMax = 1_048_576;
/** Details of rows that do not agree are read and handed on this many at a time. */
const detailRows = 500;

/** What our order does, in the words of a statement. */
const ourType = `CASE a.operation
  WHEN 'refund' THEN 'refund' WHEN 'payout' THEN 'payout' ELSE 'capture' END`;
/** Rows of these kinds are counted; of the others each is told. */
const uneventful = `'matched','cross_day','captured_again','failed'`;

/** Our order behind a row of theirs: of the same channel and the same type, or none. */
const joinOurs = `LEFT JOIN attempt a
  ON a.order_no = s.order_no AND a.channel_id = :channel AND ${ourType} = s.type`;

const share = (amount: string, flat: string, points: string, max: string): string =>
  `LEAST(:${flat} + ((CAST(${amount} AS DECIMAL(40,0)) * :${points} + :rounding) DIV 10000), :${max})`;

/** What a channel keeps for an order, by its profile. It keeps nothing for a refund. */
const feeDue = (amount: string, type: string): string =>
  `CASE ${type} WHEN 'refund' THEN 0
     WHEN 'payout' THEN ${share(amount, 'payFlat', 'payPoints', 'payFeeMax')}
     ELSE ${share(amount, 'flat', 'points', 'feeMax')} END`;

/** Succeeded rows of the same order in statements that count, but for what `where` says. */
const succeededRows = (what: string, where: string): string =>
  `(SELECT ${what} FROM statement_row e FORCE INDEX (statement_row_order)
     STRAIGHT_JOIN channel_statement es
       ON es.id = e.statement_id AND es.state = 'valid' AND es.channel_id = :channel
   WHERE e.order_no = s.order_no AND e.type = s.type AND e.status = 'succeeded' AND ${where})`;
const succeededAlso = (where: string): string => `EXISTS ${succeededRows('1', where)}`;
const earlier = '(e.statement_id, e.line_no) < (s.statement_id, s.line_no)';

/** Statements are numbered as they came: of two successes the one that came later is the second. */
const theirKind = `CASE
    WHEN s.status = 'failed' AND a.order_no IS NULL THEN 'only_theirs'
    WHEN s.status = 'failed' AND a.status = 'succeeded'
      AND NOT ${succeededAlso('e.completed_at >= s.completed_at')} THEN 'status_flip'
    WHEN s.status = 'failed' THEN 'failed'
    WHEN ${succeededAlso(earlier)}
      THEN IF(s.type = 'capture' AND a.status = 'succeeded' AND s.amount_minor = a.amount_minor
        AND a.captures > ${succeededRows('COUNT(*)', earlier)}, 'captured_again', 'duplicate_capture')
    WHEN a.order_no IS NULL THEN 'only_theirs'
    WHEN a.amount_minor <> s.amount_minor THEN 'amount_mismatch'
    WHEN a.status <> 'succeeded' THEN 'only_theirs'
    WHEN s.fee_minor <> ${feeDue('s.amount_minor', 's.type')} THEN 'fee_mismatch'
    WHEN a.business_date <> :date THEN 'cross_day'
    ELSE 'matched' END`;

/** \`r\` is the first success of theirs, \`st\` its statement. */
const ourKind = `CASE
    WHEN o.line_no IS NULL AND o.failed THEN 'status_flip'
    WHEN o.line_no IS NULL AND o.midnight THEN 'held'
    WHEN o.line_no IS NULL THEN 'only_ours'
    WHEN o.their_minor <> o.amount_minor THEN 'amount_mismatch'
    WHEN o.their_fee <> ${feeDue('o.their_minor', 'o.type')} THEN 'fee_mismatch'
    WHEN o.their_date <> :date THEN 'cross_day'
    ELSE 'matched' END`;

/** Captured orders of a day within \`:after\` < number <= \`:upTo\`, each with its first row of theirs. */
const ourOrders = `SELECT o.*, ${ourKind} AS kind FROM (
    SELECT a.order_no, ${ourType} AS type, a.amount_minor, r.line_no, r.amount_minor AS their_minor,
      r.fee_minor AS their_fee, st.business_date AS their_date,
      :holds AND (a.ended_at >= :lastHour OR a.created_at < :firstHour) AS midnight,
      r.line_no IS NULL AND EXISTS (SELECT 1
        FROM statement_row f FORCE INDEX (statement_row_order)
        STRAIGHT_JOIN channel_statement fs
          ON fs.id = f.statement_id AND fs.state = 'valid' AND fs.channel_id = :channel
        WHERE f.order_no = a.order_no AND f.type = ${ourType} AND f.status = 'failed') AS failed,
      ROW_NUMBER() OVER (PARTITION BY a.order_no ORDER BY r.statement_id, r.line_no) AS nth
    FROM attempt a FORCE INDEX (attempt_book)
      LEFT JOIN (statement_row r FORCE INDEX (statement_row_order)
        STRAIGHT_JOIN channel_statement st
        ON st.id = r.statement_id AND st.state = 'valid' AND st.channel_id = :channel)
      ON r.order_no = a.order_no AND r.type = ${ourType} AND r.status = 'succeeded'
    WHERE a.channel_id = :channel AND a.business_date = :date AND a.status = 'succeeded'
      AND a.order_no > :after AND a.order_no <= :upTo) AS o
  WHERE o.nth = 1`;

type Named = Readonly<Record<string, string | number | null>>;

export class MatchingStore implements Matching {
  constructor(private readonly database: Database) {}

  async match(day: MatchDay, found: Found): Promise<Matched> {
    // REPEATABLE READ: the snapshot is taken at the first read and holds to the end.
    return await this.database.transaction(
      async (snapshot) => {
        await snapshot.raw(`SET SESSION group_concat_max_len = ${listBytesMax}`);
        return {
          theirs: await theirSide(snapshot, day, found),
          ours: await ourSide(snapshot, day, found),
          oursCounted: await ourTotals(snapshot, day),
        };
      },
      { isolationLevel: 'repeatable read' },
    );
  }

  async *book(
    day: Omit<MatchDay, 'statementId'>,
  ): AsyncGenerator<readonly Omit<StatementRow, 'lineNo'>[]> {
    let after = '';
    for (;;) {
      const rows = await selectNamed<BookRow>(
        this.database,
        `SELECT a.order_no AS orderNo, ${ourType} AS type, a.amount_minor AS amount,
           a.channel_ref AS channelRef, a.ended_at AS endedAt,
           ${feeDue('a.amount_minor', ourType)} AS fee
         FROM attempt a FORCE INDEX (attempt_book)
         WHERE a.channel_id = :channel AND a.business_date = :date AND a.order_no > :after
           AND a.status = 'succeeded'
         ORDER BY a.order_no LIMIT ${detailRows}`,
        { ...named({ ...day, statementId: '0' }), after },
      );
      if (rows.length > 0) yield rows.map(toBookRow);
      const last = rows.at(-1);
      if (last === undefined || rows.length < detailRows) return;
      after = last.orderNo;
    }
  }
}

interface BookRow {
  readonly orderNo: string;
  readonly type: RowType;
  readonly amount: string;
  readonly fee: string;
  readonly channelRef: string;
  readonly endedAt: Date;
}

const toBookRow = (row: BookRow): Omit<StatementRow, 'lineNo'> => ({
  type: row.type,
  orderNo: row.orderNo,
  channelRef: row.channelRef,
  status: 'succeeded',
  amountMinor: BigInt(row.amount),
  feeMinor: BigInt(row.fee),
  completedAtMs: row.endedAt.getTime(),
});

async function theirSide(snapshot: Knex.Transaction, day: MatchDay, found: Found) {
  const values = named(day);
  const tallies = new Tallies();
  const [last] = await selectNamed<{ line: number | null }>(
    snapshot,
    'SELECT MAX(line_no) AS line FROM statement_row WHERE statement_id = :statement',
    values,
  );
  for (let after = 0; after < (last?.line ?? 0); after += partRows) {
    const rows = await selectNamed<TallyRow>(
      snapshot,
      `SELECT kind, type, COUNT(*) AS n, SUM(moved) AS amount, SUM(moved_fee) AS fee,
         GROUP_CONCAT(IF(kind IN (${uneventful}), NULL, line_no) ORDER BY line_no) AS concerned
       FROM (
         SELECT s.line_no, s.type, ${theirKind} AS kind,
           IF(s.status = 'succeeded', s.amount_minor, 0) AS moved,
           IF(s.status = 'succeeded', s.fee_minor, 0) AS moved_fee
         FROM statement_row s ${joinOurs}
         WHERE s.statement_id = :statement AND s.line_no > :after AND s.line_no <= :upTo) AS t
       GROUP BY kind, type`,
      { ...values, after, upTo: after + partRows },
    );
    for (const row of rows) {
      tallies.add(row);
      for (const lines of portions(row)) {
        await found.differences(await theirDetails(snapshot, values, row.kind, lines));
      }
    }
    await found.progress();
  }
  return tallies.all();
}

async function ourSide(snapshot: Knex.Transaction, day: MatchDay, found: Found) {
  const values = named(day);
  const tallies = new Tallies();
  for (let after = ''; ;) {
    const upTo = await partEnd(snapshot, day.channelId, day.date, after);
    const part = { ...values, after, upTo: upTo ?? '\x7f' };
    const rows = await selectNamed<TallyRow>(
      snapshot,
      `SELECT kind, type, COUNT(*) AS n, SUM(amount_minor) AS amount, 0 AS fee,
         GROUP_CONCAT(IF(kind IN ('only_ours', 'held'), order_no, NULL) ORDER BY order_no)
           AS concerned
       FROM (${ourOrders}) AS t GROUP BY kind, type`,
      part,
    );
    for (const row of rows) {
      tallies.add(row);
      for (const orders of portions(row)) await ourDetails(snapshot, row, orders, found);
    }
    await found.progress();
    if (upTo === null) return tallies.all();
    after = upTo;
  }
}

/** The last order number of the next part of our side; null when the rest is one part. */
async function partEnd(
  snapshot: Knex.Transaction,
  channelId: ChannelId,
  date: string,
  after: string,
): Promise<string | null> {
  const [row] = await selectRows<{ order_no: string }>(
    snapshot,
    `SELECT order_no FROM attempt FORCE INDEX (attempt_book)
     WHERE channel_id = ? AND business_date = ? AND order_no > ?
     ORDER BY order_no LIMIT 1 OFFSET ${partRows}`,
    [channelId, date, after],
  );
  return row?.order_no ?? null;
}

/** The same sums by another way: another index, and no join that could multiply or lose a row. */
async function ourTotals(snapshot: Knex.Transaction, { channelId, date }: MatchDay) {
  const rows = await selectRows<{ type: RowType; n: number | string; amount: string }>(
    snapshot,
    `SELECT ${ourType} AS type, COUNT(*) AS n, SUM(a.amount_minor) AS amount FROM attempt a
     WHERE a.channel_id = ? AND a.business_date = ? AND a.status = 'succeeded' GROUP BY 1`,
    [channelId, date],
  );
  return rows.map((row) => ({
    type: row.type,
    rows: Number(row.n),
    amountMinor: BigInt(row.amount),
  }));
}

interface DetailRow {
  readonly lineNo: number;
  readonly type: RowType;
  readonly orderNo: string;
  readonly status: RowStatus;
  readonly channelRef: string;
  readonly amount: string;
  readonly fee: string;
  readonly feeDue: string;
  readonly ourStatus: string | null;
  readonly ourAmount: string | null;
}

async function theirDetails(
  snapshot: Knex.Transaction,
  values: Named,
  kind: MatchKind,
  lines: readonly string[],
): Promise<readonly Difference[]> {
  const rows = await selectNamed<DetailRow>(
    snapshot,
    `SELECT s.line_no AS lineNo, s.type, s.order_no AS orderNo, s.status,
       s.channel_ref AS channelRef, s.amount_minor AS amount, s.fee_minor AS fee,
       ${feeDue('s.amount_minor', 's.type')} AS feeDue,
       a.status AS ourStatus, a.amount_minor AS ourAmount
     FROM statement_row s ${joinOurs}
     WHERE s.statement_id = :statement AND s.line_no IN (${lines.map(Number).join(',')})
     ORDER BY s.line_no`,
    values,
  );
  return rows.map((row) => ({
    kind: kind as Difference['kind'],
    type: row.type,
    orderNo: row.orderNo,
    theirs: {
      lineNo: row.lineNo,
      status: row.status,
      channelRef: row.channelRef,
      amountMinor: BigInt(row.amount),
      feeMinor: BigInt(row.fee),
      feeDueMinor: BigInt(row.feeDue),
    },
    ours:
      row.ourStatus === null || row.ourAmount === null
        ? null
        : { status: row.ourStatus, amountMinor: BigInt(row.ourAmount) },
  }));
}

async function ourDetails(
  snapshot: Knex.Transaction,
  { kind, type }: TallyRow,
  orders: readonly string[],
  found: Found,
): Promise<void> {
  const rows = await selectRows<{ orderNo: string; amount: string }>(
    snapshot,
    `SELECT order_no AS orderNo, amount_minor AS amount FROM attempt
     WHERE order_no IN (${places(orders)}) ORDER BY order_no`,
    orders,
  );
  const amounts = rows.map(({ orderNo, amount }) => ({ orderNo, amountMinor: BigInt(amount) }));
  if (kind === 'held') return await found.held(amounts.map((one) => ({ ...one, type })));
  await found.differences(
    amounts.map(({ orderNo, amountMinor }) => ({
      kind: 'only_ours',
      type,
      orderNo,
      theirs: null,
      ours: { status: 'succeeded', amountMinor },
    })),
  );
}

interface TallyRow {
  readonly kind: MatchKind;
  readonly type: RowType;
  readonly n: number | string;
  readonly amount: string;
  readonly fee: string;
  readonly concerned: string | null;
}

/** Sums of parts, as bigint: MariaDB gives sums as decimals, and no float comes near them. */
class Tallies {
  readonly #sums = new Map<string, Tally>();

  add({ kind, type, n, amount, fee }: TallyRow): void {
    const key = `${kind} ${type}`;
    const before = this.#sums.get(key) ?? { kind, type, rows: 0, amountMinor: 0n, feeMinor: 0n };
    this.#sums.set(key, {
      kind,
      type,
      rows: before.rows + Number(n),
      amountMinor: before.amountMinor + BigInt(amount),
      feeMinor: before.feeMinor + BigInt(fee),
    });
  }

  all(): readonly Tally[] {
    return [...this.#sums.values()];
  }
}

function* portions({ concerned, n, kind }: TallyRow): Generator<readonly string[]> {
  if (concerned === null) return;
  const all = concerned.split(',');
  invariant(all.length === Number(n), `every row that is ${kind} is listed`);
  for (let at = 0; at < all.length; at += detailRows) yield all.slice(at, at + detailRows);
}

const roundings = { half_up: 5_000, up: 9_999, down: 0 } as const;
/** Where a fee has no upper end. */
const feeUnbounded = '999999999999999999';

const named = (day: MatchDay): Named => ({
  channel: day.channelId,
  date: day.date,
  statement: day.statementId,
  flat: day.fees.flatMinor.toString(),
  points: day.fees.basisPoints,
  rounding: roundings[day.fees.rounding],
  feeMax: day.fees.maxMinor?.toString() ?? feeUnbounded,
  payFlat: day.payoutFees.flatMinor.toString(),
  payPoints: day.payoutFees.basisPoints,
  payFeeMax: day.payoutFees.maxMinor?.toString() ?? feeUnbounded,
  holds: day.heldUntil === null ? 0 : 1,
  firstHour: sqlTime(day.firstHourEndsMs),
  lastHour: sqlTime(day.lastHourBeginsMs),
});

/** \`:name\` stands for a value; each query uses some of them, some of them several times. */
async function selectNamed<Row>(
  database: Knex | Knex.Transaction,
  sql: string,
  values: Named,
): Promise<Row[]> {
  const bindings: (string | number | null)[] = [];
  const placed = sql.replaceAll(/:([a-zA-Z]+)/g, (_all, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`no value for :${name}`);
    bindings.push(value);
    return '?';
  });
  return await selectRows<Row>(database, placed, bindings);
}
