import { hash } from 'node:crypto';
import type { BookOrder } from './book-order.js';

/** The channel's own number for an order. */
export function channelRefOf(order: BookOrder): string {
  const digits = hash('sha256', `${order.channel} ${order.orderNo}`, 'hex').slice(0, 16);
  return `${order.channel.slice(0, 2).toUpperCase()}${digits.toUpperCase()}`;
}
