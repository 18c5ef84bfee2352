import type { TaskId } from '../ids.js';
import type { AmountMinor } from '../money.js';

/** What the log, the tables and the ledger say of one task, read at one moment. */
export interface Look {
  /** At stake, by the task's own table. */
  readonly amountMinor: AmountMinor;
  readonly log: LogLook;
  /** Where a table says other than the log; empty where they agree, or the log cannot be read. */
  readonly differences: readonly string[];
  /** Whether the in-flight log has it: missing is right for what has ended. */
  readonly inFlight: 'present' | 'no_wake_up' | 'missing';
  /** What the log says the ledger must be told, and whether it was. */
  readonly messages: readonly MessageLook[];
}

export type LogLook =
  | { readonly kind: 'missing' }
  /** A gap, an entry that is not known, or entries that contradict each other. */
  | { readonly kind: 'unreadable'; readonly why: string }
  | {
      readonly kind: 'folded';
      readonly phase: 'live' | 'review' | 'ended';
      readonly lastEntryAtMs: number;
    };

export interface MessageLook {
  readonly topic: string;
  readonly key: string;
  readonly body: string;
  readonly createdAtMs: number;
  readonly state:
    | 'posted'
    /** In the outbox and not confirmed: under way, or a dead letter, which is a case already. */
    | 'waiting'
    /** Confirmed, and yet the ledger holds nothing of it. */
    | 'not_posted'
    /** Neither in the outbox nor in the ledger. */
    | 'missing';
}

export type FindingKind =
  | 'log_missing'
  | 'log_unreadable'
  | 'tables_differ'
  | 'cannot_run'
  | 'not_moving'
  /** Of no task: messages wait for the ledger longer than they should. */
  | 'ledger_behind';

export interface Finding {
  readonly kind: FindingKind;
  readonly evidence: string;
}

/**
 * What the active check reads and writes. It goes by the business tables (deduction, repayment,
 * attempt, outbox, ledger); of the engine's own bookkeeping it only looks whether it is there.
 */
export interface CheckedBook {
  /**
   * Follows every task that has not ended and was accepted before `beforeMs`; returns how many are
   * new, `limit` at most.
   */
  followLive(beforeMs: number, nowMs: number, limit: number): Promise<number>;
  /**
   * Looks through what has ended, in order, once: whatever the ledger was not told is followed. False
   * when there is nothing more to look through for now.
   */
  followUnposted(beforeMs: number, nowMs: number, limit: number): Promise<boolean>;
  /** Follows this one and looks at it as soon as possible. */
  follow(task: TaskId, nowMs: number): Promise<void>;
  /** Instances share the work: a claim ends by itself at `untilMs`. */
  claimDue(claim: {
    readonly nowMs: number;
    readonly untilMs: number;
    readonly limit: number;
  }): Promise<readonly { readonly task: TaskId; readonly checks: number }[]>;
  look(task: TaskId): Promise<Look>;
  /**
   * Writes the row of a task that has not ended, by the log, with a wake-up now unless it waits for a
   * person. Nothing where all of that is there, or the task has ended, by its own table.
   */
  restoreInFlight(task: TaskId, nowMs: number): Promise<void>;
  /** Has a message sent (again); the ledger posts each source once. */
  restoreMessage(message: MessageLook, nowMs: number): Promise<void>;
  /** Messages that were written before `beforeMs` and have not arrived; dead letters are not counted. */
  waitingMessages(beforeMs: number): Promise<{ count: number; oldestAtMs: number | null }>;
  /**
   * Opens what is new and closes what is no longer so; returns how many were opened. What a person
   * has written off is not opened again.
   *
   * @param task null: what is of no task.
   */
  record(
    task: TaskId | null,
    found: { readonly amountMinor: AmountMinor; readonly findings: readonly Finding[] },
    nowMs: number,
  ): Promise<number>;
  lookAgain(task: TaskId, atMs: number): Promise<void>;
  /** It has ended and everything agrees. */
  unfollow(task: TaskId): Promise<void>;
}
