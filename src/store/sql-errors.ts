import { RecoupError, type ErrorCode } from '../errors.js';
import { lockConflicts, refusedForNow } from '../store-away.js';

/** What a failed transaction means for those whose rows were in it. */
export type SqlFailure =
  /** Nothing was written; the same transaction may well succeed when it is run again, whole. */
  | { readonly kind: 'retry' }
  /** The connection broke: written or not, only reading back by key tells. */
  | { readonly kind: 'ambiguous' }
  /** A constraint refused it. `name` is the key or check that did. */
  | { readonly kind: 'constraint'; readonly name: string }
  /** Anything else is a bug of ours or a full disk: one row's, perhaps, but never silent. */
  | { readonly kind: 'other' };

const duplicate = 1062;
const missingParent = new Set([1216, 1452]);
const checkFailed = new Set([3819, 4025]);

interface SqlError {
  readonly errno?: number;
  readonly code?: string;
  readonly message?: string;
  readonly sqlMessage?: string;
}

export function classify(error: unknown): SqlFailure {
  const { errno = 0, code = '', message = '', sqlMessage = '' } = error as SqlError;
  if (errno === 1927 || errno === 1053 || errno === 1180) return { kind: 'ambiguous' };
  if (lockConflicts.has(errno) || refusedForNow.has(errno)) return { kind: 'retry' };
  if (errno === duplicate) {
    // "… for key 'name'"; MySQL 8 writes 'table.name'.
    const key = /for key '(?:[^'.]+\.)?([^']+)'/.exec(sqlMessage)?.[1] ?? '';
    // The primary key's own name says nothing without its table; only the log's matters.
    return { kind: 'constraint', name: key };
  }
  if (missingParent.has(errno)) {
    return { kind: 'constraint', name: /CONSTRAINT [`"](\w+)[`"]/.exec(sqlMessage)?.[1] ?? '' };
  }
  if (checkFailed.has(errno)) {
    const name = /(?:CONSTRAINT|Check constraint) [`'"]?(?:[\w]+\.)?(\w+)[`'"]?/i.exec(
      sqlMessage,
    )?.[1];
    return { kind: 'constraint', name: name ?? '' };
  }
  // Pool and connect failures: no statement was sent.
  if (code === 'ECONNREFUSED' || /acquiring a connection/i.test(message)) return { kind: 'retry' };
  if (code.startsWith('PROTOCOL_') || (code.startsWith('E') && errno <= 0))
    return { kind: 'ambiguous' };
  if (/connection (is in closed state|lost)|closed state|server closed/i.test(message)) {
    return { kind: 'ambiguous' };
  }
  return { kind: 'other' };
}

/** The key or the check that refused it; null when it was something else. */
export function constraintOf(error: unknown): string | null {
  const failure = classify(error);
  return failure.kind === 'constraint' ? failure.name : null;
}

/** A constraint's name becomes a domain error here and nowhere else. */
const domainErrors: Readonly<Record<string, ErrorCode>> = {
  deduction_live_repayment: 'live_deduction_exists',
  deduction_request: 'request_repeated',
  deduction_repayment_exists: 'repayment_unknown',
  repayment_paid_within_due: 'amount_exceeds_due',
  refund_request: 'request_repeated',
  refund_one_a_capture: 'capture_not_available',
  attempt_given_back: 'capture_not_available',
  withdrawal_request: 'request_repeated',
  withdrawal_balance_exists: 'member_unknown',
  member_entry_account: 'member_unknown',
  member_balance: 'balance_too_low',
  top_up_request: 'request_repeated',
};

/** Null when the constraint is not one that a caller can break: then it is a bug of ours. */
export function domainError(constraint: string, cause: unknown): RecoupError | null {
  const code = domainErrors[constraint];
  return code === undefined ? null : new RecoupError(code, {}, { cause });
}
