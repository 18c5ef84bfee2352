import type { ChannelNature } from '../engine/order.js';
import type { Channel } from './channel.js';
import { natureOf } from './profile.js';

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
  const nature = { ...natureOf(profile), honoursExpiry: false, closeProof: 'none' } as const;
  return { nature, orderTtlMs: profile.nature.order_ttl_ms };
}
