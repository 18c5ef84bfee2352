import type { Mutant } from './mutant.js';

const orders = 'src/engine/orders.js';
const refundRows = 'src/store/refund-rows.js';
const requestCarrier = 'src/cases/refund-request-carrier.js';
const consumer = 'src/ledger/consumer.js';

/** Refunds, decisions about cases, and the way to the books. */
export const moneyBackMutants: readonly Mutant[] = [
  {
    name: 'a refund takes nothing from its capture',
    rule: 'refunds never exceed the capture',
    file: refundRows,
    find: 'if (isAcceptance(entry))\n            taken += refund.amountMinor;',
    replace: '',
  },
  {
    name: 'a failed refund leaves its capture taken',
    rule: 'the tables are the fold of the log',
    file: refundRows,
    find: "if (entry.kind === 'failed')\n            taken -= refund.amountMinor;",
    replace: '',
  },
  {
    name: 'what was given back still counts as paid',
    rule: '5 paid is what was collected and kept',
    file: refundRows,
    find: 'if (!settled || !ofCredited(refund))',
    replace: 'if (settled || !settled)',
  },
  {
    name: 'the ledger hears of no refund',
    rule: 'the message leaves with the settlement',
    file: refundRows,
    find: "if (entry.kind !== 'settled')\n            return [];",
    replace: "if (entry.kind !== 'nothing')\n            return [];",
  },
  {
    name: 'the ledger hears of no late capture',
    rule: '10 late success is recorded, never dropped',
    file: 'src/store/deduction-rows.js',
    find: 'excessSeq !== null && excessSeq > afterSeq',
    replace: 'excessSeq === -1',
  },
  {
    name: 'no CHECK on what is given back',
    rule: 'refunds never exceed the capture',
    file: 'src/simulation/memory-database.js',
    find: 'if (!ok || (some && !captured))',
    replace: 'if (!ok && !some)',
  },
  {
    name: 'a refund is placed again after a final no',
    rule: '4 a final decline ends it',
    file: 'src/engine/legs.js',
    find: "if (last !== undefined && last.decline?.scope === 'final') {",
    replace: 'if (last !== undefined && last.no < 0) {',
  },
  {
    name: 'a refund is sent as a charge',
    rule: 'money that is owed back goes back',
    file: 'src/engine/executor.js',
    find: 'one[step.kind]?.(step.order)',
    replace: 'one.charge(step.order)',
  },
  {
    name: 'two decisions about one case',
    rule: 'a case is decided once',
    file: orders,
    find: 'one.no === caseNo && one.closed === null',
    replace: 'one.no === caseNo',
  },
  {
    name: 'adopted, and the capture is not recorded',
    rule: 'a case is closed by what was decided, not beside it',
    file: orders,
    find: 'return [decided, { ...told, sentAtMs: atMs }];',
    replace: 'return [decided];',
  },
  {
    name: 'marked not executed, and the order lives on',
    rule: 'a case is closed by what was decided, not beside it',
    file: orders,
    find: "? [decided, { kind: 'not_executed', atMs, attemptNo, proof: 'decided' }]",
    replace: '? [decided]',
  },
  {
    name: 'an adopted late capture is not credited',
    rule: 'a case is closed by what was decided, not beside it',
    file: 'src/engine/deduction.js',
    find: 'if (late !== undefined)\n        return settle(late, nowMs, true);',
    replace: '',
  },
  {
    name: 'a posting of unknown outcome is taken for posted',
    rule: '2 unknown is not failed, nor done',
    file: consumer,
    find: 'return this.#again(message, result.why, amountOf(entry));',
    replace: "return { id: message.id, kind: 'delivered' };",
  },
  {
    name: 'confirmed before it is posted',
    rule: 'a message is delivered when it is in the books',
    file: consumer,
    find: 'const results = await this.#post(toPost.map(({ entry }) => entry));',
    replace:
      "await this.outbox.confirm(toPost.map(({ message }) => ({ id: message.id, kind: 'delivered' })), 0);\n const results = await this.#post(toPost.map(({ entry }) => entry));",
  },
  {
    name: 'a message that was sent is never sent again',
    rule: 'the outbox is the truth, the queue may lose everything',
    file: 'src/ledger/relay.js',
    find: 'againAtMs: nowMs + confirmMs',
    replace: 'againAtMs: Infinity',
  },
  {
    name: 'the payment that a top-up was built on is given back by a refund',
    rule: 'credited or given back, never both',
    file: 'src/intake/refund-desk.js',
    find: 'const first = isPayment ? 2 : 1;',
    replace: 'const first = 1;',
  },
  {
    name: 'no unique key over the captures of a top-up that go back',
    rule: 'each capture is given back once',
    file: 'src/simulation/memory-database.js',
    find: "if (others.some((one) => one['capture_no'] === captureNo)) {",
    replace: "if (others.some((one) => one['capture_no'] === -1)) {",
    test: 'simulation/fidelity.test.js',
  },
  {
    name: 'the ledger hears of no second capture of a payment',
    rule: 'the message leaves with what it tells of',
    file: 'src/store/top-up-rows.js',
    find: 'return [...first, ...movedAgain(state, entries)];',
    replace: 'return first;',
  },
  {
    name: 'what a customer paid twice is given back out of what borrowers are owed',
    rule: 'the books know whose money it was',
    file: refundRows,
    find: "return [message('ledger.top_up_refunded', refund.id, body, entry.atMs)];",
    replace: "return [message('ledger.refund_paid', refund.id, body, entry.atMs)];",
  },
  {
    name: 'the table has no unique key over the captures of a top-up that go back',
    rule: 'each capture is given back once',
    file: 'migrations/016-top-up-refunds.js',
    find: 'ADD UNIQUE KEY refund_one_a_capture (live_capture),',
    replace: '',
    test: 'top-ups/paid-twice.test.js',
  },
  {
    name: 'the table has no CHECK on what is given back',
    rule: 'refunds never exceed the capture',
    file: 'migrations/004-refunds.js',
    find: 'AND credited_minor + refund_minor <= amount_minor',
    replace: '',
    test: 'engine/refund-end-to-end.test.js',
  },
  {
    name: 'a requested refund starts anew each time it is carried out',
    rule: 'one request, one refund',
    file: requestCarrier,
    find: 'const requestKey = refundKeyOf(no);',
    replace:
      'const requestKey = `${refundKeyOf(no)}:${(globalThis.mutant = (globalThis.mutant ?? 0) + 1)}`;',
  },
  {
    name: 'a requested refund takes what is credited to nobody first',
    rule: 'a request takes from what was credited alone',
    file: requestCarrier,
    find: "only: 'repayment' });",
    replace: 'only: undefined });',
  },
];
