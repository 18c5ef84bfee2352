import { expect } from 'chai';
import { WithdrawalDriver } from '../withdrawals/withdrawal-driver.js';
import { declined, FlowDriver, notSent, place } from './flow-driver.js';

/** As the executor says it where the lease ran short while the intent was committed. */
const withheld = { ...notSent, withheld: true } as const;

describe('an order that we kept back', () => {
  it('is placed again at once where there is one place to go to: nobody was away', () => {
    const driver = new WithdrawalDriver([place('a')], {});
    expect(driver.answer('debit', withheld)).to.include({ kind: 'debit', attemptNo: 2 });
    expect(driver.answer('debit', notSent), 'the service is away').to.include({ kind: 'wait' });
  });

  it('uses up no channel of the route', () => {
    const flow = new FlowDriver([place('a'), place('b')]);
    for (let times = 0; times < 5; times += 1) {
      const step = flow.answer('charge', withheld);
      expect(step).to.have.nested.property('order.channelId', 'a');
    }
    flow.answer('charge', declined('other_channel'));
    flow.answer('charge', declined('other_channel'));
    expect(flow.state.end).to.include({ code: 'channels_exhausted' });
    expect(flow.state.attempts.map(({ order }) => order.channelId).slice(5)).to.eql(['a', 'b']);
  });

  it('for the sixth time counts like one that could not be sent', () => {
    const flow = new FlowDriver([place('a'), place('b')]);
    for (let times = 0; times < 6; times += 1) flow.answer('charge', withheld);
    expect(flow.next()).to.have.nested.property('order.channelId', 'b');

    const driver = new WithdrawalDriver([place('a')], {});
    for (let times = 0; times < 6; times += 1) driver.answer('debit', withheld);
    expect(driver.next()).to.include({ kind: 'wait' });
  });
});
