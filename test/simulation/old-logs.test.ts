import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { deductionFlow, type DeductionState } from '../../src/engine/deduction.js';
import { decodeEntry, type Entry } from '../../src/engine/entries.js';
import { fold } from '../../src/engine/flow.js';
import type { Answer } from '../../src/engine/reply.js';
import type { LogRow } from '../../src/oracle/evidence.js';
import { readLogs } from '../../src/oracle/log-story.js';

interface OldLog {
  readonly form: string;
  readonly entries: readonly { kind: string; at_ms: number; body: string }[];
}

const folder = 'test/fixtures/old-logs';
const logs = readdirSync(folder).map((name) => {
  const { form, entries } = JSON.parse(readFileSync(join(folder, name), 'utf8')) as OldLog;
  return { name, form, entries: entries.map((one) => decodeEntry(one.kind, one.at_ms, one.body)) };
});

const answers: Readonly<Record<string, Answer>> = {
  succeeded: { kind: 'succeeded', channelRef: 'ref' },
  declined: {
    kind: 'declined',
    code: 'insufficient_funds',
    channelCode: 'E1',
    message: 'no',
    scope: 'final',
  },
  'not found': { kind: 'not_found' },
  silent: { kind: 'unknown', why: 'timeout', detail: 'timeout' },
};

/** What the executor would do, with a channel that always answers the same. */
function resume(before: readonly Entry[], answer: Answer): Entry[] {
  const entries = [...before];
  const add = (...more: readonly Entry[]): DeductionState => {
    entries.push(...more);
    const state = fold(deductionFlow, entries);
    if (state === null) throw new Error('a log starts with an entry');
    return state;
  };
  let state = add();
  let nowMs = Math.max(...entries.map(({ atMs }) => atMs)) + 1_000;
  if (state.openCall !== null) {
    const { attemptNo } = state.openCall;
    state = add({ kind: 'taken_over', atMs: nowMs, attemptNo, by: 'now' });
  }
  for (let steps = 0; steps < 300; steps += 1) {
    const step = deductionFlow.next(state, nowMs);
    if (step.kind === 'stop') return entries;
    if (step.kind === 'wait') nowMs = step.untilMs;
    else if (step.kind === 'record') state = add(...step.entries);
    else if (step.kind === 'route') {
      state = add({ kind: 'routed', atMs: nowMs, route: { places: [], rejected: [] } });
    } else {
      if (step.kind !== 'query') state = add(step.intent);
      const via = step.kind;
      const { attemptNo } = step;
      const said = via === 'close' && answer.kind === 'succeeded' ? refused : answer;
      state = add({ kind: 'replied', atMs: nowMs, attemptNo, via, answer: said, sentAtMs: nowMs });
    }
  }
  throw new Error('it does not come to an end');
}

const refused: Answer = { kind: 'refused', detail: 'executed' };

describe('logs that earlier releases wrote', () => {
  it('are kept for every kind of entry', () => {
    const kinds = new Set(logs.flatMap(({ entries }) => entries.map(({ kind }) => kind)));
    expect([...kinds].toSorted()).to.eql(
      [
        'accepted',
        'ask_requested',
        'case_closed',
        'case_opened',
        'charge_intended',
        'close_intended',
        'failed',
        'not_executed',
        'replied',
        'resend_intended',
        'routed',
        'settled',
        'taken_over',
      ].toSorted(),
    );
  });

  for (const { name, form, entries } of logs) {
    it(`are resumed to an end from each of ${entries.length} stopping points (${form}, ${name})`, () => {
      for (let length = 1; length <= entries.length; length += 1) {
        for (const [what, answer] of Object.entries(answers)) {
          const at = `${name}, ${length} entries, ${what}`;
          const whole = resume(entries.slice(0, length), answer);
          const state = fold(deductionFlow, whole);
          const inReview = state?.cases.some((one) => one.closed === null) ?? false;
          expect(state?.end !== null || inReview, at).to.equal(true);
          const rows = whole.map(
            (entry, n) =>
              ({ taskId: 't', seq: n + 1, kind: entry.kind, writer: 'w', body: entry }) as LogRow,
          );
          expect(readLogs(rows).get('t')?.violations, at).to.eql([]);
        }
      }
    });
  }
});
