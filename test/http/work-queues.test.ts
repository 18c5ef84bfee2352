import { expect } from 'chai';
import { newTaskId } from '../../src/ids.js';
import { QueuedWakeUps } from '../../src/queue/wake-ups.js';
import { Api, type Json } from './api.js';

describe('what waits to be woken up', () => {
  let api: Api;

  before(async () => {
    api = await Api.start({ config: { queueWaiting: 2 } });
  });
  after(async () => api.close());

  it('is told by kind: what is due, what of it is beyond the bound, and what comes later', async () => {
    const { redis, clock, log } = api.services;
    const wakeUps = new QueuedWakeUps(redis, ['withdrawal'], clock, log);
    for (const inMs of [0, 0, 0, 3_600_000]) {
      await wakeUps.schedule(newTaskId(), Date.now() + inMs, 'withdrawal');
    }
    const { status, body } = await api.call('GET', '/v1/work-queues', { as: 'operator' });
    expect(status).to.equal(200);
    const queues = body['queues'] as Json[];
    expect(queues.map(({ kind }) => kind)).to.include.members(['deduction', 'refund', 'top_up']);
    expect(queues.find(({ kind }) => kind === 'withdrawal')).to.deep.equal({
      kind: 'withdrawal',
      due: 3,
      overflow: 1,
      later: 1,
    });
    expect((await api.call('GET', '/v1/work-queues', { as: 'app' })).status).to.equal(403);
    await wakeUps.close();
  });
});
