import type { Mutant } from './mutant.js';

const attempt = 'src/engine/attempt.js';
const legs = 'src/engine/legs.js';
const withdrawal = 'src/engine/withdrawal.js';
const topUp = 'src/engine/top-up.js';
const withdrawalRows = 'src/store/withdrawal-rows.js';
const topUpRows = 'src/store/top-up-rows.js';
const fidelity = 'simulation/fidelity.test.js';

const unknown = 'return askLater({ ...open, unknownWhy: answer.why }, entry);';

/** An unknown outcome of one operation taken for something else; all others as they are. */
const unknownOf = (
  operation: string,
  otherwise: string,
): Pick<Mutant, 'file' | 'find' | 'replace'> => ({
  file: attempt,
  find: unknown,
  replace: `if (attempt.order.operation === '${operation}') return ${otherwise};\n ${unknown}`,
});

const refusedForGood =
  "{ ...attempt, status: 'declined', nextAskMs: null, endedAtMs: entry.atMs, decline: { kind: 'declined', code: 'x', channelCode: 'x', message: 'x', scope: 'final' } }";
const neverSent = "dead(attempt, 'not_sent', entry.atMs)";

const withdrawals: readonly Mutant[] = [
  {
    name: 'a payout of unknown outcome is given back',
    rule: '2 unknown is never given back',
    ...unknownOf('payout', refusedForGood),
  },
  {
    name: 'a payout of unknown outcome fails over',
    rule: '4 only a definite answer changes channel',
    ...unknownOf('payout', neverSent),
  },
  {
    name: 'a debit of unknown outcome is made again',
    rule: '3 a new order number needs proof that the old one is dead',
    ...unknownOf('debit', neverSent),
  },
  {
    name: 'a restore of unknown outcome is made again',
    rule: '3 a new order number needs proof that the old one is dead',
    ...unknownOf('restore', neverSent),
  },
  {
    name: 'paid out before it was debited',
    rule: 'nothing is paid out that was not taken',
    file: withdrawal,
    find: "if (funding !== null && doneIn(state, 'debit') === undefined) {",
    replace: 'if (Number.isNaN(nowMs)) {',
    also: [
      {
        file: withdrawal,
        find: "invariant(taken, 'nothing is paid",
        replace: "(() => {})(taken, 'nothing is paid",
      },
    ],
  },
  {
    name: 'a debit is not undone',
    rule: 'what cannot go forward goes back',
    file: withdrawal,
    find: 'return undo(state, undosOf(state, nowMs), nowMs) ?? fail(code, detail, nowMs);',
    replace: 'return fail(code, detail, nowMs);',
  },
  {
    name: 'what could not be undone is nobody’s',
    rule: '12 nothing ends silently',
    file: legs,
    find: 'giveUp: (why) => cannotUndo(state, tries, why, nowMs),',
    replace: 'giveUp: () => null,',
  },
  {
    name: 'undone again and again',
    rule: 'each leg is undone once',
    file: legs,
    find: 'if (what === undefined || doneIn(state, by, of?.order.orderNo) !== undefined)',
    replace: 'if (what === undefined)',
    also: [
      {
        file: 'src/engine/orders-state.js',
        find: "invariant(doneLike(state, entry.order) === undefined, 'none after a capture');",
        replace: '',
      },
    ],
  },
  {
    name: 'a balance is taken without the money log',
    rule: 'a balance is the sum of its money log',
    file: withdrawalRows,
    find: 'memberEntries,\n        memberDelta:',
    replace: 'memberEntries: [],\n        memberDelta:',
  },
  {
    name: 'a failed withdrawal keeps the balance',
    rule: 'a definite failure gives the balance back',
    file: withdrawalRows,
    find: "kind !== 'failed')\n            return [];\n        const taken = kind",
    replace: "kind !== 'nothing')\n            return [];\n        const taken = kind",
  },
  {
    name: 'a paid withdrawal gives the balance back, too',
    rule: 'never paid out and given back',
    file: withdrawalRows,
    find: "kind !== 'failed')\n            return [];\n        const taken = kind",
    replace:
      "kind !== 'failed' && kind !== 'settled')\n            return [];\n        const taken = kind",
  },
  {
    name: 'a balance may go below zero',
    rule: 'a balance is never below zero',
    file: 'src/simulation/memory-flows.js',
    find: "account.balance + BigInt(delta?.['balance'] ?? 0) < 0n",
    replace: 'account.balance < 0n',
  },
];

const topUps: readonly Mutant[] = [
  {
    name: 'a credit of unknown outcome is made again',
    rule: '3 a new order number needs proof that the old one is dead',
    ...unknownOf('credit', neverSent),
  },
  {
    name: 'refunded while the credit is unknown',
    rule: 'unknown counts as credited',
    ...unknownOf('credit', refusedForGood),
    also: [
      {
        file: topUp,
        find: "{ done: 'pre_recharge', by: 'void', place: () => atCards(state, 'void', nowMs) },",
        replace: '',
      },
      {
        file: topUp,
        find: "invariant(done('void') || writtenOff(state, 'void'),",
        replace: "(() => {})(done('void'),",
      },
    ],
  },
  {
    name: 'refunded without a void',
    rule: 'refunded only once it can never be credited',
    file: topUp,
    find: "{ done: 'pre_recharge', by: 'void', place: () => atCards(state, 'void', nowMs) },",
    replace: '',
    also: [
      {
        file: topUp,
        find: "invariant(done('void') || writtenOff(state, 'void'),",
        replace: "(() => {})(done('void'),",
      },
    ],
  },
  {
    name: 'a void of unknown outcome counts as done',
    rule: '2 unknown is not done',
    ...unknownOf(
      'void',
      "{ ...attempt, status: 'succeeded', channelRef: 'x', nextAskMs: null, endedAtMs: entry.atMs }",
    ),
  },
  {
    name: 'a refused void counts as done',
    rule: 'what is credited is not refunded',
    file: attempt,
    find: "case 'declined':\n            return {",
    replace:
      "case 'declined':\n            if (attempt.order.operation === 'void') return { ...attempt, status: 'succeeded', channelRef: 'x', nextAskMs: null, endedAtMs: entry.atMs };\n            return {",
  },
  {
    name: 'a refund of a top-up of unknown outcome is made again',
    rule: '3 a new order number needs proof that the old one is dead',
    ...unknownOf('refund', neverSent),
  },
  {
    name: 'paid before the pre-recharge',
    rule: 'the card system records before anyone pays',
    file: topUp,
    find: "if (doneIn(state, 'pre_recharge') === undefined)\n        return record(state, nowMs);",
    replace: '',
    also: [
      {
        file: topUp,
        find: "invariant(done('pre_recharge'), 'nobody pays",
        replace: "(() => {})(done('pre_recharge'), 'nobody pays",
      },
    ],
  },
  {
    name: 'credited after the void',
    rule: 'nothing goes forward once it goes back',
    file: topUp,
    find: 'if (goesBack(state))\n        return goBack(state, whyBack(state), nowMs);',
    replace: '',
    also: [
      {
        file: topUp,
        find: "invariant(!goesBack(state), 'nothing is credited that is voided');",
        replace: '',
      },
    ],
  },
  {
    name: 'a credit is ended before its hour',
    rule: 'unknown counts as credited, for its time',
    file: topUp,
    find: 'return settleAtMs(state) ?? Infinity;',
    replace: 'return -Infinity;',
  },
  {
    name: 'a late payment is kept',
    rule: '10 late success is recorded and goes back, never dropped',
    file: topUp,
    find: '{ ...state, paid: { no, atMs }, end: null }',
    replace: '{ ...state, paid: { no, atMs } }',
  },
  {
    name: 'a payment is not held by its credit',
    rule: 'credited or refunded, never both',
    file: topUpRows,
    find: 'credited: credited ? amountMinor : 0n,',
    replace: 'credited: 0n,',
  },
  {
    name: 'the payment is whichever was placed first',
    rule: 'what was done first stays what was built on',
    file: topUp,
    find: 'paid === null ? undefined : attempts[paid.no - 1];',
    replace:
      "paid === null ? undefined : attempts.find((one) => one.status === 'succeeded' && one.order.operation === undefined);",
  },
  {
    name: 'the ledger hears of no credit',
    rule: 'the message leaves with what it tells of',
    file: topUpRows,
    find: "credit: 'ledger.top_up_credited',",
    replace: '',
  },
];

const tables: readonly Mutant[] = [
  {
    name: 'the table has no CHECK on a balance',
    rule: 'a balance is never below zero',
    file: 'migrations/009-withdrawals.js',
    find: 'CONSTRAINT member_balance CHECK (balance_minor >= 0)',
    replace: 'CONSTRAINT member_balance CHECK (balance_minor IS NOT NULL)',
    test: fidelity,
  },
  {
    name: 'the table has no unique withdrawal request',
    rule: 'the same request twice is the same withdrawal',
    file: 'migrations/009-withdrawals.js',
    find: 'UNIQUE KEY withdrawal_request (request_key),',
    replace: '',
    test: fidelity,
  },
  {
    name: 'the table has no unique top-up request',
    rule: 'the same request twice is the same top-up',
    file: 'migrations/010-top-ups.js',
    find: 'UNIQUE KEY top_up_request (request_key),',
    replace: '',
    test: fidelity,
  },
];

export const flowMutants: readonly Mutant[] = [...withdrawals, ...topUps, ...tables];
