import type { Operation } from '../engine/order.js';
import type { Party } from '../engine/requests.js';
import type { Channel } from './channel.js';
import { natureOf, offers, orderTtlMsOf } from './profile.js';

/** What a top-up asks of a card system, and a withdrawal of an account service. */
export const cardOperations = ['pre_recharge', 'credit', 'void'] as const;
export const accountOperations = ['debit', 'restore'] as const;

/** A channel as the one that can do these steps; null where it does not offer all of them. */
export function partyOf(
  channel: Channel | undefined,
  operations: typeof cardOperations | typeof accountOperations,
): Party | null {
  if (channel === undefined) return null;
  const { profile } = channel;
  if (!operations.every((operation: Operation) => offers(profile, operation))) return null;
  const [operation] = operations;
  return {
    channelId: profile.id,
    nature: natureOf(profile, operation),
    orderTtlMs: orderTtlMsOf(profile, operation),
  };
}
