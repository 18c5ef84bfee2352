/** What channels say when they are wrong, and what is said to them, word for word. */
import type { Order } from '../engine/order.js';
import type { QueryAnswer } from '../engine/reply.js';

export const contradiction: QueryAnswer = {
  kind: 'declined',
  code: 'risk_refused',
  channelCode: 'E7',
  message: 'taken back',
  scope: 'other_channel',
};

export const mismatch = (order: Order): QueryAnswer => ({
  kind: 'mismatch',
  field: 'amount',
  ours: String(order.amountMinor),
  theirs: String(order.amountMinor + 1n),
});

/** Everything that would be on the wire. */
export function bytesOf(order: Order): string {
  const { orderNo, amountMinor, currency, account, createdAtMs, expiresAtMs } = order;
  const { operation, refundOf, regarding = refundOf, topUp } = order;
  const charged = [orderNo, amountMinor, currency, account.token, createdAtMs, expiresAtMs];
  const others = operation === undefined ? [] : [operation, regarding?.orderNo, topUp?.creditMinor];
  return [...charged, ...others].join(' ');
}
