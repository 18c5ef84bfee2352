/** Withdrawals in tests: members with a balance, requests, and the sums that must hold. */
import { expect } from 'chai';
import type { Services, Wrappers } from '../../src/composition/root.js';
import type { ChannelCalls } from '../../src/engine/ports.js';
import type { ChargeAnswer } from '../../src/engine/reply.js';
import type { Order } from '../../src/engine/order.js';
import type { WithdrawalRequest } from '../../src/intake/withdrawal-desk.js';
import { amountMinor } from '../../src/money.js';
import { selectRows, type Database } from '../../src/store/database.js';

let members = 0;
let requests = 0;

/** Channels that pay out as well as they charge. */
export function withPayouts(profile: Record<string, unknown>): void {
  profile['operations'] = ['charge', 'payout'];
}

/** A member with this balance, minor units. */
export async function aMember({ flows, clock }: Services, balance: number): Promise<string> {
  members += 1;
  const id = `mb_${process.pid}_${members}`;
  await flows.members.open(id, 'CNY', clock.nowMs());
  if (balance > 0) {
    const deposit = { causeId: `dp_${id}`, memberId: id, currency: 'CNY' } as const;
    await flows.members.deposit({ ...deposit, amountMinor: amountMinor(balance) }, clock.nowMs());
  }
  return id;
}

export function aWithdrawal(
  memberId: string,
  fields: Partial<WithdrawalRequest> = {},
): WithdrawalRequest {
  requests += 1;
  return {
    memberId,
    amountMinor: amountMinor(100),
    currency: 'CNY',
    account: { token: `tok_ok_wd_${requests}`, bankCode: 'ICBC', last4: '4321' },
    accountService: null,
    requestKey: `test:${requests}`,
    requestDigest: `digest-${requests}`,
    ...fields,
  };
}

/** Every channel answers payouts like this, without a wire. */
export function payoutsAnswer(payout: (order: Order) => ChargeAnswer): Wrappers {
  return {
    channels: (inner) => ({
      get: (id) => {
        const channel = inner.get(id);
        const answers = async (order: Order): Promise<ChargeAnswer> => payout(order);
        const calls: ChannelCalls | undefined = channel && {
          timeoutsMs: channel.timeoutsMs,
          charge: answers,
          query: async () => ({ kind: 'unknown', why: 'timeout', detail: '' }),
          payout: answers,
        };
        return calls;
      },
    }),
  };
}

/** The balance is the sum of the money log, and never below zero. */
export async function expectExplained(database: Database, memberId: string): Promise<bigint> {
  const [row] = await selectRows<{ balance: string; explained: string }>(
    database,
    `SELECT m.balance_minor AS balance,
       (SELECT COALESCE(SUM(e.amount_minor), 0) FROM member_entry e
        WHERE e.member_id = m.id AND e.currency = m.currency) AS explained
     FROM member_account m WHERE m.id = ?`,
    [memberId],
  );
  expect(row?.balance, 'balance and money log').to.equal(row?.explained);
  const balance = BigInt(row?.balance ?? -1);
  expect(balance >= 0n, 'not below zero').to.equal(true);
  return balance;
}
