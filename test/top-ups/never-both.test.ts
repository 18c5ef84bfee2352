import { expect } from 'chai';
import type { Journal } from '../../src/engine/journal.js';
import { placing, refundNature } from '../../src/engine/legs.js';
import { doneIn, evolveIntent } from '../../src/engine/orders-state.js';
import { isLive } from '../../src/engine/attempt.js';
import type { Intent } from '../../src/engine/entries.js';
import { fold } from '../../src/engine/flow.js';
import type { Task } from '../../src/engine/tasks.js';
import { topUpFlow, type TopUpState } from '../../src/engine/top-up.js';
import { invariant } from '../../src/assert.js';
import type { TaskId } from '../../src/ids.js';
import { silentLog } from '../../src/log.js';
import { execute, openDatabase, selectRows, type Database } from '../../src/store/database.js';
import { SqlJournal } from '../../src/store/sql-journal.js';
import { CardHouse, someTopUp } from './card-house.js';

/**
 * Flows that have gone wrong, up to the last line that stands: what they would write is refused by the
 * database, in the transaction of the intent, so that nothing is sent.
 */
describe('credited or given back, never both, whatever a flow came to think', () => {
  let house: CardHouse;
  let journal: Journal<Task>;
  let writes: Database;

  before(async () => {
    house = await CardHouse.open();
    const { config } = house.environment;
    writes = openDatabase(config.databaseUrl, 2, silentLog, { bundles: true });
    journal = new SqlJournal(writes, 'Asia/Shanghai', house.services.clock, silentLog);
  });
  after(async () => {
    await writes.destroy();
    await house.close();
  });
  afterEach(async () => house.noFaults());

  async function stateOf(id: TaskId): Promise<TopUpState> {
    const loaded = await journal.load(id);
    const state = fold(topUpFlow, loaded?.entries ?? []);
    invariant(state !== null, 'it is there');
    return state;
  }

  /** The intent to give the payment back, as a flow without its rules would write it. */
  async function giveBack(id: TaskId): Promise<unknown> {
    const before = await stateOf(id);
    const paid = doneIn(before, 'charge');
    invariant(paid !== undefined, 'it is paid');
    const { order, nature } = paid;
    const party = { channelId: order.channelId, nature: refundNature(nature), orderTtlMs: 60_000 };
    const { amountMinor, currency, account } = order;
    const refundOf = { orderNo: order.orderNo, channelRef: paid.channelRef ?? '' };
    const fields = { amountMinor, currency, account, refundOf };
    const step = placing(before, 'refund', party, fields, Date.now());
    invariant('intent' in step, 'it is placed');
    const seq = before.seq + 1;
    // Past the fold as well, which allows one live order and asks who has a void to show.
    const ended = before.attempts.map((one) =>
      isLive(one) ? { ...one, status: 'not_executed' as const } : one,
    );
    const moved = { ...before, seq, refundSeq: before.refundSeq ?? seq, attempts: ended };
    const intended = evolveIntent(moved, step.intent as Intent);
    const attempts = intended.attempts.map((one, at) => before.attempts[at] ?? one);
    const append = {
      taskId: id,
      kind: 'top_up',
      afterSeq: before.seq,
      entries: [step.intent],
      before,
      state: { ...intended, attempts },
      wakeAtMs: null,
      writer: 'mutant.1',
    } as const;
    return await journal.append(append).then(
      () => 'written',
      (error: Error & { code?: string }) => error.code ?? error.message,
    );
  }

  const paymentRow = async (id: TaskId) => {
    const [row] = await selectRows<{ credited: string; refund: string }>(
      house.environment.owner,
      `SELECT credited_minor AS credited, refund_minor AS refund FROM attempt
       WHERE task_id = ? AND operation = 'charge'`,
      [id],
    );
    return row;
  };

  it('a refund while the credit is unknown is refused', async () => {
    await house.faults('cards', [
      { channel: 'cards', operation: 'credit', fault: 'reset_before' },
      { channel: 'cards', operation: 'query', fault: 'http_5xx_before' },
    ]);
    const id = await house.start();
    expect(await house.record(id)).to.include({ stage: 'credit_unknown' });
    expect(await paymentRow(id)).to.deep.equal({ credited: '100000', refund: '0' });
    // Two of its constraints refuse it: two live orders, and two uses of one payment.
    expect(await giveBack(id)).to.be.oneOf(['ER_DUP_ENTRY', 'capture_not_available']);
    expect(await paymentRow(id)).to.deep.equal({ credited: '100000', refund: '0' });
    expect((await stateOf(id)).attempts).to.have.length(3);
    const byHand = `UPDATE attempt SET refund_minor = 1 WHERE task_id = ? AND operation = 'charge'`;
    const refused = await execute(house.environment.owner, byHand, [id]).catch(String);
    expect(refused).to.include('attempt_given_back');
  });

  it('a refund of what was credited is refused', async () => {
    const id = await house.start();
    expect(await giveBack(id)).to.equal('capture_not_available');
  });

  it('a second refund is refused', async () => {
    await house.faults('cards', [
      {
        channel: 'cards',
        operation: 'credit',
        fault: 'decline',
        params: { outcome: 'account_closed' },
      },
    ]);
    const id = await house.start(someTopUp());
    await house.until(id);
    expect(await paymentRow(id)).to.deep.equal({ credited: '0', refund: '100000' });
    const again = await giveBack(id).catch((error: Error) => error.message);
    expect(again).to.include('none after a capture');
  });
});
