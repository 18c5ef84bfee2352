/** Which tasks have ended without the ledger having been told what they moved. */

/** Neither on its way to the ledger nor in it; `:ours` says whether we can tell what is in it. */
const untold = (topic: string, key: string): string =>
  `(NOT EXISTS (SELECT 1 FROM ledger_inbox i WHERE i.topic = ${topic} AND i.message_key = ${key})
    AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.topic = ${topic} AND o.message_key = ${key}
      AND (o.delivered_at IS NULL OR NOT :ours)))`;

/** A capture of `t` that is owed back, and no ledger knows: earlier releases told nobody. */
const untoldCapture = `EXISTS (SELECT 1 FROM attempt a
    LEFT JOIN outbox u ON u.topic = 'ledger.late_capture' AND u.message_key = a.order_no
    LEFT JOIN ledger_inbox k ON k.topic = 'ledger.late_capture' AND k.message_key = a.order_no
  WHERE a.task_id = t.id AND a.status = 'succeeded' AND NOT (a.order_no <=> t.order_no)
    AND u.id IS NULL AND k.message_key IS NULL)`;

/** An order of `t` that moved money, of which the ledger knows nothing. */
const untoldOrder = (topics: Readonly<Record<string, string>>): string => {
  const each = Object.entries(topics).map(
    ([operation, topic]) =>
      `(a.operation = '${operation}' AND ${untold(`'${topic}'`, `CONCAT(t.id, '/', a.attempt_no)`)})`,
  );
  return `EXISTS (SELECT 1 FROM attempt a
    WHERE a.task_id = t.id AND a.status = 'succeeded' AND (${each.join(' OR ')}))`;
};

export interface EndedTasks {
  /** How far they have been looked through stands under this name. */
  readonly mark: string;
  readonly table: string;
  /** Of `t`. */
  readonly where: string;
}

export const endedTasks: readonly EndedTasks[] = [
  {
    mark: 'ended_deductions',
    table: 'deduction',
    where: `(t.status = 'succeeded' AND ${untold(`'ledger.repayment_collected'`, 't.id')})
      OR (t.ended_at IS NOT NULL AND ${untoldCapture})`,
  },
  {
    mark: 'ended_withdrawals',
    table: 'withdrawal',
    where: `t.ended_at IS NOT NULL AND (${untoldOrder({
      debit: 'ledger.withdrawal_taken',
      payout: 'ledger.withdrawal_paid',
      restore: 'ledger.withdrawal_given_back',
    })}
      OR (t.balance_of IS NOT NULL AND ${untold(`'ledger.withdrawal_taken'`, 't.id')})
      OR (t.balance_of IS NOT NULL AND t.status = 'failed'
        AND ${untold(`'ledger.withdrawal_given_back'`, 't.id')}))`,
  },
  {
    mark: 'ended_top_ups',
    table: 'top_up',
    where: `t.ended_at IS NOT NULL AND ${untoldOrder({
      charge: 'ledger.top_up_paid',
      credit: 'ledger.top_up_credited',
      refund: 'ledger.top_up_refunded',
    })}`,
  },
];
