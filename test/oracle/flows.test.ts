import { expect } from 'chai';
import { figuresByFlow } from '../../src/oracle/by-flow.js';
import type { BookedOperation, BookedOrder, Evidence, LogRow } from '../../src/oracle/evidence.js';
import { judge } from '../../src/oracle/judge.js';
import { readLogs } from '../../src/oracle/log-story.js';

type Line = readonly [kind: string, body: LogRow['body']];

/** An order placed, and what was said of it. */
const placed = (
  attemptNo: number,
  operation: BookedOperation,
  orderNo: string,
  answer: NonNullable<LogRow['body']['answer']> = { kind: 'succeeded' },
): Line[] => [
  [
    operation === 'charge' || operation === 'refund' ? `${operation}_intended` : 'intended',
    { attemptNo, order: { orderNo, channelId: partyOf(operation), operation, amountMinor: '100' } },
  ],
  ['replied', { attemptNo, via: operation, answer }],
];

const partyOf = (operation: BookedOperation): string => {
  if (operation === 'debit' || operation === 'restore') return 'accounts';
  return ['pre_recharge', 'credit', 'void'].includes(operation) ? 'cards' : 'a';
};

const settled = (attemptNo: number, orderNo: string): Line => [
  'settled',
  { attemptNo, orderNo, amountMinor: '100' },
];

const done = (
  operation: BookedOperation,
  orderNo: string,
  atMs = 1,
  more: Partial<BookedOrder> = {},
): BookedOrder => ({
  channelId: partyOf(operation),
  orderNo,
  operation,
  state: 'done',
  amountMinor: 100n,
  startedAtMs: atMs,
  captures: [{ amountMinor: 100n, own: false, atMs }],
  ...more,
});

const untouched = (operation: BookedOperation, orderNo: string): BookedOrder => ({
  ...done(operation, orderNo),
  captures: [],
});

const logOf = (lines: readonly Line[], taskId = 't'): LogRow[] =>
  lines.map(([kind, body], at) => ({ taskId, seq: at + 1, kind, writer: 'w', body }));

function judged(
  lines: readonly Line[],
  books: readonly BookedOrder[],
  more: Partial<Evidence> = {},
) {
  const log = logOf(lines);
  const evidence: Evidence = {
    log,
    books,
    deductions: [],
    attempts: [],
    cases: [],
    inFlight: [],
    repayments: [],
    outbox: [],
    refunds: [],
    quiet: true,
    ...more,
  };
  const { violations } = judge(evidence);
  // Rows of tables are judged elsewhere.
  const rows = new Set(['tables_differ', 'abandoned', 'ledger_differs']);
  return violations.filter(({ kind }) => !rows.has(kind));
}

const kinds = (...args: Parameters<typeof judged>): string[] =>
  [...new Set(judged(...args).map(({ kind }) => kind))].toSorted();

const remote: Line = [
  'withdrawal_accepted',
  { withdrawal: { memberId: 'm', amountMinor: '100', currency: 'CNY', funding: {} } },
];
const local: Line = [
  'withdrawal_accepted',
  { withdrawal: { memberId: 'm', amountMinor: '100', currency: 'CNY', funding: null } },
];
const topUp: Line = ['top_up_accepted', { topUp: { amountMinor: '100', creditMinor: '110' } }];
const routed: Line = ['routed', {}];
const failed: Line = ['failed', { code: 'x' }];
const no = { kind: 'declined', scope: 'final' } as const;

describe('the oracle on withdrawals', () => {
  const paid = [remote, ...placed(1, 'debit', 'D1'), routed, ...placed(2, 'payout', 'P2')];
  const back = [
    remote,
    ...placed(1, 'debit', 'D1'),
    routed,
    ...placed(2, 'payout', 'P2', no),
    ...placed(3, 'restore', 'S3'),
    failed,
  ];

  it('is content with one that was paid, and one that went back', () => {
    expect(kinds([...paid, settled(2, 'P2')], [done('debit', 'D1'), done('payout', 'P2')])).to.eql(
      [],
    );
    const books = [done('debit', 'D1'), untouched('payout', 'P2'), done('restore', 'S3')];
    expect(kinds(back, books)).to.eql([]);
  });

  it('sees money paid out twice, and paid out and given back', () => {
    const twice = done('payout', 'P2', 1, {
      captures: [1, 2].map((atMs) => ({ amountMinor: 100n, own: false, atMs })),
    });
    expect(kinds([...paid, settled(2, 'P2')], [done('debit', 'D1'), twice])).to.eql([
      'double_paid',
    ]);
    const books = [done('debit', 'D1'), done('payout', 'P2'), done('restore', 'S3')];
    expect(kinds(back, books)).to.include('double_paid');
    const given: Line[] = [local, routed, ...placed(1, 'payout', 'P1', no), failed];
    expect(kinds(given, [done('payout', 'P1')])).to.include.members(['double_paid', 'lost']);
  });

  it('does not blame us for what a channel did against its word, but wants it shown', () => {
    const broken = done('payout', 'P1', 9, {
      captures: [{ amountMinor: 100n, own: false, violation: true }],
    });
    const told: Line[] = [
      local,
      routed,
      ...placed(1, 'payout', 'P1', no),
      failed,
      ['replied', { attemptNo: 1, via: 'callback', answer: { kind: 'succeeded' } }],
    ];
    const shown: Line = ['case_opened', { caseNo: 1, reason: 'late_success', attemptNo: 1 }];
    expect(kinds([...told, shown], [broken])).to.eql([]);
    expect(kinds(told, [broken])).to.eql(['lost', 'not_shown']);
  });

  it('sees a debit that was neither paid out nor restored, or restored twice', () => {
    const unrestored = [...back.slice(0, -3), failed];
    expect(kinds(unrestored, [done('debit', 'D1'), untouched('payout', 'P2')])).to.eql([
      'edge',
      'lost',
    ]);
    const twice = done('restore', 'S3', 1, {
      captures: [1, 2].map((atMs) => ({ amountMinor: 100n, own: false, atMs })),
    });
    expect(kinds(back, [done('debit', 'D1'), untouched('payout', 'P2'), twice])).to.eql([
      'restored_twice',
    ]);
  });

  it('sees a payout that nothing was taken for, and one after giving back had begun', () => {
    const untaken: Line[] = [remote, routed, ...placed(1, 'payout', 'P1'), settled(1, 'P1')];
    expect(kinds(untaken, [done('payout', 'P1')])).to.eql(['edge']);
    const late = [...back.slice(0, -1), ...placed(4, 'payout', 'P4')];
    const books = [done('debit', 'D1'), done('restore', 'S3'), done('payout', 'P4')];
    expect(kinds(late, books)).to.include('edge');
  });

  it('sees a balance that its money log or its withdrawals do not explain', () => {
    const log: Line[] = [local, routed, ...placed(1, 'payout', 'P1'), settled(1, 'P1')];
    const books = [done('payout', 'P1')];
    const account = { id: 'm', currency: 'CNY' };
    const entry = { member_id: 'm', currency: 'CNY' };
    const deposited = { ...entry, cause_id: 'd', kind: 'deposited', amount_minor: 300 };
    const withdrawn = { ...entry, cause_id: 't', kind: 'withdrawn', amount_minor: -100 };
    const given = { ...entry, cause_id: 't', kind: 'given_back', amount_minor: 100 };
    const with_ = (balance: number, ...memberEntries: object[]): Partial<Evidence> => ({
      members: [{ ...account, balance_minor: balance }],
      memberEntries: memberEntries as NonNullable<Evidence['memberEntries']>,
    });
    expect(kinds(log, books, with_(200, deposited, withdrawn))).to.eql([]);
    for (const wrong of [
      with_(300, deposited, withdrawn),
      with_(300, deposited),
      with_(300, deposited, withdrawn, given),
      with_(-100, withdrawn),
    ]) {
      expect(kinds(log, books, wrong)).to.eql(['balance_differs']);
    }
  });
});

describe('the oracle on top-ups', () => {
  const paid: Line[] = [
    topUp,
    ...placed(1, 'pre_recharge', 'R1'),
    routed,
    ...placed(2, 'charge', 'C2'),
  ];
  const credited = [...paid, ...placed(3, 'credit', 'K3'), settled(3, 'K3')];
  const back = [
    ...paid,
    ...placed(3, 'credit', 'K3', no),
    ...placed(4, 'void', 'V4'),
    ...placed(5, 'refund', 'F5'),
    failed,
  ];
  const record = done('pre_recharge', 'R1', 1);
  const charge = done('charge', 'C2', 2);
  const refunded = { ...charge, refunds: [{ orderNo: 'F5', amountMinor: 100n }] };

  it('is content with one that was credited, and one that went back', () => {
    expect(kinds(credited, [record, charge, done('credit', 'K3', 3)])).to.eql([]);
    const books = [record, refunded, untouched('credit', 'K3'), done('void', 'V4', 4)];
    expect(kinds(back, books)).to.eql([]);
  });

  it('sees a card credited twice, and a payment refunded while its credit stands', () => {
    const twice = done('credit', 'K3', 3, {
      captures: [3, 4].map((atMs) => ({ amountMinor: 100n, own: false, atMs })),
    });
    expect(kinds(credited, [record, charge, twice])).to.eql(['double_credited']);
    const books = [record, refunded, done('credit', 'K3', 9), done('void', 'V4', 4)];
    expect(kinds(back, books)).to.include('wrongly_refunded');
    const figures = figuresByFlow({}, readLogs(logOf(back)), judged(back, books));
    const harmed = { started: 1, failed: 1, given_back: 1, wrongly_refunded: 1, double_paid: 0 };
    expect(figures.top_ups).to.include(harmed);
    expect(figures.withdrawals).to.include({ started: 0, wrongly_refunded: 0 });
  });

  describe('of which a refund gives a payment back', () => {
    const given = { topUpId: 't', captureNo: 2, captureOrderNo: 'C2', amountMinor: '100' };
    const refund: Line[] = [
      ['top_up_refund_accepted', { refund: given }],
      ...placed(1, 'refund', 'G1'),
      settled(1, 'G1'),
    ];
    const about = { caseNo: 1, attemptNo: 2 };
    const twice: Line[] = [
      ...credited,
      ['captured_again', { attemptNo: 2, captures: 2 }],
      ['case_opened', { ...about, reason: 'captured_twice' }],
      ['decided', { ...about, decision: { action: 'refund', refundId: 'u' }, by: 'a' }],
    ];
    const refunds = [{ orderNo: 'G1', amountMinor: 100n }];
    const again = { ...charge, captures: [...charge.captures, { amountMinor: 100n, own: true }] };
    const judgedWith = (lines: readonly Line[], payment: BookedOrder): string[] =>
      kinds(lines, [record, { ...payment, refunds }, done('credit', 'K3', 3)], {
        log: [...logOf(lines), ...logOf(refund, 'u')],
      });

    it('is content where the channel had taken it twice', () => {
      expect(judgedWith(twice, again)).to.eql([]);
    });

    it('sees one that is credited and given back', () => {
      expect(judgedWith(credited, charge)).to.eql(['wrongly_refunded']);
    });

    it('sees a decision to give it back that nothing came of', () => {
      const books = [record, again, done('credit', 'K3', 3)];
      expect(kinds(twice, books)).to.eql(['decision_without_effect']);
    });
  });

  it('sees a payment that nobody credits, gives back or looks at', () => {
    const kept = [...back.slice(0, -3), failed];
    const books = [record, charge, untouched('credit', 'K3'), done('void', 'V4', 4)];
    expect(kinds(kept, books)).to.eql(['edge', 'lost']);
    expect(kinds(paid, [record, charge])).to.eql(['lost']);
    expect(kinds(paid, [record, charge], { quiet: false })).to.eql([]);
  });

  it('sees a credit before its payment, and a payment before its pre-recharge', () => {
    expect(kinds(credited, [record, charge, done('credit', 'K3', 1)])).to.eql(['credited_unpaid']);
    expect(kinds(credited, [record, done('credit', 'K3', 3)])).to.include('credited_unpaid');
    const late = done('pre_recharge', 'R1', 3);
    expect(kinds(credited, [late, charge, done('credit', 'K3', 4)])).to.eql(['paid_unrecorded']);
  });

  it('sees a refund without a void, and a credit after one', () => {
    const unvoided = [...paid, ...placed(3, 'refund', 'F5'), failed];
    expect(kinds(unvoided, [record, refunded])).to.include('edge');
    const after = [...back.slice(0, -3), ...placed(5, 'credit', 'K5')];
    expect(kinds(after, [record, charge, done('credit', 'K5', 5)])).to.include('edge');
  });

  it('sees a credit that was ended before its hour, where it could be sent again', () => {
    const [intent] = placed(3, 'credit', 'K3') as [Line];
    const lines: Line[] = [
      ['top_up_accepted', { topUp: { amountMinor: '100', creditMinor: '1', settleAfterMs: 50 } }],
      ...paid.slice(1),
      ['intended', { ...intent[1], nature: { idempotent: true } }],
      ['replied', { attemptNo: 3, via: 'credit', answer: { kind: 'unknown' } }],
      ['close_intended', { attemptNo: 3 }],
    ];
    const at = (closedMs: number): string[] => {
      const log = logOf(lines).map((row, n) => ({ ...row, atMs: n === 8 ? closedMs : 10 }));
      return [...readLogs(log).values()].flatMap(({ violations }) => violations.map((v) => v.kind));
    };
    expect(lines[8]?.[0]).to.equal('close_intended');
    expect([at(59), at(60)]).to.deep.equal([['edge'], []]);
  });

  it('opens again by a late payment, once', () => {
    const unpaid: Line[] = [
      topUp,
      ...placed(1, 'pre_recharge', 'R1'),
      routed,
      ...placed(2, 'charge', 'C2', no),
      ...placed(3, 'void', 'V4'),
      failed,
      ['replied', { attemptNo: 2, via: 'callback', answer: { kind: 'succeeded' } }],
      ['case_opened', { caseNo: 1, reason: 'late_success', attemptNo: 2 }],
      ...placed(4, 'refund', 'F5'),
      failed,
    ];
    expect(kinds(unpaid, [record, refunded, done('void', 'V4', 4)])).to.eql([]);
    expect(kinds([...unpaid, failed], [record, refunded, done('void', 'V4', 4)])).to.include(
      'terminal_moved',
    );
  });
});
