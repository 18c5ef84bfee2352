import { expect } from 'chai';
import type { BookedOrder, Evidence, LogRow, ToldRow } from '../../src/oracle/evidence.js';
import { judge } from '../../src/oracle/judge.js';

/** A withdrawal of 100, paid out by channel a. */
const log: LogRow[] = [
  {
    kind: 'withdrawal_accepted',
    body: { withdrawal: { memberId: 'm', amountMinor: '100', currency: 'CNY', funding: null } },
  },
  { kind: 'routed', body: {} },
  {
    kind: 'intended',
    body: {
      attemptNo: 1,
      order: { orderNo: 'P1', channelId: 'a', operation: 'payout' as const, amountMinor: '100' },
    },
  },
  {
    kind: 'replied',
    body: { attemptNo: 1, via: 'payout', answer: { kind: 'succeeded' } },
  },
  { kind: 'settled', body: { attemptNo: 1, orderNo: 'P1', amountMinor: '100' } },
].map((row, at) => ({ ...row, taskId: 't', seq: at + 1, writer: 'w' }));

const payout: BookedOrder = {
  channelId: 'a',
  orderNo: 'P1',
  operation: 'payout',
  state: 'done',
  amountMinor: 100n,
  captures: [{ amountMinor: 100n }],
};
const entry = { member_id: 'm', currency: 'CNY' };
const deposited = { ...entry, cause_id: 'd', kind: 'deposited', amount_minor: 300 };
const withdrawn = { ...entry, cause_id: 't', kind: 'withdrawn', amount_minor: -100 };

const evidence: Evidence = {
  log,
  books: [payout],
  deductions: [],
  attempts: [],
  cases: [],
  inFlight: [],
  repayments: [],
  outbox: [],
  refunds: [],
  members: [{ id: 'm', currency: 'CNY', balance_minor: 200 }],
  memberEntries: [deposited, withdrawn],
  accounts: [
    { account: 'channel_clearing:a', debit_minor: 0, credit_minor: '100' },
    { account: 'member_balances', debit_minor: '100', credit_minor: 0 },
  ],
  told: [
    { kind: 'deposit', key: 'd', id: 'd', amountMinor: 300n },
    { kind: 'withdrawal', key: 'k', id: 't', amountMinor: 100n },
  ],
  quiet: true,
};

/** Rows and messages are judged elsewhere. */
const found = (changes: Partial<Evidence>): string[] =>
  judge({ ...evidence, ...changes })
    .violations.filter(({ kind }) => kind === 'books_differ' || kind === 'told_otherwise')
    .map(({ kind, about }) => `${kind} ${about}`);

describe('the oracle on totals', () => {
  const accounts = (clearing: number, members: number): Partial<Evidence> => ({
    accounts: [
      { account: 'channel_clearing:a', debit_minor: 0, credit_minor: clearing },
      { account: 'member_balances', debit_minor: members, credit_minor: 0 },
    ],
  });

  it('is content when the ledger has what the channel and the balances have', () => {
    expect(found({})).to.eql([]);
  });

  it('sees a ledger that has less, more, or of a channel that has nothing', () => {
    expect(found(accounts(0, 100))).to.eql(['books_differ channel_clearing:a']);
    expect(found(accounts(200, 100))).to.eql(['books_differ channel_clearing:a']);
    expect(found(accounts(100, 0))).to.eql(['books_differ member_balances']);
    const other = { account: 'channel_clearing:b', debit_minor: 1, credit_minor: 0 };
    const more = [...(evidence.accounts ?? []), other];
    expect(found({ accounts: more })).to.eql(['books_differ channel_clearing:b']);
  });

  it('wants what a channel did again by itself only once our log has heard of it', () => {
    const again = [{ amountMinor: 100n }, { amountMinor: 100n, own: true }];
    const books = [{ ...payout, captures: again }];
    const heard: LogRow = {
      taskId: 't',
      seq: 6,
      kind: 'captured_again',
      writer: 'w',
      body: { attemptNo: 1, captures: 2 },
    };
    expect(found({ books })).to.eql([]);
    expect(found({ books, log: [...log, heard] })).to.include('books_differ channel_clearing:a');
    expect(found({ books, log: [...log, heard], ...accounts(200, 100) })).to.eql([]);
  });
});

describe('the oracle on what callers were told', () => {
  const [deposit, withdrawal] = evidence.told as [ToldRow, ToldRow];

  it('sees an accepted request that is not there, and one of another amount', () => {
    expect(found({ told: [deposit, { ...withdrawal, id: 'x' }] })).to.eql([
      'told_otherwise x',
      'told_otherwise t',
    ]);
    expect(found({ memberEntries: [withdrawn] })).to.include('told_otherwise d');
    expect(found({ told: [deposit, { ...withdrawal, amountMinor: 1n }] })).to.eql([
      'told_otherwise t',
    ]);
  });

  it('sees what nobody was told of, but for those who never heard', () => {
    expect(found({ told: [deposit] })).to.eql(['told_otherwise t']);
    expect(found({ told: [deposit, { ...withdrawal, id: null }] })).to.eql([]);
  });
});
