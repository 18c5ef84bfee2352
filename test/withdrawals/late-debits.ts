/** Withdrawals with a debit that was taken for dead, and is then carried out at the service after all. */
import { accountOperations, partyOf } from '../../src/channels/party.js';
import type { Services } from '../../src/composition/root.js';
import type { Entry } from '../../src/engine/entries.js';
import type { Order } from '../../src/engine/order.js';
import { channelId, newTaskId, orderNo, type TaskId } from '../../src/ids.js';
import { amountMinor } from '../../src/money.js';

export const amount = 50_000;
let accounts = 0;

export interface LateDebit {
  readonly id: TaskId;
  readonly order: Order;
}

/**
 * Its first debit was, as far as it knows, never sent. `failed`: no other was made in time. `paid`:
 * another was, and was paid out.
 */
export async function withDeadDebit(
  { directory, executor }: Services,
  end: 'failed' | 'paid',
): Promise<LateDebit> {
  accounts += 1;
  const party = partyOf(directory.get(channelId('accounts')), accountOperations);
  if (party === null) throw new Error('no account service');
  const id = newTaskId();
  const name = `${process.pid}_${accounts}`;
  const account = { token: `tok_ok_late_${name}`, bankCode: 'BALANCE', last4: '0001' };
  const nowMs = Date.now();
  const atMs = nowMs - 120_000;
  const fields = { amountMinor: amountMinor(amount), currency: 'CNY' } as const;
  const order: Order = {
    orderNo: orderNo(id, 1),
    operation: 'debit',
    channelId: party.channelId,
    ...fields,
    account,
    createdAtMs: nowMs,
    expiresAtMs: nowMs + party.orderTtlMs,
  };
  const notSent = { kind: 'not_executed', proof: 'not_sent' } as const;
  const entries: readonly [Entry, ...Entry[]] = [
    {
      kind: 'withdrawal_accepted',
      atMs,
      withdrawal: {
        id,
        memberId: `mb_${name}`,
        ...fields,
        account: { token: `tok_ok_to_${name}`, bankCode: 'ICBC', last4: '4321' },
        funding: { party, account },
        requestKey: `late:${name}`,
        requestDigest: '0'.repeat(64),
        attemptUntilMs: end === 'failed' ? nowMs - 60_000 : nowMs + 3_600_000,
      },
    },
    { kind: 'intended', atMs, attemptNo: 1, order, nature: party.nature },
    { kind: 'replied', atMs, attemptNo: 1, via: 'debit', answer: notSent, sentAtMs: atMs },
  ];
  await executor.start(entries).finished;
  return { id, order };
}

/** The request comes to the service after all, and we hear of it: twice, as callbacks do. */
export async function turnsOutDone(services: Services, { id, order }: LateDebit): Promise<void> {
  const answer = await services.directory.get(order.channelId)?.debit?.(order);
  if (answer?.kind !== 'succeeded') throw new Error(`the service says ${answer?.kind}`);
  const heard = { kind: 'callback', orderNo: order.orderNo, read: () => answer } as const;
  await services.executor.run(id, heard);
  await services.executor.run(id, heard);
}
