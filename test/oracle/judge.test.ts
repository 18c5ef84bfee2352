import { expect } from 'chai';
import type { BookedOrder, Evidence, LogRow } from '../../src/oracle/evidence.js';
import { judge } from '../../src/oracle/judge.js';

/** Books and tables of one deduction that went well; each test plants one fault in them. */
function evidence(): Evidence {
  const order = { orderNo: 'R1', channelId: 'a', amountMinor: '100' };
  const log: LogRow[] = [
    ['accepted', { deduction: { repaymentId: 'rp', amountMinor: '100' } }],
    ['routed', {}],
    ['charge_intended', { attemptNo: 1, order }],
    ['replied', { attemptNo: 1, via: 'charge', answer: { kind: 'succeeded' } }],
    ['settled', { attemptNo: 1, ...order }],
  ].map(([kind, body], at) => ({ taskId: 't', seq: at + 1, kind, writer: 'w', body }) as LogRow);
  const amounts = { amount_minor: '100' };
  return {
    log,
    books: [{ ...order, state: 'captured', amountMinor: 100n, captures: [{ amountMinor: 100n }] }],
    deductions: [
      {
        id: 't',
        repayment_id: 'rp',
        status: 'succeeded',
        order_no: 'R1',
        channel_id: 'a',
        attempts: 1,
        failure_code: null,
        ...amounts,
      },
    ],
    attempts: [
      {
        task_id: 't',
        attempt_no: 1,
        order_no: 'R1',
        channel_id: 'a',
        status: 'succeeded',
        ...amounts,
      },
    ],
    cases: [],
    inFlight: [{ task_id: 't', seq: 5, wake_at: null, ended_at: '2026-11-22 02:00:00.000' }],
    repayments: [{ id: 'rp', due_minor: 100, paid_minor: 100, collecting_minor: 0 }],
    outbox: [{ message_key: 't' }],
    quiet: true,
  };
}

const kinds = (changed: Partial<Evidence>): string[] =>
  [...new Set(judge({ ...evidence(), ...changed }).violations.map(({ kind }) => kind))].toSorted();

const captured = (orderNo: string, channelId = 'a', amountMinor = 100n): BookedOrder => ({
  orderNo,
  channelId,
  state: 'captured',
  amountMinor,
  captures: [{ amountMinor }],
});

describe('the oracle', () => {
  const { log, deductions, attempts, inFlight } = evidence();

  it('is content with books that agree', () => {
    expect(judge(evidence())).to.include({ agree: true, capturedMinor: 100n, ordersCompared: 1 });
  });

  it('sees an order that nobody announced, and money that nobody accounts for', () => {
    expect(kinds({ books: [captured('R1'), captured('R2')] })).to.eql(['lost', 'unannounced']);
    expect(kinds({ books: [captured('R1', 'b')] })).to.include.members([
      'not_captured',
      'unannounced',
    ]);
  });

  it('sees what was said to be collected and was not', () => {
    expect(kinds({ books: [] })).to.eql(['not_captured']);
  });

  it('counts what a channel doubled by itself apart, and nets refunds', () => {
    const twice = [{ amountMinor: 100n }, { amountMinor: 100n, own: true }];
    const verdict = judge({ ...evidence(), books: [{ ...captured('R1'), captures: twice }] });
    expect(verdict).to.deep.include({ agree: true, doubledByChannel: ['R1'] });
    const ours = [
      { amountMinor: 100n, own: false },
      { amountMinor: 100n, own: false },
    ];
    expect(kinds({ books: [{ ...captured('R1'), captures: ours }] })).to.eql(['double_charged']);
    const refunds = [{ amountMinor: 100n }];
    expect(kinds({ books: [{ ...captured('R1'), captures: ours, refunds }] })).to.eql([]);
  });

  it('sees gaps, forbidden edges and a second end in a log', () => {
    expect(kinds({ log: log.filter(({ seq }) => seq !== 2) })).to.include('gap');
    const [accepted, routed, intended, replied, settled] = log as [
      LogRow,
      LogRow,
      LogRow,
      LogRow,
      LogRow,
    ];
    const early = [accepted, routed, intended, { ...settled, seq: 4 }, { ...replied, seq: 5 }];
    expect(kinds({ log: early })).to.include('edge');
    expect(kinds({ log: [...log, { ...settled, seq: 6 }] })).to.include('terminal_moved');
  });

  it('sees tables that tell another story than the log', () => {
    expect(kinds({ deductions: [{ ...deductions[0]!, status: 'processing' }] })).to.eql([
      'tables_differ',
    ]);
    expect(kinds({ attempts: [{ ...attempts[0]!, status: 'unknown' }] })).to.eql(['tables_differ']);
    expect(kinds({ outbox: [] })).to.eql(['ledger_differs']);
    const repayments = [{ id: 'rp', due_minor: 100, paid_minor: 0, collecting_minor: 0 }];
    expect(kinds({ repayments })).to.eql(['repayment_differs']);
  });

  it('sees an unfinished task that nobody will move', () => {
    const half = log.slice(0, 3);
    const open = {
      log: half,
      outbox: [],
      deductions: [{ ...deductions[0]!, status: 'processing', order_no: null }],
      attempts: [{ ...attempts[0]!, status: 'sending' }],
      repayments: [{ id: 'rp', due_minor: 100, paid_minor: 0, collecting_minor: 100 }],
      inFlight: [{ ...inFlight[0]!, seq: 3, ended_at: null }],
    };
    expect(kinds({ ...open, books: [] })).to.eql(['abandoned']);
    const waits = [{ ...inFlight[0]!, seq: 3, ended_at: null, wake_at: '2026-11-22' }];
    expect(kinds({ ...open, inFlight: waits, books: [] })).to.eql([]);
    // A capture that we have not heard of yet is no finding while work goes on.
    expect(kinds({ ...open, inFlight: waits, quiet: false })).to.eql([]);
    expect(kinds({ ...open, inFlight: waits })).to.eql(['lost', 'open_but_captured']);
  });
});
