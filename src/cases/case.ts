/**
 * A case: something only a person can decide. Its facts stay in the table that owns them (a task's
 * log, the ledger's dead letters, reconciliation, the active check, notices, requests of refunds); its id
 * says which and where.
 */
import type { TaskKind } from '../engine/entries.js';
import type { Operation } from '../engine/order.js';
import { isTaskId, type TaskId } from '../ids.js';
import type { AmountMinor } from '../money.js';

export const caseSources = ['task', 'dead', 'break', 'check', 'notice', 'refund'] as const;
export type CaseSource = (typeof caseSources)[number];

/** `task:<task>:<no>`, or `<source>:<no>` where the owner's table numbers its rows. */
export type CaseId = string & { readonly __brand: 'CaseId' };

export type CasePlace =
  | { readonly source: 'task'; readonly taskId: TaskId; readonly no: number }
  | { readonly source: Exclude<CaseSource, 'task'>; readonly no: number };

const numbered = /^([a-z]+):(?:([0-9a-f-]{36}):)?([1-9]\d{0,14})$/;

/** Null when the text is no case's id. */
export function placeOf(text: string): CasePlace | null {
  const [, name = '', task, no = ''] = numbered.exec(text) ?? [];
  const source = caseSources.find((one) => one === name);
  if (source === undefined) return null;
  if (source !== 'task') return task === undefined ? { source, no: Number(no) } : null;
  if (task === undefined || !isTaskId(task)) return null;
  return { source, taskId: task, no: Number(no) };
}

export interface CaseRecord {
  readonly id: CaseId;
  readonly source: CaseSource;
  /** Why it was opened: for a task the flow's reason, else what its owner calls it. */
  readonly kind: string;
  readonly taskId: TaskId | null;
  /** What kind of task that is; null where there is none, or it has no log. */
  readonly taskKind: TaskKind | null;
  readonly no: number;
  readonly attemptNo: number | null;
  /** What the order of that attempt does; null where there is none. */
  readonly operation: Operation | null;
  /** What is at risk. */
  readonly amountMinor: AmountMinor;
  readonly evidence: string;
  readonly owner: string | null;
  readonly openedAt: Date;
  readonly closedAt: Date | null;
  readonly resolution: string | null;
  /** The proposal that is open, or approved and not yet carried out. */
  readonly openProposalNo: number | null;
}

export interface CaseNote {
  readonly at: Date;
  readonly author: string;
  readonly note: string;
}

export interface CaseFilter {
  readonly open?: boolean | undefined;
  readonly source?: CaseSource | undefined;
  readonly kind?: string | undefined;
  /** Null: those that nobody owns. */
  readonly owner?: string | null | undefined;
  readonly taskId?: TaskId | undefined;
  /** The last case of the page before. */
  readonly after?: { readonly openedAt: Date; readonly id: CaseId } | undefined;
  readonly limit: number;
}

/** Somebody who decides, named by their API key and never by what they send. */
export interface Person {
  readonly name: string;
  readonly keyId: string;
}
