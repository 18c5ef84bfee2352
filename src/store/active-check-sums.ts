/** Sums that tasks move by differences, against what they should be the sums of. */
import type { Knex } from 'knex';
import { assertNever } from '../assert.js';
import type { Task } from '../engine/tasks.js';
import { selectRows } from './database.js';

export async function sumDifferences(
  transaction: Knex.Transaction,
  task: Task,
): Promise<readonly string[]> {
  switch (task.kind) {
    case 'deduction':
      return await repaymentDifferences(transaction, task.deduction.repaymentId);
    case 'refund':
      return 'topUpId' in task.refund
        ? []
        : await repaymentDifferences(transaction, task.refund.repaymentId);
    case 'withdrawal':
      return task.withdrawal.funding === null
        ? await memberDifferences(transaction, task.withdrawal)
        : [];
    case 'top_up':
      return [];
    default:
      return assertNever(task);
  }
}

/**
 * What the live deduction may still take, and what is credited to it of captures, stand in the
 * repayment's sums. A refund of what was credited takes it from the capture when it is accepted and
 * from the repayment when it is paid; between the two they differ by it.
 */
async function repaymentDifferences(
  transaction: Knex.Transaction,
  repaymentId: string,
): Promise<readonly string[]> {
  const [row] = await selectRows<Record<'collecting' | 'paid' | 'live' | 'credited', string>>(
    transaction,
    `SELECT r.collecting_minor AS collecting, r.paid_minor AS paid,
       COALESCE((SELECT SUM(d.amount_minor) FROM deduction d
         WHERE d.live_repayment_id = r.id), 0) AS live,
       COALESCE((SELECT SUM(a.credited_minor) FROM deduction d JOIN attempt a ON a.task_id = d.id
         WHERE d.repayment_id = r.id), 0)
       + COALESCE((SELECT SUM(f.amount_minor) FROM deduction d
         JOIN refund f ON f.deduction_id = d.id
         WHERE d.repayment_id = r.id AND f.taken_from = 'repayment'
           AND f.status IN ('processing', 'needs_review')), 0) AS credited
     FROM repayment r WHERE r.id = ?`,
    [repaymentId],
  );
  if (row === undefined) return ['the repayment is missing'];
  const { collecting, paid, live, credited } = row;
  return [
    ...(collecting === live ? [] : [`repayment.collecting_minor is ${collecting}, not ${live}`]),
    ...(paid === credited ? [] : [`repayment.paid_minor is ${paid}, not ${credited}`]),
  ];
}

/** A balance is what its money log adds up to. */
async function memberDifferences(
  transaction: Knex.Transaction,
  { memberId, currency }: { readonly memberId: string; readonly currency: string },
): Promise<readonly string[]> {
  const [row] = await selectRows<{ balance: string; explained: string }>(
    transaction,
    `SELECT m.balance_minor AS balance,
       COALESCE((SELECT SUM(e.amount_minor) FROM member_entry e
         WHERE e.member_id = m.id AND e.currency = m.currency), 0) AS explained
     FROM member_account m WHERE m.id = ? AND m.currency = ?`,
    [memberId, currency],
  );
  if (row === undefined) return ['the member account is missing'];
  const { balance, explained } = row;
  return balance === explained
    ? []
    : [`member_account.balance_minor is ${balance}, not ${explained}`];
}
