import type { Mutant } from './mutant.js';

const fidelity = 'simulation/fidelity.test.js';
const journal = 'store/journal.test.js';
const tables = 'migrations/001-tasks.js';
const commits = 'src/store/group-commit.js';

/** Rules that live in MariaDB and in what writes to it: they are broken there. */
export const storeMutants: readonly Mutant[] = [
  {
    name: 'the table has no unique live deduction',
    rule: '5 one live deduction a repayment',
    file: tables,
    find: 'UNIQUE KEY deduction_live_repayment (live_repayment_id),',
    replace: '',
    test: fidelity,
  },
  {
    name: 'the table has no unique request',
    rule: 'the same request twice is the same deduction',
    file: tables,
    find: 'UNIQUE KEY deduction_request (request_key),',
    replace: '',
    test: fidelity,
  },
  {
    name: 'the table has no CHECK on what is due',
    rule: '5 paid never exceeds due',
    file: tables,
    find: 'AND paid_minor + collecting_minor <= due_minor)',
    replace: ')',
    test: fidelity,
  },
  {
    name: 'the log has one place for each writer',
    rule: '6 the log is the fence',
    file: tables,
    find: 'PRIMARY KEY (task_id, seq),',
    replace: 'PRIMARY KEY (task_id, seq, writer),',
    test: fidelity,
  },
  {
    name: 'the table has no unique live attempt',
    rule: '5 one live attempt a task',
    file: tables,
    find: 'UNIQUE KEY attempt_live_task (live_task_id),',
    replace: '',
    test: fidelity,
  },
  {
    name: 'the log can be changed',
    rule: '11 append-only means it',
    file: 'migrations/002-append-only-log.js',
    find: "refuse('update'),",
    replace: '',
    test: journal,
  },
  {
    name: 'half of a refused group is dropped',
    rule: 'group commit: one stale writer hurts only itself',
    file: commits,
    find: 'await this.#commit(batch.slice(middle));',
    replace: 'for (const one of batch.slice(middle)) one.resolve();',
    test: journal,
  },
  {
    name: "its own commit is taken for another's",
    rule: 'group commit: an unknown commit is read back',
    file: commits,
    find: 'else if (committed.has(only.item))\n                only.resolve();',
    replace: '',
    test: fidelity,
  },
  {
    name: 'a claim keeps nobody away',
    rule: 'sweeps share their work',
    file: 'src/store/in-flight.js',
    find: 'AND (claimed_until IS NULL OR claimed_until <= ?)',
    replace: 'AND (claimed_until IS NULL OR claimed_until <= ? OR 1 = 1)',
    test: fidelity,
  },
  {
    name: 'the row of what has ended is not deleted',
    rule: 'in flight is what has not ended',
    file: 'src/store/changes.js',
    find: "remove(inFlightUpdate, one('inFlightDelete')),",
    replace: '',
    test: fidelity,
  },
  {
    name: 'rows are deleted by a list of keys',
    rule: 'commits of different tasks do not wait for each other',
    file: 'src/store/bulk.js',
    find: '`ON ${on((name) => `j.${name}`)}`;',
    replace:
      '`ON ${on((name) => `j.${name}`)}`;\n    return { sql: `DELETE FROM ${table} WHERE ${names[0]} IN (?)`, values: [rows.map((row) => row[names[0]])] };',
    test: journal,
  },
  {
    name: 'what just ended is put back in flight',
    rule: 'in flight is what has not ended',
    file: 'src/store/active-check.js',
    find: 'WHERE id = ? AND ${underWay} FOR UPDATE',
    replace: 'WHERE id = ? AND ${underWay}',
    test: 'compensation/active-check.test.js',
  },
  {
    name: 'an answer that ends a review leaves the row in review',
    rule: 'folding the log equals the tables',
    file: 'src/store/deduction-rows.js',
    find: "(cases.length > 0 && (kind === 'replied' || kind === 'not_executed'))",
    replace: 'false',
    test: 'simulation/regressions.test.js',
  },
];
