import { flowMutants } from './flow-mutants.js';
import { lateDebitMutants } from './late-debit-mutants.js';
import { moneyBackMutants } from './money-back-mutants.js';
import type { Mutant } from './mutant.js';
import { storeMutants } from './store-mutants.js';

const attempt = 'src/engine/attempt.js';
const flow = 'src/engine/deduction.js';
const legs = 'src/engine/legs.js';
const orders = 'src/engine/orders.js';
const state = 'src/engine/orders-state.js';
const executor = 'src/engine/executor.js';
const deductionRows = 'src/store/deduction-rows.js';
const projections = 'src/store/projections.js';
const memory = 'src/simulation/memory-database.js';

const judging: readonly Mutant[] = [
  {
    name: 'a time-out fails over',
    rule: '2 unknown is not failed',
    file: attempt,
    find: 'return askLater({ ...open, unknownWhy: answer.why }, entry);',
    replace: "return dead(attempt, 'not_sent', entry.atMs);",
  },
  {
    name: 'one "not found" fails over',
    rule: '4 only a definite answer changes channel',
    file: attempt,
    find: "return nature.honoursExpiry && !attempt.seen && askedSince ? 'expired_unseen' : null;",
    replace: "return attempt.notFoundSentAtMs !== null ? 'expired_unseen' : null;",
  },
  {
    name: 'no visibility window',
    rule: '8 a zombie request must die',
    file: attempt,
    find: "return 'closed';\n    const deadAtMs = order.expiresAtMs + nature.visibilityMs;",
    replace: "return 'closed';\n    const deadAtMs = order.expiresAtMs;",
  },
  {
    name: 'proof by when the answer came, not by when it was asked',
    rule: '8 a zombie request must die',
    file: attempt,
    find: '{ sentAtMs }) => Math.min(saidAtMs, sentAtMs)',
    replace: '{ atMs }) => Math.min(saidAtMs, atMs)',
  },
  {
    name: 'expiry believed of a channel that does not honour it',
    rule: '8 a zombie request must die',
    file: attempt,
    find: "return nature.honoursExpiry && !attempt.seen && askedSince ? 'expired_unseen' : null;",
    replace: "return !attempt.seen && askedSince ? 'expired_unseen' : null;",
  },
  {
    name: '"not found" believed of an order that was seen',
    rule: '8 a zombie request must die',
    file: attempt,
    find: "return nature.honoursExpiry && !attempt.seen && askedSince ? 'expired_unseen' : null;",
    replace: "return nature.honoursExpiry && askedSince ? 'expired_unseen' : null;",
  },
  {
    name: 'any close is believed',
    rule: '8 a zombie request must die',
    file: attempt,
    find: "if (nature.closeProof === 'refuses_unseen' && attempt.closeConfirmed)",
    replace: 'if (attempt.closeConfirmed)',
  },
  {
    name: '"not sent" believed after another send',
    rule: '2 unknown is not failed',
    file: attempt,
    find: "if (proof === 'not_sent' && isPlacing(entry.via) && attempt.sends === 1) {",
    replace: "if (proof === 'not_sent' && isPlacing(entry.via)) {",
  },
  {
    name: 'sends are not counted',
    rule: '2 unknown is not failed',
    file: state,
    find: 'change((a) => ({ sends: a.sends + 1, notFoundSentAtMs: null }))',
    replace: 'change(() => ({ notFoundSentAtMs: null }))',
  },
  {
    name: 'a mismatched answer is taken for a decline',
    rule: '9 verify before believing',
    file: attempt,
    find: "return askLater({ ...open, seen: open.seen || answer.field !== 'order_no' }, entry);",
    replace:
      "return { ...attempt, status: 'declined', nextAskMs: null, endedAtMs: entry.atMs, decline: { kind: 'declined', code: 'x', channelCode: 'x', message: 'x', scope: 'other_channel' } };",
  },
  {
    name: 'a mismatch is shown to nobody',
    rule: '9 verify before believing',
    file: state,
    find: "if (answer.kind === 'mismatch') {",
    replace: 'if (Number.isNaN(attemptNo)) {',
  },
  {
    name: 'a later decline undoes a success',
    rule: '10 a terminal state moves only by reconciliation',
    file: attempt,
    find: 'if (!isLive(attempt))\n        return attempt;',
    replace: 'if (isDead(attempt))\n        return attempt;',
  },
  {
    name: 'a late success is dropped',
    rule: '10 late success is recorded, never dropped',
    file: orders,
    find: "succeeded: attempt.status !== 'succeeded',",
    replace: 'succeeded: isLive(attempt),',
  },
  {
    name: 'a late success is shown to nobody',
    rule: '10 late success is recorded, never dropped',
    file: state,
    find: "return { reason: 'captured_twice', attemptNo, evidence };",
    replace: 'return null;',
  },
  {
    name: 'a contradiction is shown to nobody',
    rule: '10 a terminal state moves only by reconciliation',
    file: state,
    find: "if (answer.kind === 'declined' && before.status === 'succeeded') {",
    replace: "if (answer.kind === 'declined' && before.status === 'nothing') {",
  },
  {
    name: 'an unknown attempt counts as not live',
    rule: '5 one live attempt a task',
    file: attempt,
    find: "attempt.status === 'sending' || attempt.status === 'pending' || attempt.status === 'unknown'",
    replace: "attempt.status === 'sending' || attempt.status === 'pending'",
  },
];

const flowing: readonly Mutant[] = [
  {
    name: 'a new order number after a crash',
    rule: '3 ask before acting again',
    file: state,
    find: "status: a.status === 'sending' ? 'unknown' : a.status,\n                sends: a.sends + 1,",
    replace: "status: 'not_executed', proof: 'not_sent', endedAtMs: atMs, sends: a.sends + 1,",
  },
  {
    name: 'resent under another number',
    rule: '3 the same order number, byte-identical',
    file: orders,
    find: "kind: 'resend_intended', atMs: nowMs, attemptNo };\n            return { kind: order.operation ?? 'charge', intent, attemptNo, order };",
    replace:
      "kind: 'resend_intended', atMs: nowMs, attemptNo };\n            return { kind: 'charge', intent, attemptNo, order: { ...order, orderNo: `${order.orderNo.slice(0, -2)}77` } };",
  },
  {
    name: 'resent with a new expiry',
    rule: '3 the same order number, byte-identical',
    file: orders,
    find: "kind: 'resend_intended', atMs: nowMs, attemptNo };\n            return { kind: order.operation ?? 'charge', intent, attemptNo, order };",
    replace:
      "kind: 'resend_intended', atMs: nowMs, attemptNo };\n            return { kind: 'charge', intent, attemptNo, order: { ...order, expiresAtMs: nowMs + 60_000 } };",
  },
  {
    name: 'resent to a channel that is not idempotent',
    rule: '8 only an idempotent channel is sent the number again',
    file: orders,
    find: 'if (nature.idempotent && mayExecute && done === undefined) {',
    replace: 'if (mayExecute && done === undefined) {',
  },
  {
    name: 'resent blindly, without asking',
    rule: '3 ask before acting again',
    file: orders,
    find: 'if (live.notFoundSentAtMs !== null && !live.seen) {',
    replace:
      "if (!live.seen && live.asks === 0 && live.sends < 3) {\n const intent = { kind: 'resend_intended', atMs: nowMs, attemptNo };\n return { kind: 'charge', intent, attemptNo, order };\n }\n if (live.notFoundSentAtMs !== null && !live.seen) {",
  },
  {
    name: 'a final decline fails over',
    rule: '4 only a decline marked other channel changes channel',
    file: legs,
    find: "if (last?.decline?.scope === 'final') {",
    replace: "if (last?.decline?.scope === 'nothing') {",
  },
  {
    name: 'attempts start after the deadline',
    rule: 'attempt_until: nobody is charged long after they were asked',
    file: legs,
    find: 'if (nowMs >= untilMs) {',
    replace: 'if (nowMs >= Infinity) {',
  },
  {
    name: 'the last poll ends it without a case',
    rule: '12 nothing ends silently',
    file: orders,
    find: "if (openCase(state, 'outcome_unknown', attemptNo)) {",
    replace: 'if (live.asks >= 0) {',
  },
  {
    name: 'an ended deduction goes on',
    rule: '10 a terminal state moves only by reconciliation',
    file: flow,
    find: 'if (state.end !== null)\n        return tidyUp(state, nowMs);',
    replace: '',
  },
  {
    name: 'a success closes every case',
    rule: '12 only a person closes what only a person can decide',
    file: orders,
    find: "closed === null && reason === 'outcome_unknown'",
    replace: 'closed === null',
  },
];

const performing: readonly Mutant[] = [
  {
    name: 'sent before the intent is committed',
    rule: '1 intent before effect',
    file: executor,
    find: 'if (!(await this.#commit(run, clock.nowMs() + callMs)))',
    replace: 'if (Number.isNaN(callMs))',
  },
  {
    name: 'accepted before the commit',
    rule: '1 nothing is said that is not in the log',
    file: executor,
    find: 'const entries = run.held;\n        run.held = [];',
    replace: 'const entries = run.held;\n        run.held = [];\n        run.onFirstCommit?.();',
  },
  {
    name: 'an end is told before it is committed',
    rule: '1 nothing is said that is not in the log',
    file: executor,
    find: 'if (outcome !== null)\n                    return { outcome, state: run.durable };',
    replace: 'if (outcome !== null)\n                    return { outcome, state: run.state };',
  },
  {
    name: 'a stale writer goes on',
    rule: '6 the log is the fence',
    file: executor,
    find: 'writer: run.writer,\n            });\n            return false;',
    replace: 'writer: run.writer,\n            });\n            return true;',
  },
  {
    name: 'resumed without being taken over',
    rule: '6 taking a task over is itself an entry',
    file: executor,
    find: 'if (run.state.openCall !== null) {',
    replace: 'if (run.state.openCall === undefined) {',
  },
  {
    name: 'waits without a wake-up in the in-flight log',
    rule: '12 nothing ends silently',
    file: executor,
    find: 'if (!(await this.#commit(run, step.untilMs)))',
    replace: 'if (!(await this.#commit(run, null)))',
  },
  {
    name: 'the sweep resumes nothing',
    rule: '12 nothing ends silently',
    file: 'src/compensation/compensator.js',
    find: 'const outcome = await this.#resumeOne(task);',
    replace: "const outcome = 'ended';",
  },
  {
    name: 'the sweep looks at tasks that are not overdue by its age, and not at the others',
    rule: '12 nothing ends silently',
    file: 'src/compensation/compensator.js',
    find: 'overdueAtMs: nowMs - this.settings.ageMs,',
    replace: 'overdueAtMs: nowMs - 1e12,',
  },
];

const booking: readonly Mutant[] = [
  {
    name: 'what was paid is not booked on the repayment',
    rule: '5 paid is what was collected',
    file: deductionRows,
    find: 'paid += entry.amountMinor;',
    replace: 'paid += 0n;',
  },
  {
    name: 'a failure gives nothing back',
    rule: '5 collecting is what the live deduction may take',
    file: deductionRows,
    find: "if (entry.kind === 'failed')\n            collecting -= deduction.amountMinor;",
    replace: '',
  },
  {
    name: 'the ledger gets no message',
    rule: 'the message leaves with the settlement',
    file: deductionRows,
    find: "if (entry.kind !== 'settled')\n            return [];",
    replace: "if (entry.kind !== 'nothing')\n            return [];",
  },
  {
    name: 'an open case is not seen in the deduction',
    rule: 'the tables are the fold of the log',
    file: deductionRows,
    find: "kind === 'case_opened' ||",
    replace: '',
  },
  {
    name: 'what has ended stays in flight',
    rule: 'in flight is what has not ended',
    file: projections,
    find: 'wasOpen && !isOpen ?',
    replace: 'Number.isNaN(afterSeq) ?',
  },
  {
    name: 'what goes on leaves the in-flight log',
    rule: '12 nothing ends silently',
    file: projections,
    find: 'wasOpen && !isOpen ?',
    replace: 'wasOpen ?',
  },
  {
    name: 'a task that is open again is not in flight',
    rule: '12 nothing ends silently',
    file: projections,
    find: 'isOpen && !isNew && !wasOpen ?',
    replace: 'isOpen && isNew && !wasOpen ?',
  },
  {
    name: 'no primary key over task and seq',
    rule: '6 the log is the fence',
    file: memory,
    find: 'throw new StaleWriter(taskId, afterSeq);',
    replace: '',
  },
  {
    name: 'no unique live deduction on a repayment',
    rule: '5 one live deduction a repayment',
    file: memory,
    find: "if (isLive && this.#liveOn.has(String(row['repayment_id']))) {",
    replace: "if (isLive && this.#liveOn.has('')) {",
  },
  {
    name: 'no CHECK on what is due',
    rule: '5 paid never exceeds due',
    file: memory,
    find: 'paid + collecting > balance.facts.dueMinor',
    replace: 'paid + collecting < 0n',
  },
];

export const mutants: readonly Mutant[] = [
  ...judging,
  ...flowing,
  ...performing,
  ...booking,
  ...moneyBackMutants,
  ...flowMutants,
  ...lateDebitMutants,
  ...storeMutants,
];
