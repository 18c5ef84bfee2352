import { hash } from 'node:crypto';
import type { BookOrder } from './book-order.js';

/**
 * The channel's own number for an order. Letters alone: now and then sixteen digits have the form of a
 * card or telephone number, and no reference that has is kept as it is (`numeric_references` in profiles).
 */
export function channelRefOf(order: BookOrder): string {
  const digits = hash('sha256', `${order.channel} ${order.orderNo}`, 'hex').slice(0, 16);
  const letters = digits.replaceAll(/\d/g, (digit) => 'GHJKLMNPQR'.charAt(Number(digit)));
  return `${order.channel.slice(0, 2)}${letters}`.toUpperCase();
}
