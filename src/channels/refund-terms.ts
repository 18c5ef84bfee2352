import type { ChannelNature } from '../engine/order.js';
import type { Channel } from './channel.js';
import { natureOf, orderTtlMsOf } from './profile.js';

/**
 * How refunds at a channel are to be judged; null where it offers none. A refund's order number is of
 * the same nature as a charge's, but that channels promise neither to close refunds nor to honour an
 * expiry for them.
 */
export function refundTermsOf(
  channel: Channel | undefined,
): { readonly nature: ChannelNature; readonly orderTtlMs: number } | null {
  if (channel?.refund === undefined) return null;
  const { profile } = channel;
  return { nature: natureOf(profile, 'refund'), orderTtlMs: orderTtlMsOf(profile, 'refund') };
}
