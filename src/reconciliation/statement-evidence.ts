import type { Order } from '../engine/order.js';
import type { QueryAnswer } from '../engine/reply.js';
import type { Provable, StatementEvidence } from './ports.js';
import type { StatementHead } from './statement.js';
import { statementCurrency } from './statement.js';

/** A success in a verified statement. What it says is held against our order, as any answer is (rule 9). */
export function evidenceOf(
  { channelId, date }: Pick<StatementHead, 'channelId' | 'date'>,
  { orderNo, channelRef, amountMinor, lineNo, captures }: Provable,
): StatementEvidence {
  const read = (order: Order): QueryAnswer => {
    if (order.orderNo !== orderNo) return differs('order_no', order.orderNo, orderNo);
    if (order.amountMinor !== amountMinor) {
      return differs('amount', String(order.amountMinor), String(amountMinor));
    }
    if (order.currency !== statementCurrency) {
      return differs('currency', order.currency, statementCurrency);
    }
    return { kind: 'succeeded', channelRef };
  };
  const source = `${channelId} ${date}, line ${lineNo}`;
  return { kind: 'statement', orderNo, read, source, captures };
}

const differs = (field: 'order_no' | 'amount' | 'currency', ours: string, theirs: string) =>
  ({ kind: 'mismatch', field, ours, theirs }) as const;
