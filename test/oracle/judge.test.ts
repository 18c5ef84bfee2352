import { expect } from 'chai';
import type { BookedOrder, Evidence, LogRow } from '../../src/oracle/evidence.js';
import { judge, sentUnannounced } from '../../src/oracle/judge.js';
import { readLogs } from '../../src/oracle/log-story.js';

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
    inFlight: [],
    repayments: [{ id: 'rp', due_minor: 100, paid_minor: 100, collecting_minor: 0 }],
    outbox: [{ topic: 'ledger.repayment_collected', message_key: 't' }],
    refunds: [],
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

/** The same entry about another order. */
const renumbered = (body: LogRow['body']): LogRow['body'] => ({
  ...body,
  ...(body.orderNo === undefined ? {} : { orderNo: 'R2' }),
  ...(body.order === undefined ? {} : { order: { ...body.order, orderNo: 'R2' } }),
});

/** A dead first attempt that turns out captured after the second was: told to a person. */
function chargedTwice(): Partial<Evidence> {
  const { log, attempts, deductions } = evidence();
  const [accepted, routed, intended] = log;
  const rows: readonly Partial<LogRow>[] = [
    accepted!,
    routed!,
    intended!,
    { kind: 'not_executed', body: { attemptNo: 1 } },
    { ...intended!, body: { ...renumbered(intended!.body), attemptNo: 2 } },
    { kind: 'replied', body: { attemptNo: 2, via: 'charge', answer: { kind: 'succeeded' } } },
    { kind: 'settled', body: { attemptNo: 2, orderNo: 'R2', amountMinor: '100' } },
    { kind: 'replied', body: { attemptNo: 1, via: 'callback', answer: { kind: 'succeeded' } } },
    { kind: 'case_opened', body: { caseNo: 1, reason: 'captured_twice', attemptNo: 1 } },
  ];
  return {
    log: rows.map((row, at) => ({ taskId: 't', writer: 'w', ...row, seq: at + 1 }) as LogRow),
    books: [captured('R1'), captured('R2')],
    attempts: [attempts[0]!, { ...attempts[0]!, attempt_no: 2, order_no: 'R2' }],
    deductions: [{ ...deductions[0]!, order_no: 'R2', attempts: 2 }],
    cases: [{ task_id: 't', case_no: 1, reason: 'captured_twice', attempt_no: 1, closed_at: null }],
    inFlight: [],
    outbox: [
      { topic: 'ledger.repayment_collected', message_key: 't' },
      { topic: 'ledger.late_capture', message_key: 'R1' },
    ],
  };
}

/** Of what was collected 40 went back. */
function refunded(): Partial<Evidence> {
  const { log, attempts, inFlight, outbox } = evidence();
  const refund = {
    deductionId: 't',
    repaymentId: 'rp',
    captureOrderNo: 'R1',
    amountMinor: '40',
    from: 'repayment',
  };
  const order = { orderNo: 'R7', channelId: 'a', amountMinor: '40' };
  const rows = [
    ['refund_accepted', { refund }],
    ['refund_intended', { attemptNo: 1, order }],
    ['replied', { attemptNo: 1, via: 'refund', answer: { kind: 'succeeded' } }],
    ['settled', { attemptNo: 1, ...order }],
  ].map(([kind, body], at) => ({ taskId: 'r', seq: at + 1, kind, writer: 'w', body }) as LogRow);
  return {
    log: [...log, ...rows],
    books: [{ ...captured('R1'), refunds: [{ orderNo: 'R7', amountMinor: 40n }] }],
    attempts: [
      { ...attempts[0]!, credited_minor: 60, refund_minor: 40 },
      { ...attempts[0]!, task_id: 'r', order_no: 'R7', credited_minor: 0, refund_minor: 0 },
    ],
    refunds: [
      {
        id: 'r',
        deduction_id: 't',
        status: 'succeeded',
        amount_minor: 40,
        order_no: 'R7',
        attempts: 1,
      },
    ],
    repayments: [{ id: 'rp', due_minor: 100, paid_minor: 60, collecting_minor: 0 }],
    inFlight,
    outbox: [...outbox, { topic: 'ledger.refund_paid', message_key: 'r' }],
  };
}

/** The channel declined for good, and the deduction failed. */
function declined(): Partial<Evidence> {
  const { log, attempts, deductions, inFlight } = evidence();
  const answer = { kind: 'declined', scope: 'final' };
  return {
    log: [
      ...log.slice(0, 3),
      { ...log[3]!, body: { attemptNo: 1, via: 'charge', answer } },
      { ...log[4]!, kind: 'failed', body: {} },
    ],
    attempts: [{ ...attempts[0]!, status: 'declined' }],
    deductions: [{ ...deductions[0]!, status: 'failed', order_no: null, failure_code: 'x' }],
    repayments: [{ id: 'rp', due_minor: 100, paid_minor: 0, collecting_minor: 0 }],
    inFlight,
    outbox: [],
  };
}

describe('the oracle', () => {
  const { log, deductions, attempts } = evidence();

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

  it('remembers what was sent before it was announced, though it was announced later', () => {
    const { books } = evidence();
    const early = sentUnannounced(books, log.slice(0, 2));
    expect(early.map(({ kind }) => kind)).to.eql(['unannounced']);
    expect(judge(evidence(), early).agree).to.equal(false);
    expect(sentUnannounced(books, log)).to.eql([]);
    expect(sentUnannounced([captured('R1', 'b')], log)).to.have.length(1);
  });

  it('sees an unannounced order even where nothing was captured', () => {
    const stray = { ...captured('R9'), state: 'declined' as const, captures: [] };
    expect(kinds({ books: [captured('R1'), stray] })).to.eql(['unannounced']);
  });

  it('sees a borrower charged under two numbers of one deduction, case or not', () => {
    const verdict = judge({ ...evidence(), ...chargedTwice() });
    expect(verdict.count('double_charged')).to.equal(2);
    expect(verdict.violations.filter(({ kind }) => kind !== 'double_charged')).to.eql([]);
  });

  it('sees more taken than was due by two deductions of one repayment', () => {
    const again = log.map((row) => ({ ...row, taskId: 'u', body: renumbered(row.body) }));
    const found = kinds({
      log: [...log, ...again],
      books: [captured('R1'), captured('R2')],
      deductions: [deductions[0]!, { ...deductions[0]!, id: 'u', order_no: 'R2' }],
      attempts: [attempts[0]!, { ...attempts[0]!, task_id: 'u', order_no: 'R2' }],
      inFlight: [],
      outbox: ['t', 'u'].map((key) => ({
        topic: 'ledger.repayment_collected',
        message_key: key,
      })),
    });
    expect(found).to.eql(['double_charged', 'repayment_differs']);
  });

  it('sees money captured under an order that we hold dead, and lost where nobody was told', () => {
    const died = declined();
    expect(kinds(died)).to.eql(['dead_but_captured', 'lost']);
    expect(kinds({ ...died, books: [{ ...captured('R1'), captures: [] }] })).to.eql([]);
  });

  it('sees an amount captured that was not the amount ordered', () => {
    expect(kinds({ books: [captured('R1', 'a', 99n)] })).to.eql(['amount_differs']);
  });

  it('reads from the log alone what became of each order', () => {
    const status = (...entries: readonly (readonly [string, LogRow['body']])[]) => {
      const more = entries.map(([kind, body], at): LogRow => ({
        taskId: 't',
        seq: at + 4,
        kind,
        writer: 'w',
        body: { attemptNo: 1, ...body },
      }));
      return readLogs([...log.slice(0, 3), ...more])
        .get('t')
        ?.orders.get(1)?.status;
    };
    const notSent = { via: 'charge', answer: { kind: 'not_executed', proof: 'not_sent' } };
    expect(status()).to.equal('open');
    expect(status(['replied', { via: 'charge', answer: { kind: 'unknown' } }])).to.equal('open');
    expect(status(['replied', { via: 'query', answer: { kind: 'declined' } }])).to.equal(
      'declined',
    );
    expect(status(['replied', notSent])).to.equal('not_executed');
    // "Not sent" speaks of the second sending only.
    expect(status(['resend_intended', {}], ['replied', notSent])).to.equal('open');
    expect(status(['not_executed', {}])).to.equal('not_executed');
  });

  it('is content with a refund that gives back a part, and sees it given back twice', () => {
    expect(kinds(refunded())).to.eql([]);
    const [capture] = refunded().books!;
    const again = { ...capture!, refunds: [...capture!.refunds!, ...capture!.refunds!] };
    expect(kinds({ ...refunded(), books: [again] })).to.eql(['refunded_twice']);
    const unasked = { ...capture!, refunds: [{ orderNo: 'R8', amountMinor: 40n }] };
    expect(kinds({ ...refunded(), books: [unasked] })).to.eql(['not_captured', 'unannounced']);
    const repayments = [{ id: 'rp', due_minor: 100, paid_minor: 100, collecting_minor: 0 }];
    expect(kinds({ ...refunded(), repayments })).to.eql(['repayment_differs']);
  });

  it('sees a decision that has not come about', () => {
    const told = chargedTwice();
    const decided = (decision: object): Partial<Evidence> => ({
      ...told,
      log: [
        ...told.log!,
        {
          taskId: 't',
          seq: 10,
          kind: 'decided',
          writer: 'w',
          body: { caseNo: 1, attemptNo: 1, by: 'a', approvedBy: 'b', decision } as LogRow['body'],
        },
      ],
      cases: [{ ...told.cases![0]!, closed_at: '2026-11-22' }],
    });
    expect(kinds(decided({ action: 'write_off' }))).to.eql(['double_charged']);
    expect(kinds(decided({ action: 'refund', refundId: 'nowhere' }))).to.eql([
      'decision_without_effect',
      'double_charged',
    ]);
  });

  it('sees what the books lack, have twice, with another amount, or of nothing', () => {
    const topic = 'ledger.repayment_collected';
    const entry = { topic, message_key: 't', amount_minor: 100 };
    expect(kinds({ posted: [entry] })).to.eql([]);
    for (const posted of [
      [],
      [entry, entry],
      [{ ...entry, amount_minor: 99 }],
      [entry, { ...entry, message_key: 'u' }],
    ]) {
      expect(kinds({ posted })).to.eql(['books_differ']);
    }
    expect(kinds({ posted: [], deadLetters: [entry] })).to.eql([]);
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

  it('sees in flight what has ended, or was never accepted', () => {
    const row = { task_id: 't', seq: 5, wake_at: null };
    expect(kinds({ inFlight: [row] })).to.eql(['tables_differ']);
    expect(kinds({ inFlight: [{ ...row, task_id: 'u' }] })).to.eql(['tables_differ']);
  });

  it('sees an unfinished task that nobody will move', () => {
    const half = log.slice(0, 3);
    const open = {
      log: half,
      outbox: [],
      deductions: [{ ...deductions[0]!, status: 'processing', order_no: null }],
      attempts: [{ ...attempts[0]!, status: 'sending' }],
      repayments: [{ id: 'rp', due_minor: 100, paid_minor: 0, collecting_minor: 100 }],
      inFlight: [{ task_id: 't', seq: 3, wake_at: null }],
    };
    expect(kinds({ ...open, books: [] })).to.eql(['abandoned']);
    expect(kinds({ ...open, inFlight: [], books: [] })).to.eql(['abandoned']);
    const waits = [{ task_id: 't', seq: 3, wake_at: '2026-11-22' }];
    expect(kinds({ ...open, inFlight: waits, books: [] })).to.eql([]);
    // A capture that we have not heard of yet is no finding while work goes on.
    expect(kinds({ ...open, inFlight: waits, quiet: false })).to.eql([]);
    expect(kinds({ ...open, inFlight: waits })).to.eql(['lost', 'open_but_captured']);
  });
});
