/** What the HTTP API needs of the rest. The composition root's services have this shape. */
import type { ErrorCode } from '../errors.js';
import type { CaseDesk } from '../cases/case-desk.js';
import type { RefundRequestDesk } from '../cases/refund-requests.js';
import type { CallRecord, Shown } from '../channels/call-record.js';
import type { Channel } from '../channels/channel.js';
import type { ChannelProfile } from '../channels/profile.js';
import type { Clock } from '../clock.js';
import type { Config } from '../config.js';
import type { Task } from '../engine/tasks.js';
import type { Executor } from '../engine/executor.js';
import type { Log } from '../engine/ports.js';
import type { Route, RouteRequest } from '../engine/route.js';
import type { ChannelId, OrderNo, TaskId } from '../ids.js';
import type { BatchDesk } from '../intake/batch-desk.js';
import type { Batches } from '../intake/batch.js';
import type { DeductionDesk } from '../intake/deduction-desk.js';
import type {
  AttemptRecord,
  CaseRecord,
  DeductionFilter,
  DeductionRecord,
  LoggedEntry,
  RefundFilter,
  RefundRecord,
} from '../intake/records.js';
import type { Members } from '../intake/member.js';
import type { TopUpDesk } from '../intake/top-up-desk.js';
import type { TopUpReads } from '../intake/top-up.js';
import type { WithdrawalDesk } from '../intake/withdrawal-desk.js';
import type { WithdrawalReads } from '../intake/withdrawal.js';
import type { LedgerReads } from '../ledger/records.js';
import type { Repayments } from '../intake/repayment.js';
import type { NoticeDesk } from '../notices/desk.js';
import type { Breaks } from '../reconciliation/ports.js';
import type { Reconciler } from '../reconciliation/reconciler.js';

export type Role = 'app' | 'batch' | 'agent' | 'operator';

/** Who asks. One key, one role. */
export interface ApiKey {
  readonly id: string;
  readonly name: string;
  readonly role: Role;
}

export interface KeyStore {
  /** By the key's SHA-256 in hex; null when there is none, or it was revoked. */
  findKey(keyHash: string): Promise<ApiKey | null>;
}

/** The record of what people did by hand. */
export interface AuditLog {
  audit(
    entry: { actor: string; action: string; subject: string; detail: string },
    nowMs: number,
  ): Promise<void>;
}

export type CallbackVerdict =
  /** Its evidence is in the log, or said nothing new. */
  | 'accepted'
  /** Genuine, and not what we ordered: a case. */
  | 'mismatch'
  /** A copy of one whose evidence the log has. */
  | 'duplicate'
  /** The record was in use, or the database away: the channel is asked to say it again. */
  | 'put_off'
  | 'order_unknown'
  | 'forged'
  | 'stale'
  | 'malformed'
  | 'too_large';

export interface Callbacks {
  /** Whether a message of this digest has its evidence in the log. */
  isRecorded(channelId: ChannelId, digest: string): Promise<boolean>;
  /** Only ever called when the log has the evidence. */
  record(receipt: {
    readonly channelId: ChannelId;
    readonly digest: string;
    readonly nonce: string | null;
    readonly taskId: TaskId;
    readonly orderNo: OrderNo;
    readonly verdict: CallbackVerdict;
    readonly receivedAtMs: number;
  }): Promise<void>;
  /** Costs nothing now; written within a second. */
  count(channelId: ChannelId, verdict: CallbackVerdict, atMs: number): void;
  /** Newest day (UTC) first. */
  counts(
    channelId: ChannelId,
    daysMax: number,
  ): Promise<
    readonly {
      readonly day: string;
      readonly verdict: string;
      readonly messages: number;
      readonly lastAt: Date;
    }[]
  >;
}

/** The call journal: what passed between us and the channels, masked. */
export interface Calls {
  /** Never throws, never waits. */
  record(call: CallRecord): void;
  /** Of every order of the task, oldest first. */
  ofTask(id: TaskId, limit: number): Promise<readonly JournalledCall[]>;
}

export interface JournalledCall extends Omit<CallRecord, 'startedAtMs' | 'sent' | 'received'> {
  readonly startedAt: Date;
  readonly sent: Shown | null;
  readonly received: Shown | null;
}

export interface DeductionReads {
  find(id: TaskId): Promise<DeductionRecord | null>;
  findMany(ids: readonly TaskId[]): Promise<readonly DeductionRecord[]>;
  findByRequest(requestKey: string): Promise<DeductionRecord | null>;
  list(filter: DeductionFilter): Promise<readonly DeductionRecord[]>;
  attempts(id: TaskId): Promise<readonly AttemptRecord[]>;
  log(id: TaskId): Promise<readonly LoggedEntry[]>;
  cases(filter: {
    readonly open?: boolean | undefined;
    readonly deductionId?: TaskId | undefined;
    readonly limit: number;
  }): Promise<readonly CaseRecord[]>;
  taskOfOrder(orderNo: OrderNo): Promise<TaskId | null>;
  agentDeductionsSince(borrowerId: string, sinceMs: number): Promise<number>;
  agentDeductionAt(borrowerId: string, sinceMs: number, nth: number): Promise<Date | null>;
}

export interface Ledger {
  readonly reads: LedgerReads;
  /** @throws RecoupError `dead_letter_unknown`, `dead_letter_closed` */
  replay(id: string, actor: string, nowMs: number): Promise<void>;
}

export interface WorkQueueDepth {
  readonly kind: string;
  readonly due: number;
  readonly overflow: number;
  readonly later: number;
}

/** Withdrawals and top-ups. */
export interface Flows {
  readonly members: Members;
  readonly withdrawals: WithdrawalReads;
  readonly withdrawalDesk: Pick<WithdrawalDesk, 'start'>;
  readonly topUps: TopUpReads;
  readonly topUpDesk: Pick<TopUpDesk, 'start'>;
}

/** Told of every request; must not throw. `route` is a pattern, never the address. */
export interface HttpObserver {
  answered(method: string, route: string, status: number, ms: number): void;
  refused(code: ErrorCode): void;
}

export interface HttpServices {
  readonly httpObserver?: HttpObserver | undefined;
  readonly flows: Flows;
  readonly ledger: Ledger;
  readonly config: Pick<Config, 'bodyLimitBytes' | 'uploadLimitBytes' | 'agentPerBorrowerHour'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly executor: Pick<Executor<Task>, 'run'>;
  readonly router: { preview(request: RouteRequest): Promise<Route> };
  readonly directory: {
    get(id: ChannelId): Pick<Channel, 'parseCallback'> | undefined;
    profiles(): readonly ChannelProfile[];
  };
  readonly desk: Pick<DeductionDesk, 'start'>;
  readonly batchDesk: Pick<BatchDesk, 'load' | 'loadDue' | 'find' | 'pause' | 'resume'>;
  readonly deductions: DeductionReads;
  readonly refunds: { list(filter: RefundFilter): Promise<readonly RefundRecord[]> };
  readonly callbacks: Callbacks;
  readonly calls: Calls;
  readonly repayments: Repayments;
  readonly cases: {
    readonly desk: Pick<
      CaseDesk,
      'list' | 'show' | 'assign' | 'note' | 'propose' | 'approve' | 'reject'
    >;
    readonly refundRequests: Pick<RefundRequestDesk, 'request' | 'ofDeduction'>;
  };
  readonly notices: {
    readonly desk: Pick<
      NoticeDesk,
      'list' | 'show' | 'redeliver' | 'destinations' | 'add' | 'change' | 'remove'
    >;
  };
  readonly batches: Pick<Batches, 'progress' | 'rejected'>;
  readonly access: KeyStore & AuditLog;
  readonly reconciler: Pick<Reconciler, 'run'>;
  readonly breaks: Pick<Breaks, 'run' | 'runs' | 'list' | 'openCount'>;
  /** The migrations that the database still lacks. Rejects when the database does not answer. */
  readonly pendingMigrations: () => Promise<readonly string[]>;
  readonly redis: { ping(): Promise<unknown> };
  readonly workQueues: {
    /** Null when Redis does not say. */
    readonly look: () => Promise<readonly WorkQueueDepth[] | null>;
  };
}
