import { expect } from 'chai';
import {
  compare,
  sentUnannounced,
  type BookedOrder,
  type FindingKind,
  type OurBooks,
  type OurDeduction,
  type OurOrder,
} from '../../src/demo/compare.js';

/** One deduction of 100.00, collected by swiftpay under R1, both books in agreement. */
const order: OurOrder = {
  orderNo: 'R1',
  deductionId: 'd1',
  channelId: 'swiftpay',
  amountMinor: 10_000n,
  status: 'succeeded',
};
const deduction: OurDeduction = {
  id: 'd1',
  repaymentId: 'rp1',
  status: 'succeeded',
  amountMinor: 10_000n,
  orderNo: 'R1',
  hasOpenCase: false,
  settlements: 1,
};
const repayment = { id: 'rp1', dueMinor: 10_000n, paidMinor: 10_000n, collectingMinor: 0n };
const ours: OurBooks = { orders: [order], deductions: [deduction], repayments: [repayment] };
const booked: BookedOrder = {
  channelId: 'swiftpay',
  orderNo: 'R1',
  state: 'captured',
  amountMinor: 10_000n,
  captures: [{ amountMinor: 10_000n }],
};

const failed = { ...deduction, status: 'failed', orderNo: null, settlements: 0 } as const;
const unpaid = { ...repayment, paidMinor: 0n };

function kinds(books: OurBooks, book: readonly BookedOrder[]): FindingKind[] {
  return [...new Set(compare(books, book).findings.map(({ kind }) => kind))].sort();
}

describe('Comparing our books with the channels’', () => {
  it('finds nothing where both agree', () => {
    const comparison = compare(ours, [booked]);
    expect(comparison.findings).to.deep.equal([]);
    expect(comparison.agree).to.equal(true);
    expect(comparison.ordersCompared).to.equal(1);
    expect(comparison.capturedMinor).to.equal(10_000n);
  });

  it('finds a borrower charged under two order numbers of one deduction', () => {
    const second = { ...order, orderNo: 'R2', channelId: 'oldbank' };
    const books = { ...ours, orders: [order, second] };
    const comparison = compare(books, [booked, { ...booked, orderNo: 'R2', channelId: 'oldbank' }]);
    expect(comparison.count('double_charged')).to.equal(1);
    expect(comparison.agree).to.equal(false);
  });

  it('finds a second capture even when a case knows of it: known is not undone', () => {
    const second = { ...order, orderNo: 'R2', channelId: 'oldbank' };
    const books = {
      ...ours,
      orders: [order, second],
      deductions: [{ ...deduction, hasOpenCase: true }],
    };
    const book = [booked, { ...booked, orderNo: 'R2', channelId: 'oldbank' }];
    expect(kinds(books, book)).to.deep.equal(['double_charged']);
  });

  it('finds more taken than was due by two deductions of one repayment', () => {
    const books = {
      orders: [order, { ...order, orderNo: 'R2', deductionId: 'd2' }],
      deductions: [deduction, { ...deduction, id: 'd2', orderNo: 'R2' }],
      repayments: [{ ...repayment, paidMinor: 20_000n }],
    };
    expect(kinds(books, [booked, { ...booked, orderNo: 'R2' }])).to.deep.equal(['double_charged']);
  });

  it('finds a payment lost: captured, and our deduction has failed', () => {
    const books = {
      orders: [{ ...order, status: 'declined' as const }],
      deductions: [failed],
      repayments: [unpaid],
    };
    expect(kinds(books, [booked])).to.deep.equal(['dead_but_captured', 'lost']);
  });

  it('does not call a capture lost while a case holds it before a person', () => {
    const books = {
      orders: [{ ...order, status: 'succeeded' as const }],
      deductions: [{ ...failed, hasOpenCase: true }],
      repayments: [unpaid],
    };
    expect(kinds(books, [booked])).to.deep.equal([]);
  });

  it('finds an order that our log never announced, and its money lost', () => {
    const stray = { ...booked, orderNo: 'R9' };
    const comparison = compare(ours, [booked, stray]);
    expect(comparison.count('unannounced')).to.equal(1);
    expect(comparison.count('lost')).to.equal(1);
  });

  it('finds an order placed at another channel than announced', () => {
    expect(kinds(ours, [{ ...booked, channelId: 'oldbank' }])).to.include('unannounced');
  });

  it('finds an unannounced order even when nothing was captured', () => {
    const stray = { ...booked, orderNo: 'R9', state: 'declined' as const, captures: [] };
    expect(kinds(ours, [booked, stray])).to.deep.equal(['unannounced']);
  });

  it('remembers what was sent before it was announced, though it was announced later', () => {
    const early = sentUnannounced([booked], new Map());
    expect(early).to.have.length(1);
    const comparison = compare(ours, [booked], early);
    expect(comparison.count('unannounced')).to.equal(1);
    expect(comparison.agree).to.equal(false);
    expect(sentUnannounced([booked], new Map([['R1', order]]))).to.deep.equal([]);
  });

  it('finds a success that no channel knows', () => {
    const comparison = compare(ours, []);
    expect(comparison.count('not_captured')).to.equal(1);
    expect(comparison.agree).to.equal(false);
  });

  it('finds a captured order whose outcome our log does not have', () => {
    const books = {
      orders: [{ ...order, status: 'open' as const }],
      deductions: [{ ...failed, status: 'processing' as const }],
      repayments: [{ ...unpaid, collectingMinor: 10_000n }],
    };
    expect(kinds(books, [booked])).to.deep.equal(['lost', 'open_but_captured']);
  });

  it('finds an amount captured that was not the amount ordered', () => {
    const book = [{ ...booked, captures: [{ amountMinor: 9_999n }] }];
    expect(kinds(ours, book)).to.deep.equal(['amount_differs']);
  });

  it('finds a repayment whose paid amount is not the sum of its deductions', () => {
    const books = { ...ours, repayments: [unpaid] };
    expect(kinds(books, [booked])).to.deep.equal(['repayment_differs']);
  });

  it('finds a repayment that still reserves what no deduction collects', () => {
    const books = { ...ours, repayments: [{ ...repayment, collectingMinor: 1n }] };
    expect(kinds(books, [booked])).to.deep.equal(['repayment_differs']);
  });

  it('finds a deduction that the log settles twice, or never', () => {
    for (const settlements of [0, 2]) {
      const books = { ...ours, deductions: [{ ...deduction, settlements }] };
      expect(kinds(books, [booked])).to.deep.equal(['log_differs']);
    }
  });

  it('counts a capture that the channel itself doubled apart', () => {
    const capture = { amountMinor: 10_000n };
    const comparison = compare(ours, [{ ...booked, captures: [capture, capture] }]);
    expect(comparison.count('channel_doubled')).to.equal(1);
    expect(comparison.count('double_charged')).to.equal(0);
    expect(comparison.agree).to.equal(true);
    expect(comparison.capturedMinor).to.equal(10_000n);
  });
});
