import type { ChannelNature, Operation } from '../engine/order.js';
import { natureOf, offers, orderTtlMsOf, type ChannelProfile } from './profile.js';
import type { ProfileProblem } from './profile-problems.js';

/** What one operation is worth without another: nothing, or money that cannot be brought back. */
const belong: readonly (readonly [operation: Operation, needs: Operation, why: string])[] = [
  ['debit', 'restore', 'what is debited there could not be given back'],
  ['restore', 'debit', 'there is nothing to restore'],
  ['pre_recharge', 'void', 'a payment could not be given back safely'],
  ['pre_recharge', 'credit', 'what is recorded could not be credited'],
  ['credit', 'pre_recharge', 'there is nothing to credit'],
  ['void', 'pre_recharge', 'there is nothing to void'],
  ['refund', 'charge', 'there is nothing to give back'],
];

export function* operationProblems(profile: ChannelProfile): Generator<ProfileProblem> {
  const { operations, adapter, payouts } = profile;
  const path = ['operations'];
  if (new Set(operations).size < operations.length) {
    yield { path, message: 'an operation stands twice' };
  }
  for (const [operation, needs, why] of belong) {
    if (offers(profile, operation) && !offers(profile, needs)) {
      yield { path, message: `${operation} without ${needs}: ${why}` };
    }
  }
  for (const operation of operations) {
    if (adapter === 'form_rsa' && operation !== 'charge' && operation !== 'payout') {
      yield { path, message: `form_rsa has no ${operation}` };
    }
  }
  if (payouts !== undefined && !offers(profile, 'payout')) {
    const message = 'it says what payouts are like, but `operations` has no payout';
    yield { path: ['payouts'], onKey: true, message };
  }
  yield* cardProblems(profile);
  yield* payoutProblems(profile);
}

function* cardProblems(profile: ChannelProfile): Generator<ProfileProblem> {
  if (!offers(profile, 'credit')) return;
  const { close_proof, idempotent } = profile.nature;
  if (close_proof === 'none') {
    const message =
      'a credit that is not known could then never be proven dead: a card system closes a credit for ever, unseen too';
    yield { path: ['nature', 'close_proof'], message };
  }
  if (!idempotent) {
    const message = 'a credit is sent again under its own number: that must credit the card once';
    yield { path: ['nature', 'idempotent'], message };
  }
}

/** Null: it pays nothing out. */
export const payoutNature = (profile: ChannelProfile): ChannelNature | null =>
  offers(profile, 'payout') ? natureOf(profile, 'payout') : null;

function* payoutProblems(profile: ChannelProfile): Generator<ProfileProblem> {
  const nature = payoutNature(profile);
  if (nature === null) return;
  const ttlMs = orderTtlMsOf(profile, 'payout');
  const { charge_ms } = profile.timeouts;
  if (ttlMs < charge_ms) {
    const message = `an order would expire before the call that places it ends (charge_ms ${charge_ms})`;
    yield { path: ['payouts', 'order_ttl_ms'], message };
  }
  const asksFor = nature.pollScheduleMs.reduce((sum, pause) => sum + pause, 0);
  const needed = ttlMs + nature.visibilityMs;
  if (nature.honoursExpiry && asksFor < needed) {
    const message = `the schedule ends after ${asksFor} ms, before a "not found" proves anything (order_ttl_ms + visibility_ms = ${needed} ms)`;
    yield { path: ['payouts', 'poll_schedule_ms'], message };
  }
}
