import { expect } from 'chai';
import type { Entry } from '../src/engine/entries.js';
import type { Step } from '../src/engine/flow.js';
import type { Reply } from '../src/engine/reply.js';
import type { ChannelId, OrderNo, TaskId } from '../src/ids.js';
import type { AmountMinor } from '../src/money.js';

/** Illegal states that must not compile. The compiler is the test: an unused expectation is an error. */
describe('types', () => {
  it('keep illegal states from compiling', () => {
    // @ts-expect-error a plain number is no amount
    const amount: AmountMinor = 5;
    // @ts-expect-error nor is a bigint that nobody has checked
    const unchecked: AmountMinor = 5n;
    // @ts-expect-error an order number is made by `orderNo` alone
    const order: OrderNo = 'R1';
    // @ts-expect-error ids of different things do not mix
    const mixed: TaskId = 'swiftpay' as ChannelId;
    // @ts-expect-error no reply is called failed: what is not known is `unknown`
    const failed: Reply = { kind: 'failed' };
    // @ts-expect-error a decline says whether another channel may do better
    const decline: Reply = { kind: 'declined', code: 'x', channelCode: 'x', message: '' };
    // @ts-expect-error what was not executed names its proof
    const dead: Reply = { kind: 'not_executed' };
    // @ts-expect-error a charge step carries the intent that is committed before it
    const charge: Step = { kind: 'charge', attemptNo: 1, order: {} as never };
    // @ts-expect-error an entry has its time
    const entry: Entry = { kind: 'failed', code: 'x', detail: '' };
    expect([amount, unchecked, order, mixed, failed, decline, dead, charge, entry]).to.have.length(
      9,
    );
  });
});
