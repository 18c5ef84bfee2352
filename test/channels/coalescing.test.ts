import { expect } from 'chai';
import type { Channel } from '../../src/channels/channel.js';
import { coalescing } from '../../src/channels/coalescing.js';
import { observed, type ObservedAnswer } from '../../src/channels/observed.js';
import { Slots } from '../../src/channels/slots.js';
import type { Order } from '../../src/engine/order.js';
import type { QueryAnswer } from '../../src/engine/reply.js';
import { SandboxProcess } from '../sandbox/sandbox-process.js';
import { Practice, practiceOrder, practiceProfiles } from './practice.js';

const answerFor = ({ orderNo }: Order): QueryAnswer => ({ kind: 'succeeded', channelRef: orderNo });

/** A channel of the test's own: says what it was asked, and how. */
function fakeChannel(max: number, leaveOut?: Order): { channel: Channel; calls: number[] } {
  const [profile] = practiceProfiles();
  const calls: number[] = [];
  const channel: Channel = {
    profile: { ...profile!, query_many_max: max },
    timeoutsMs: { charge: 1, query: 1, close: 1 },
    charge: async () => ({ kind: 'unknown', why: 'timeout', detail: '' }),
    query: async (order) => {
      calls.push(1);
      return answerFor(order);
    },
    queryMany: async (orders) => {
      calls.push(orders.length);
      return new Map(
        orders.filter((one) => one !== leaveOut).map((order) => [order.orderNo, answerFor(order)]),
      );
    },
    parseCallback: () => ({ kind: 'malformed', detail: '' }),
  };
  return { channel, calls };
}

describe('Questions asked together', () => {
  it('become one call, and each gets its own answer', async () => {
    const { channel, calls } = fakeChannel(50);
    const gathered = coalescing(channel);
    const orders = Array.from({ length: 30 }, () => practiceOrder('unionlink'));
    const answers = await Promise.all(orders.map((order) => gathered.query(order)));
    expect(calls).to.deep.equal([30]);
    expect(answers).to.deep.equal(orders.map(answerFor));
  });

  it('are never more in a call than the channel takes', async () => {
    const { channel, calls } = fakeChannel(50);
    const gathered = coalescing(channel);
    await Promise.all(
      Array.from({ length: 120 }, () => gathered.query(practiceOrder('unionlink'))),
    );
    expect(calls).to.deep.equal([50, 50, 20]);
  });

  it('are not waited for for ever where asking fails', async () => {
    const { channel } = fakeChannel(50);
    const broken = async () => await Promise.reject(new Error('a bug'));
    const gathered = coalescing({ ...channel, query: broken, queryMany: broken });
    for (const together of [1, 3]) {
      const asked = Array.from({ length: together }, () =>
        gathered.query(practiceOrder('unionlink')),
      );
      const ends = await Promise.allSettled(asked);
      expect(ends.map(({ status }) => status)).to.deep.equal(asked.map(() => 'rejected'));
    }
  });

  it('are asked plainly when alone, and once when twice', async () => {
    const { channel, calls } = fakeChannel(50);
    const gathered = coalescing(channel);
    const order = practiceOrder('unionlink');
    const [one, two] = await Promise.all([gathered.query(order), gathered.query(order)]);
    expect(one).to.deep.equal(two);
    expect(calls).to.deep.equal([1]);
    await gathered.query(order);
    expect(calls).to.deep.equal([1, 1]);
  });

  it('that are left out of the answer are unknown', async () => {
    const left = practiceOrder('unionlink');
    const { channel } = fakeChannel(50, left);
    const gathered = coalescing(channel);
    const [answer] = await Promise.all([
      gathered.query(left),
      gathered.query(practiceOrder('unionlink')),
    ]);
    expect(answer).to.include({ kind: 'unknown', why: 'bad_response' });
  });

  describe('at the real sandbox', () => {
    let sandbox: SandboxProcess;
    let practice: Practice;
    before(async () => {
      sandbox = await SandboxProcess.start({ latencyScale: 0 });
      practice = new Practice(sandbox.ready.env);
    });
    after(async () => {
      await practice.shutDown();
      await sandbox.stop();
    });
    afterEach(async () => sandbox.clearFaults());

    it('answer for what is known, unknown and altered, each for itself', async () => {
      const unionlink = practice.channel('unionlink');
      const known = Array.from({ length: 60 }, () => practiceOrder('unionlink'));
      await Promise.all(known.map((order) => unionlink.charge(order)));
      const unheard = practiceOrder('unionlink');
      const altered = known[3]!;
      await sandbox.setFaults([
        { channel: 'unionlink', operation: 'query', fault: 'mismatch', orderNo: altered.orderNo },
      ]);
      const before = await requests();
      const askedMs = Date.now();
      const answers = await Promise.all([...known, unheard].map((order) => unionlink.query(order)));
      expect((await requests()) - before).to.equal(2);
      for (const [i, order] of known.entries()) {
        const expected = order === altered ? ['mismatch'] : ['succeeded', 'pending'];
        expect(answers[i]?.kind).to.be.oneOf(expected);
      }
      expect(answers.at(-1)).to.include({ kind: 'not_found' });
      expect(answers.at(-1)).to.have.property('saidAtMs').gte(askedMs);
    });

    it('are all unknown when the message is lost, cut, forged or refused', async () => {
      const unionlink = practice.channel('unionlink');
      for (const fault of [
        'timeout_before',
        'half_response',
        'bad_signature',
        'http_5xx_after',
        'throttled',
        'garbage',
      ] as const) {
        const orders = [practiceOrder('unionlink'), practiceOrder('unionlink')] as const;
        await sandbox.setFaults([
          { channel: 'unionlink', operation: 'query', fault, orderNo: orders[1].orderNo },
        ]);
        const answers = await Promise.all(orders.map((order) => unionlink.query(order)));
        expect(
          answers.map(({ kind }) => kind),
          fault,
        ).to.deep.equal(['unknown', 'unknown']);
      }
    });

    async function requests(): Promise<number> {
      const stats = (await (await sandbox.raw('GET', '/_stats')).json()) as {
        channels: { unionlink: { requests: number } };
      };
      return stats.channels.unionlink.requests;
    }
  });
});

describe('An observer', () => {
  it('hears of every answer, and cannot change one', async () => {
    const { channel } = fakeChannel(1);
    const heard: ObservedAnswer[] = [];
    const watched = observed(channel, (answer) => {
      heard.push(answer);
      throw new Error('a bug of the observer');
    });
    const order = practiceOrder('swiftpay');
    expect(await watched.query(order)).to.deep.equal(answerFor(order));
    expect((await watched.charge(order)).kind).to.equal('unknown');
    expect(heard.map(({ operation, bankCode }) => [operation, bankCode])).to.deep.equal([
      ['query', 'ICBC'],
      ['charge', 'ICBC'],
    ]);
    expect(watched.close).to.equal(undefined);
  });
});

describe('Slots', () => {
  it('go to who came first, and nobody waits longer than it said', async () => {
    const slots = new Slots(1);
    expect(await slots.acquire(1)).to.equal(true);
    const order: string[] = [];
    const first = slots.acquire(1_000).then((got) => order.push(`first ${got}`));
    const impatient = slots.acquire(5).then((got) => order.push(`impatient ${got}`));
    const last = slots.acquire(1_000).then((got) => order.push(`last ${got}`));
    await impatient;
    slots.release();
    await first;
    slots.release();
    await last;
    expect(order).to.deep.equal(['impatient false', 'first true', 'last true']);
    slots.release();
    expect([slots.inUse, slots.waiting]).to.deep.equal([0, 0]);
  });
});
