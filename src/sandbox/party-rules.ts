import type { Book } from './book.js';
import type { BookOrder, OrderFields } from './book-order.js';
import type { DeclineOutcome, SandboxChannelId } from './channel-spec.js';
import { channelRefOf } from './channel-ref.js';

/**
 * What card system and account service refuse, asked in the same synchronous step in which the order
 * is done:
 *
 * - a pre-recharge is credited at most once, and never once it is voided;
 * - it is voided at any time but after a credit, and again as often as one likes;
 * - nothing is debited that is not there;
 * - a debit is restored once, and by no more than it took.
 */
export function objectionTo(
  book: Book,
  channel: SandboxChannelId,
  fields: OrderFields,
): DeclineOutcome | null {
  const original = book.find(channel, fields.regarding?.orderNo ?? '');
  switch (fields.operation) {
    case 'debit':
      return book.balance(channel, fields.accountToken) < fields.amountMinor
        ? 'insufficient_balance'
        : null;
    case 'restore':
      if (!isAbout(fields, original, 'debit')) return 'original_unknown';
      if (original.restoredMinor > 0) return 'already_restored';
      return fields.amountMinor > (original.fields?.amountMinor ?? 0) ? 'original_unknown' : null;
    case 'credit':
      if (!isAbout(fields, original, 'pre_recharge')) return 'original_unknown';
      if (original.voided) return 'voided';
      if (original.creditedBy.length > 0) return 'already_credited';
      return sameTerms(fields, original.fields) ? null : 'original_unknown';
    case 'void':
      if (!isAbout(fields, original, 'pre_recharge')) return 'original_unknown';
      return original.creditedBy.length > 0 ? 'already_credited' : null;
    default:
      return null;
  }
}

/** It names an order that was done, by both its numbers, on the same account. */
function isAbout(
  { regarding, accountToken }: OrderFields,
  original: BookOrder | undefined,
  operation: 'debit' | 'pre_recharge',
): original is BookOrder {
  return (
    original?.state === 'done' &&
    original.fields?.operation === operation &&
    original.fields.accountToken === accountToken &&
    channelRefOf(original) === regarding?.channelRef
  );
}

/** What was frozen is credited, and nothing else. */
const sameTerms = (credit: OrderFields, recorded: OrderFields | null): boolean =>
  credit.amountMinor === recorded?.amountMinor &&
  credit.creditMinor === recorded.creditMinor &&
  credit.rule === recorded.rule;
