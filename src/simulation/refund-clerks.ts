/**
 * Refunds that people ask for: one clerk requests, the head approves or declines, over the real desk and
 * the real carrier. Requests are repeated under their key until there is a word; what was approved is
 * carried out until it has an end, now and then by two at once.
 */
import { refundRequestCarrier } from '../cases/refund-request-carrier.js';
import {
  RefundRequestDesk,
  refundKeyOf,
  type NewRefundRequest,
  type RefundAsked,
} from '../cases/refund-requests.js';
import type { CaseRecord } from '../cases/case.js';
import type { Carrier, Decided } from '../cases/ports.js';
import { RecoupError, type ErrorCode } from '../errors.js';
import { taskId, type TaskId } from '../ids.js';
import { amountMinor } from '../money.js';
import { onThrown } from './callers.js';
import { Chance, mix } from './chance.js';
import type { StoredRequest } from './memory-refund-requests.js';
import { refundReadsOf } from './refund-reads.js';
import type { SimProcess } from './sim-process.js';
import type { World, WorldViolation } from './world.js';

const clerk = { name: 'clerk', keyId: 'key_clerk' };
const refusals: readonly ErrorCode[] = [
  'capture_not_available',
  'deduction_not_ended',
  'nothing_credited',
];
const unavailable = (): RecoupError => new RecoupError('journal_unavailable');

export interface RefundRequestParts {
  readonly desk: RefundRequestDesk;
  readonly carry: Carrier;
}

/** The real desk and carrier of one process. */
export function refundRequestsOf(process: SimProcess): RefundRequestParts {
  const { world, clock } = process;
  const { requests } = world.database;
  const read = async <T>(what: () => T): Promise<T> => await process.io(1, what);
  const book = {
    byKey: async (key: string) => await read(() => requests.byKey(key)),
    ofDeduction: async () => [],
    open: async (request: NewRefundRequest) =>
      await commit(process, request.deductionId, () => {
        const at = `${request.deductionId} ${request.attemptNo}`;
        const credited = world.database.captures.get(at)?.credited ?? 0n;
        return requests.open(request, credited, (no) => refundsOf(world, no).length > 0);
      }),
  };
  const desk = new RefundRequestDesk(
    async (deduction) => await read(() => creditOf(world, deduction)),
    book,
    clock,
    { proposalTtlMs: 86_400_000 },
  );
  const carry = refundRequestCarrier({
    started: async (key) => await read(() => refundReadsOf(world).byRequest(key)),
    start: async (what) => {
      const { id: refundId, finished } = await process.desks.refunds.start(what);
      finished?.then(undefined, (error: unknown) => onThrown(world, refundId, error));
      return refundId;
    },
    close: async (no, resolution) => {
      const about = requests.all[no - 1]?.row.deductionId;
      if (about === undefined) return false;
      const at = new Date(world.time.nowMs);
      return await commit(process, about, () => requests.close(no, resolution, at));
    },
  });
  return { desk, carry };
}

/** A transaction of one process: refused, unheard, or the last thing that it does. */
async function commit<T>(process: SimProcess, about: TaskId, work: () => T): Promise<T> {
  const { faults } = process.world;
  const task = process.world.ordinalOf(about);
  return await process.io(3, () => {
    if (faults.strikes('crash_before_commit', task)) process.crash();
    if (faults.strikes('commit_refused', task)) throw unavailable();
    const done = work();
    if (faults.strikes('crash_after_commit', task)) process.crash();
    if (faults.strikes('commit_unheard', task)) throw unavailable();
    return done;
  });
}

function creditOf(world: World, id: TaskId) {
  const row = world.database.deductions.get(id);
  if (row === undefined) return null;
  const attempts = world.database.attempts.get(id) ?? [];
  const paid = attempts.find((one) => one['order_no'] === row['order_no']);
  const capture = paid && refundReadsOf(world).capture(id, Number(paid['attempt_no']));
  const status = String(row['status']);
  if (capture === undefined || capture === null) return { status, from: null };
  const { attemptNo, channelId, currency } = capture;
  return { status, from: { attemptNo, channelId, currency, refundable: true } };
}

/** Somebody asks that a deduction be given back; now and then twice at once, for more than there is. */
export function requestRefund(world: World, n: number): void {
  const chance = new Chance(mix(world.options.seed, n + 4_711));
  const rows = [...world.database.deductions.values()];
  const row = rows[chance.between(0, Math.max(0, rows.length - 1))];
  if (row === undefined) return;
  const deductionId = taskId(String(row['id']));
  const part = amountMinor(BigInt(chance.between(1, Number(row['amount_minor']))));
  for (let times = chance.yes(0.4) ? 2 : 1; times > 0; times -= 1) {
    const key = chance.yes(0.3) ? `${n}` : `${n}:${times}`;
    const asked = {
      deductionId,
      amountMinor: chance.yes(0.5) ? null : part,
      reason: 'cancelled',
      requestKey: `request:${deductionId}:${key}`,
      requestDigest: 'd'.repeat(64),
    };
    ask(world, asked, chance, 0);
  }
}

function ask(world: World, asked: RefundAsked, chance: Chance, tries: number): void {
  let heard = false;
  const again = (): void => {
    if (heard) return;
    heard = true;
    if (tries < 4) world.outside(5_000, () => ask(world, asked, chance, tries + 1));
  };
  world.outside(45_000, again);
  world
    .someProcess(0)
    ?.refundRequests.desk.request(asked, clerk)
    .then(
      ({ request: { no, deductionId } }) => {
        const stored = world.database.requests.all[no - 1];
        if (stored === undefined) {
          return world.violated('told_too_early', deductionId, 'requested, and nowhere');
        }
        if (!heard)
          world.outside(chance.spread(1_000, 600_000), () => answer(world, stored, chance));
        heard = true;
      },
      (error: unknown) => {
        onThrown(world, asked.requestKey, error, refusals);
        if (error instanceof RecoupError && refusals.includes(error.code)) heard = true;
        else again();
      },
    );
}

/** The head reads it once, whoever asked several times. */
function answer(world: World, stored: StoredRequest, chance: Chance): void {
  if (stored.proposal !== 'open') return;
  if (chance.yes(0.15)) {
    stored.proposal = 'rejected';
    world.database.requests.close(stored.row.no, 'declined', new Date(world.time.nowMs));
    return;
  }
  stored.proposal = 'approved';
  world.note('people', 'approve a refund', world.ordinalOf(stored.row.deductionId));
  for (let times = chance.yes(0.3) ? 2 : 1; times > 0; times -= 1) carryOut(world, stored);
}

/** Again and again, as the sweep of decisions does, until it has an end. */
function carryOut(world: World, stored: StoredRequest): void {
  if (stored.proposal !== 'approved') return;
  const { row } = stored;
  world.outside(60_000, () => carryOut(world, stored));
  const about = { ...row, taskId: row.deductionId, source: 'refund' } as unknown as CaseRecord;
  const { amountMinor, reason } = row;
  const decided: Decided = {
    case: about,
    no: 1,
    resolution: { action: 'refund', amountMinor, reason },
    by: clerk.name,
    approvedBy: 'head',
  };
  world
    .someProcess(0)
    ?.refundRequests.carry(decided)
    .then(
      ({ kind }) => {
        if (kind === 'later' || stored.proposal !== 'approved') return;
        stored.proposal = kind === 'done' ? 'executed' : 'void';
      },
      (error: unknown) => onThrown(world, row.deductionId, error),
    );
}

const refundsOf = (world: World, no: number) =>
  [...world.database.refunds.values()].filter((row) =>
    new RegExp(`^${refundKeyOf(no)}(\\D|$)`).test(String(row['request_key'])),
  );

/** What was approved has come about once, as it was asked for; nothing else has. */
export function judgeRequests(world: World): readonly WorldViolation[] {
  return world.database.requests.all.flatMap(({ row, proposal }) => {
    const refunds = refundsOf(world, row.no);
    const violation = (kind: string, detail: string): WorldViolation[] => [
      { kind, about: row.deductionId, detail: `request ${row.no}: ${detail}` },
    ];
    if (refunds.length > 1) return violation('refunded_twice', `${refunds.length} refunds`);
    const [refund] = refunds;
    if (proposal === 'approved') return violation('abandoned', 'approved, and without an end');
    if (proposal !== 'executed') {
      return refund === undefined ? [] : violation('decision_without_effect', proposal);
    }
    if (refund === undefined || row.closedAt === null) {
      return violation('decision_without_effect', 'executed, and not refunded or not closed');
    }
    const same =
      refund['deduction_id'] === row.deductionId &&
      BigInt(String(refund['amount_minor'])) === row.amountMinor &&
      refund['taken_from'] === 'repayment';
    return same ? [] : violation('amount_differs', String(refund['taken_from']));
  });
}
