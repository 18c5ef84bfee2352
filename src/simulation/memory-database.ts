import type { InFlightLog } from '../compensation/sweep.js';
import type { Task } from '../engine/tasks.js';
import { decodeEntry, encodeEntry, type Entry } from '../engine/entries.js';
import { StaleWriter, type Append } from '../engine/journal.js';
import { RecoupError } from '../errors.js';
import type { TaskId } from '../ids.js';
import type { NewRepayment } from '../intake/repayment.js';
import { sqlTime } from '../store/database.js';
import { project, type Projected, type Row } from '../store/projections.js';
import { FlowTables } from './memory-flows.js';
import { MemoryRefundRequests } from './memory-refund-requests.js';

/** A row while it is in a table. */
export type Stored = Record<string, string | number | null>;

export interface LoggedRow {
  readonly seq: number;
  readonly writer: string;
  readonly entry: Entry;
}

export interface RepaymentBalance {
  readonly facts: NewRepayment;
  paid: bigint;
  collecting: bigint;
}

export interface Capture {
  readonly credited: bigint;
  readonly refund: bigint;
}

const none: Capture = { credited: 0n, refund: 0n };

const live = new Set(['processing', 'needs_review']);
const liveAttempt = new Set(['sending', 'pending', 'unknown']);

/**
 * The tables, with the constraints of `migrations/001-tasks.ts` and `004-refunds.ts` and `016-top-up-refunds.ts`
 * (those of withdrawals and top-ups are in memory-flows.ts), and the answers of `SqlJournal` when one of them refuses. `test/simulation/fidelity.test.ts` holds it to the real ones. An append is
 * whole or not at all: everything is checked before anything is changed.
 */
export class MemoryDatabase {
  readonly log = new Map<TaskId, LoggedRow[]>();
  readonly deductions = new Map<string, Stored>();
  /** By task, in order of attempt. */
  readonly attempts = new Map<string, Stored[]>();
  readonly cases = new Map<string, Stored[]>();
  readonly inFlight = new Map<string, Stored>();
  readonly repayments = new Map<string, RepaymentBalance>();
  readonly outbox = new Map<string, Stored>();
  readonly refunds = new Map<string, Stored>();
  readonly requests = new MemoryRefundRequests();
  /** What of a captured attempt is credited, and what is given back or about to be. */
  readonly captures = new Map<string, Capture>();
  readonly flows = new FlowTables();
  readonly #refundRequests = new Set<string>();
  readonly #requests = new Map<string, string>();
  readonly #liveOn = new Map<string, string>();
  readonly #taskOfOrder = new Map<string, string>();

  /** @param encoded keep entries as the text that the real table holds. Slower, and truer. */
  constructor(
    private readonly zone: string,
    private readonly encoded: boolean,
  ) {}

  register(repayment: NewRepayment): void {
    this.repayments.set(repayment.id, { facts: repayment, paid: 0n, collecting: 0n });
  }

  entries(taskId: TaskId): readonly Entry[] | null {
    return this.log.get(taskId)?.map((row) => row.entry) ?? null;
  }

  taskOfOrder(orderNo: string): TaskId | null {
    return (this.#taskOfOrder.get(orderNo) as TaskId | undefined) ?? null;
  }

  byRequest(requestKey: string): Stored | null {
    const id = this.#requests.get(requestKey);
    return id === undefined ? null : (this.deductions.get(id) ?? null);
  }

  liveOn(repaymentId: string): Stored | null {
    const id = this.#liveOn.get(repaymentId);
    return id === undefined ? null : (this.deductions.get(id) ?? null);
  }

  /** @throws what `Journal.append` throws; nothing is written then. */
  append(append: Append<Task>): void {
    const { taskId, afterSeq } = append;
    const rows = this.log.get(taskId) ?? [];
    const there = rows[afterSeq];
    if (there !== undefined) {
      // Its own commit, of which the writer never heard, is found again by reading back.
      if (there.writer === append.writer) return;
      throw new StaleWriter(taskId, afterSeq);
    }
    if (rows.length < afterSeq) throw new Error(`append to ${taskId} would leave a gap`);
    const projected = project(append, this.zone);
    this.flows.checkMember(projected);
    this.#checkDeduction(projected);
    this.#checkRefundRow(projected);
    this.flows.checkTasks(projected);
    this.#checkAttempts(projected);
    this.#checkCaptures(projected);
    this.#checkOutbox(projected);
    this.#checkRepayment(projected);
    this.#checkInFlight(projected);
    append.entries.forEach((entry, at) =>
      rows.push({ seq: afterSeq + at + 1, writer: append.writer, entry: this.#kept(entry) }),
    );
    this.log.set(taskId, rows);
    this.#apply(taskId, projected);
  }

  #kept(entry: Entry): Entry {
    return this.encoded ? decodeEntry(entry.kind, entry.atMs, encodeEntry(entry)) : entry;
  }

  #checkDeduction({ deductionInsert: row, deductionUpdate }: Projected): void {
    if (deductionUpdate !== null) checkStates(deductionUpdate);
    if (row === null) return;
    checkStates(row);
    // In the order in which MariaDB looks: keys that cannot be null, other keys, parents.
    if (this.#requests.has(String(row['request_key']))) throw new RecoupError('request_repeated');
    const isLive = live.has(String(row['status']));
    if (isLive && this.#liveOn.has(String(row['repayment_id']))) {
      throw new RecoupError('live_deduction_exists');
    }
    if (!this.repayments.has(String(row['repayment_id']))) {
      throw new RecoupError('repayment_unknown');
    }
  }

  #checkAttempts({ attemptInserts, attemptUpdates }: Projected): void {
    for (const row of [...attemptInserts, ...attemptUpdates]) checkAttemptStates(row);
    for (const row of attemptInserts) {
      if (this.#taskOfOrder.has(String(row['order_no']))) {
        throw new Error('duplicate key attempt_order');
      }
      const others = this.attempts.get(String(row['task_id'])) ?? [];
      const after = others.map(
        (one) => attemptUpdates.find((u) => u['attempt_no'] === one['attempt_no']) ?? one,
      );
      const count = [...after, ...attemptInserts].filter((one) =>
        liveAttempt.has(String(one['status'])),
      );
      if (count.length > 1) throw new Error('duplicate key attempt_live_task');
    }
  }

  #checkRefundRow({ refundInsert: row, refundUpdate }: Projected): void {
    if (refundUpdate !== null) {
      checkStates(refundUpdate);
      const before = this.refunds.get(String(refundUpdate['id']));
      this.#checkLiveCapture({ ...before, ...refundUpdate });
    }
    if (row === null) return;
    checkStates(row);
    if (this.#refundRequests.has(String(row['request_key']))) {
      throw new RecoupError('request_repeated');
    }
    this.#checkLiveCapture(row);
  }

  /** The unique key `refund_one_a_capture`. */
  #checkLiveCapture(row: Row): void {
    const { id, top_up_id: topUp = null, attempt_no: attemptNo, capture_no: captureNo } = row;
    if (topUp === null || row['status'] === 'failed') return;
    const others = this.#takingFrom(String(topUp), Number(attemptNo), String(id));
    if (others.some((one) => one['capture_no'] === captureNo)) {
      throw new RecoupError('capture_not_available', { key: `${topUp} ${attemptNo}` });
    }
  }

  #takingFrom(topUp: string, attemptNo: number, but: string): readonly Stored[] {
    return [...this.refunds.values()].filter(
      (one) =>
        one['top_up_id'] === topUp &&
        one['attempt_no'] === attemptNo &&
        one['status'] !== 'failed' &&
        one['id'] !== but,
    );
  }

  /** The captures of a top-up's order that refunds have given back, or are about to. */
  capturesTaken(topUp: string, attemptNo: number): readonly number[] {
    return this.#takingFrom(topUp, attemptNo, '').map((one) => Number(one['capture_no']));
  }

  #checkCaptures(projected: Projected): void {
    for (const { key, after, amount, captured } of this.#captured(projected)) {
      const { credited, refund } = after;
      const some = credited !== 0n || refund !== 0n;
      const ok = credited >= 0n && refund >= 0n && credited + refund <= amount;
      if (!ok || (some && !captured)) throw new RecoupError('capture_not_available', { key });
    }
  }

  /** What the captures will be with these rows. */
  #captured({ attemptUpdates, captureDelta: delta }: Projected): Captured[] {
    const changes = attemptUpdates
      .filter((row) => BigInt(row['credited'] ?? 0) !== 0n)
      .map((row): Row => ({ ...row, refund: 0 }));
    return (delta === null ? changes : [...changes, delta]).map((change) => {
      const key = `${change['task_id']} ${change['attempt_no']}`;
      const rows = this.attempts.get(String(change['task_id'])) ?? [];
      const same = (one: Row): boolean =>
        one['task_id'] === change['task_id'] && one['attempt_no'] === change['attempt_no'];
      // The attempts' own statement has come before: a payment may be used by what records it.
      const row = { ...rows.find(same), ...attemptUpdates.find(same) };
      const before = this.captures.get(key) ?? none;
      const after = {
        credited: before.credited + BigInt(change['credited'] ?? 0),
        refund: before.refund + BigInt(change['refund'] ?? 0),
      };
      const amount = BigInt(row['amount_minor'] ?? 0) * BigInt(row['captures'] ?? 1);
      return { key, after, amount, captured: row['status'] === 'succeeded' };
    });
  }

  #checkRepayment({ repaymentDelta: delta }: Projected): void {
    if (delta === null) return;
    const balance = this.repayments.get(String(delta['id']));
    if (balance === undefined) return;
    const paid = balance.paid + BigInt(delta['paid'] ?? 0);
    const collecting = balance.collecting + BigInt(delta['collecting'] ?? 0);
    if (paid < 0n || collecting < 0n || paid + collecting > balance.facts.dueMinor) {
      throw new RecoupError('amount_exceeds_due');
    }
  }

  #checkInFlight({ inFlightUpdate, inFlightDelete }: Projected): void {
    const row = inFlightUpdate ?? inFlightDelete;
    if (row !== null && !this.inFlight.has(String(row['task_id']))) {
      throw new Error('1 rows of in_flight are missing');
    }
  }

  #checkOutbox({ outbox }: Projected): void {
    for (const row of outbox) {
      if (this.outbox.has(nameOf(row))) {
        throw new Error('duplicate key outbox_message');
      }
    }
  }

  #apply(taskId: string, projected: Projected): void {
    for (const { key, after } of this.#captured(projected)) this.captures.set(key, after);
    this.flows.apply(taskId, projected);
    const { refundInsert, refundUpdate } = projected;
    if (refundInsert !== null) {
      this.refunds.set(taskId, { ...refundInsert });
      this.#refundRequests.add(String(refundInsert['request_key']));
    }
    if (refundUpdate !== null) {
      this.refunds.set(taskId, { ...this.refunds.get(taskId), ...refundUpdate });
    }
    const { deductionInsert, deductionUpdate, repaymentDelta: delta } = projected;
    if (deductionInsert !== null) {
      this.deductions.set(taskId, { ...deductionInsert });
      this.#requests.set(String(deductionInsert['request_key']), taskId);
    }
    const row = this.deductions.get(taskId);
    if (row !== undefined) {
      if (deductionUpdate !== null) Object.assign(row, deductionUpdate);
      const repayment = String(row['repayment_id']);
      if (live.has(String(row['status']))) this.#liveOn.set(repayment, taskId);
      else if (this.#liveOn.get(repayment) === taskId) this.#liveOn.delete(repayment);
    }
    const updates = projected.attemptUpdates.map(({ credited: _credited, ...row }) => row);
    merge(this.attempts, taskId, projected.attemptInserts, updates, 'attempt_no');
    for (const one of projected.attemptInserts) {
      this.#taskOfOrder.set(String(one['order_no']), taskId);
    }
    merge(this.cases, taskId, projected.caseInserts, projected.caseUpdates, 'case_no');
    const { inFlightUpdate, inFlightDelete } = projected;
    const inFlightInsert = projected.inFlightInsert ?? projected.inFlightReopen;
    if (inFlightInsert !== null) this.inFlight.set(taskId, { ...inFlightInsert });
    if (inFlightUpdate !== null) {
      this.inFlight.set(taskId, { ...this.inFlight.get(taskId), ...inFlightUpdate });
    }
    if (inFlightDelete !== null) this.inFlight.delete(taskId);
    for (const message of projected.outbox) {
      this.outbox.set(nameOf(message), { ...message });
    }
    const balance = delta === null ? undefined : this.repayments.get(String(delta['id']));
    if (balance !== undefined && delta !== null) {
      balance.paid += BigInt(delta['paid'] ?? 0);
      balance.collecting += BigInt(delta['collecting'] ?? 0);
    }
  }
}

/** The outbox is unique by topic and key. */
const nameOf = (row: Row): string => `${row['topic']} ${row['message_key']}`;

interface Captured {
  readonly key: string;
  readonly after: Capture;
  readonly amount: bigint;
  readonly captured: boolean;
}

function merge(
  table: Map<string, Stored[]>,
  taskId: string,
  inserts: readonly Row[],
  updates: readonly Row[],
  key: string,
): void {
  if (inserts.length === 0 && updates.length === 0) return;
  const rows = table.get(taskId) ?? [];
  for (const insert of inserts) {
    if (rows.some((row) => row[key] === insert[key])) throw new Error(`duplicate key ${key}`);
    rows.push({ ...insert });
  }
  for (const update of updates) {
    const row = rows.find((one) => one[key] === update[key]);
    if (row === undefined) throw new Error(`a row to update is missing: ${key} ${update[key]}`);
    Object.assign(row, update);
  }
  table.set(taskId, rows);
}

/** The CHECK `deduction_states`. */
function checkStates(row: Row): void {
  const { status, ended_at: ended, failure_code: code, order_no: order } = row;
  const ok =
    (live.has(String(status)) && ended === null && code === null) ||
    (status === 'succeeded' && ended !== null && order !== null && code === null) ||
    (status === 'failed' && ended !== null && code !== null);
  if (!ok) throw new Error(`check deduction_states refuses ${String(status)}`);
}

/** The CHECK `attempt_states`. */
function checkAttemptStates(row: Row): void {
  const { status, ended_at: ended } = row;
  const ok =
    (liveAttempt.has(String(status)) && ended === null) ||
    (ended !== null &&
      ((status === 'succeeded' && row['channel_ref'] !== null) ||
        (status === 'declined' && row['decline_code'] !== null) ||
        (status === 'not_executed' && row['proof'] !== null)));
  if (!ok) throw new Error(`check attempt_states refuses ${String(status)}`);
}

/** The in-flight log over the tables in memory. */
export class MemoryInFlightLog {
  constructor(private readonly database: MemoryDatabase) {}

  claimOverdue(claim: Parameters<InFlightLog['claimOverdue']>[0]): readonly TaskId[] {
    const [overdueAt, now] = [sqlTime(claim.overdueAtMs), sqlTime(claim.nowMs)];
    const overdue = [...this.database.inFlight.values()]
      .filter(
        (row) =>
          row['kind'] === claim.kind &&
          isAtMost(row['wake_at'], overdueAt) &&
          (row['claimed_until'] === null || isAtMost(row['claimed_until'], now)),
      )
      .toSorted((a, b) => (String(a['wake_at']) < String(b['wake_at']) ? -1 : 1))
      .slice(0, claim.limit);
    for (const row of overdue) {
      row['claimed_by'] = claim.by;
      row['claimed_until'] = sqlTime(claim.claimUntilMs);
    }
    return overdue.map((row) => row['task_id'] as TaskId);
  }
}

/** Instants as the projections write them compare like the instants themselves. */
const isAtMost = (cell: string | number | null | undefined, instant: string): boolean =>
  typeof cell === 'string' && cell <= instant;
