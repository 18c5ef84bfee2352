import type { Operation, Order } from '../engine/order.js';

/** What a profile may offer by `operations`; refunds stand under `can_refund`. */
export const offered = [
  'charge',
  'payout',
  'debit',
  'restore',
  'pre_recharge',
  'credit',
  'void',
] as const satisfies readonly Operation[];

export const operations = [...offered, 'refund'] as const satisfies readonly Operation[];

export const operationOf = ({ operation }: Pick<Order, 'operation'>): Operation =>
  operation ?? 'charge';
