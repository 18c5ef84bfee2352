import type { Mutant } from './mutant.js';

const lateDebit = 'src/engine/late-debit.js';
const withdrawal = 'src/engine/withdrawal.js';

/** Bugs in giving back a debit that was found done too late. */
export const lateDebitMutants: readonly Mutant[] = [
  {
    name: 'an adopted debit is not given back',
    rule: 'what two people decided comes about',
    file: withdrawal,
    find: 'return giveBack(state, (debit) => restore(state, debit, nowMs), nowMs) ?? tidied;',
    replace: 'return tidied;',
  },
  {
    name: 'a late debit is given back again and again',
    rule: 'each debit is given back once',
    file: lateDebit,
    find: 'state.lateDebits.includes(one.no) &&\n    !isBack(state, one) &&',
    replace: 'state.lateDebits.includes(one.no) &&',
    also: [
      {
        file: 'src/engine/legs.js',
        find: 'if (what === undefined || doneIn(state, by, of?.order.orderNo) !== undefined)',
        replace: 'if (what === undefined || (of === undefined && doneIn(state, by) !== undefined))',
      },
      {
        file: 'src/engine/orders-state.js',
        find: "invariant(doneLike(state, entry.order) === undefined, 'none after a capture');",
        replace: '',
      },
    ],
  },
  {
    name: 'a debit that was paid out is given back, too',
    rule: 'never paid out and given back',
    file: lateDebit,
    find: "(attempt.excessSeq !== null || doneIn(state, 'debit')?.no !== attempt.no);",
    replace: 'attempt.no > 0;',
  },
  {
    name: 'a debit that is denied is given back all the same',
    rule: 'nothing is sent on a word that was taken back',
    file: lateDebit,
    find: "openCase(state, 'contradiction', debit.no);",
    replace: "openCase(state, 'contradiction', debit.no) && false;",
    // The service's denial would have to fall between two orders of one restore.
    test: 'withdrawals/late-debit-flow.test.js',
  },
  {
    name: 'what goes back after the end is in nobody’s hands',
    rule: 'in flight until it is back',
    file: 'src/engine/tasks.js',
    find: "task.end === null || (task.kind === 'withdrawal' && owesDebits(task));",
    replace: 'task.end === null;',
  },
];
