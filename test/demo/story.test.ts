import { expect } from 'chai';
import { failovers, resumed, unknowns } from '../../src/demo/story.js';
import type { LogBody, LogRow } from '../../src/oracle/index.js';

type Told = readonly [kind: string, body?: LogBody, writer?: string];

function log(taskId: string, ...entries: readonly Told[]): LogRow[] {
  return entries.map(([kind, body = {}, writer = 'w1.1'], index) => ({
    taskId,
    seq: index + 1,
    kind,
    writer,
    body,
  }));
}

const intent = (attemptNo: number, channelId: string): Told => [
  'charge_intended',
  { attemptNo, order: { orderNo: `R${attemptNo}`, channelId, amountMinor: '10000' } },
];
const reply = (attemptNo: number, via: string, answer: LogBody['answer']): Told => [
  'replied',
  { attemptNo, via, ...(answer === undefined ? {} : { answer }) },
];

describe('The story of the demo', () => {
  it('says why a deduction went on to another channel', () => {
    const told = log(
      't1',
      ['accepted'],
      intent(1, 'swiftpay'),
      reply(1, 'charge', { kind: 'declined', code: 'bank_unavailable' }),
      intent(2, 'unionlink'),
      reply(2, 'charge', { kind: 'unknown', why: 'timeout' }),
      ['not_executed', { attemptNo: 2, proof: 'closed' }],
      intent(3, 'oldbank'),
    );
    expect(failovers(told)).to.deep.equal([
      { what: 'swiftpay → unionlink: bank_unavailable', count: 1 },
      { what: 'unionlink → oldbank: not executed (closed)', count: 1 },
    ]);
  });

  it('says what settled an outcome that was not known, and which are still open', () => {
    const told = [
      ...log(
        't1',
        intent(1, 'swiftpay'),
        reply(1, 'charge', { kind: 'unknown', why: 'timeout' }),
        reply(1, 'query', { kind: 'not_found' }),
        ['resend_intended', { attemptNo: 1 }],
        reply(1, 'charge', { kind: 'succeeded' }),
      ),
      ...log('t2', intent(1, 'swiftpay'), ['taken_over', { attemptNo: 1 }]),
      ...log('t3', intent(1, 'swiftpay'), reply(1, 'charge', { kind: 'succeeded' })),
    ];
    expect(unknowns(told)).to.deep.equal({
      attempts: 2,
      open: 1,
      settled: [{ what: 'timeout → sent again, charge: succeeded', count: 1 }],
    });
  });

  it('counts as resumed only what another process wrote to after the kill', () => {
    const other = 'w2.7';
    const told = [
      ...log('mid', intent(1, 'swiftpay'), ['taken_over', { attemptNo: 1 }, other]),
      ...log('waiting', intent(1, 'unionlink'), ['replied', { attemptNo: 1 }, other]),
      ...log('left', intent(1, 'swiftpay')),
      // The dead process had committed this before it died.
      ...log('own', intent(1, 'swiftpay'), ['replied', { attemptNo: 1 }]),
    ];
    const one = { kind: 'deduction', seq: 1 };
    const held = ['mid', 'left', 'own'].map((taskId) => ({ ...one, taskId, midCall: true }));
    const waiting = { ...one, taskId: 'waiting', midCall: false };
    const found = resumed([...held, waiting], 'w1', told, new Map([['mid', 'succeeded']]));
    expect(found).to.deep.equal({
      tasks: 2,
      midCall: 1,
      takenOver: 1,
      outcomes: [{ what: 'succeeded', count: 1 }],
    });
  });
});
