import type { FaultRule } from './faults.js';

/**
 * A bad day: what channels do in a year, within an hour. Every fault here keeps within the nature
 * that the channel promises, so a correct engine ends with nothing doubled and nothing lost;
 * `duplicate_capture` is the channel's own doing and is counted apart.
 */
export const realisticFaults: readonly FaultRule[] = [
  { channel: 'swiftpay', operation: 'charge', fault: 'timeout_before', probability: 0.012 },
  { channel: 'swiftpay', operation: 'charge', fault: 'timeout_after', probability: 0.02 },
  {
    channel: 'swiftpay',
    operation: 'charge',
    fault: 'late_effect',
    probability: 0.01,
    params: { delay_ms: 1_500, invisible_ms: 1_000 },
  },
  {
    channel: 'swiftpay',
    operation: 'charge',
    fault: 'http_5xx_after',
    probability: 0.015,
    params: { status: 502 },
  },
  { channel: 'swiftpay', operation: 'charge', fault: 'http_5xx_before', probability: 0.01 },
  { channel: 'swiftpay', operation: 'charge', fault: 'half_response', probability: 0.006 },
  { channel: 'swiftpay', operation: 'charge', fault: 'throttled', probability: 0.01 },
  { channel: 'swiftpay', operation: 'charge', fault: 'duplicate_capture', probability: 0.001 },
  { channel: 'swiftpay', operation: 'query', fault: 'http_5xx_before', probability: 0.03 },
  { channel: 'swiftpay', operation: 'query', fault: 'timeout_before', probability: 0.02 },
  { channel: 'unionlink', operation: 'charge', fault: 'timeout_before', probability: 0.01 },
  { channel: 'unionlink', operation: 'charge', fault: 'timeout_after', probability: 0.02 },
  {
    channel: 'unionlink',
    operation: 'charge',
    fault: 'late_effect',
    probability: 0.01,
    params: { delay_ms: 2_500, invisible_ms: 500 },
  },
  { channel: 'unionlink', operation: 'charge', fault: 'garbage', probability: 0.008 },
  { channel: 'unionlink', operation: 'charge', fault: 'reset_after', probability: 0.01 },
  { channel: 'unionlink', operation: 'query', fault: 'http_5xx_before', probability: 0.02 },
  { channel: 'unionlink', operation: 'close', fault: 'timeout_after', probability: 0.1 },
  { channel: 'unionlink', operation: 'callback', fault: 'callback_never', probability: 0.05 },
  { channel: 'unionlink', operation: 'callback', fault: 'callback_twice', probability: 0.05 },
  { channel: 'unionlink', operation: 'callback', fault: 'callback_early', probability: 0.02 },
  { channel: 'unionlink', operation: 'callback', fault: 'bad_signature', probability: 0.01 },
  { channel: 'oldbank', operation: 'charge', fault: 'timeout_after', probability: 0.05 },
  { channel: 'oldbank', operation: 'charge', fault: 'timeout_before', probability: 0.04 },
  { channel: 'oldbank', operation: 'charge', fault: 'slow_drip', probability: 0.02 },
  { channel: 'oldbank', operation: 'charge', fault: 'http_5xx_after', probability: 0.03 },
  {
    channel: 'oldbank',
    operation: 'charge',
    fault: 'late_effect',
    probability: 0.02,
    params: { delay_ms: 1_000, invisible_ms: 1_000 },
  },
  { channel: 'oldbank', operation: 'query', fault: 'http_5xx_before', probability: 0.05 },
  { channel: 'swiftpay', operation: 'payout', fault: 'timeout_before', probability: 0.02 },
  { channel: 'swiftpay', operation: 'payout', fault: 'timeout_after', probability: 0.02 },
  {
    channel: 'swiftpay',
    operation: 'payout',
    fault: 'late_effect',
    probability: 0.01,
    params: { delay_ms: 1_500, invisible_ms: 500 },
  },
  { channel: 'swiftpay', operation: 'payout', fault: 'duplicate_request', probability: 0.02 },
  { channel: 'unionlink', operation: 'payout', fault: 'timeout_after', probability: 0.02 },
  { channel: 'unionlink', operation: 'payout', fault: 'reset_before', probability: 0.02 },
  {
    channel: 'unionlink',
    operation: 'payout',
    fault: 'late_effect',
    probability: 0.01,
    params: { delay_ms: 2_500, invisible_ms: 500 },
  },
  ...partyFaults('cards', 'credit'),
  ...partyFaults('cards', 'pre_recharge'),
  ...partyFaults('cards', 'void'),
  ...partyFaults('accounts', 'debit'),
  ...partyFaults('accounts', 'restore'),
];

function partyFaults(
  channel: 'cards' | 'accounts',
  operation: FaultRule['operation'],
): readonly FaultRule[] {
  const about = { channel, operation } as const;
  return [
    { ...about, fault: 'timeout_before', probability: 0.02 },
    { ...about, fault: 'timeout_after', probability: 0.02 },
    { ...about, fault: 'http_5xx_after', probability: 0.02 },
    { ...about, fault: 'half_response', probability: 0.01 },
    { ...about, fault: 'duplicate_request', probability: 0.02 },
    {
      ...about,
      fault: 'late_effect',
      probability: 0.02,
      params: { delay_ms: 2_000, answer: 'server_error' },
    },
    { ...about, fault: 'lock_wait', probability: 0.03, params: { delay_ms: 2_500 } },
    { channel, operation: 'query', fault: 'http_5xx_before', probability: 0.01 },
    { channel, operation: 'query', fault: 'timeout_before', probability: 0.005 },
  ];
}
