import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { deductionFlow, type DeductionState } from '../../src/engine/deduction.js';
import { decodeEntry, type Entry } from '../../src/engine/entries.js';
import { fold } from '../../src/engine/flow.js';
import { recordOf } from '../../src/intake/deduction-record.js';
import { sqlTimeOrNull } from '../../src/store/database.js';
import { deductionRows } from '../../src/store/deduction-rows.js';

const folder = 'test/fixtures/old-logs';

interface OldLog {
  readonly entries: readonly { kind: string; at_ms: number; body: string }[];
}

/** Every state that the kept logs go through. */
function states(): DeductionState[] {
  return readdirSync(folder).flatMap((name) => {
    const { entries } = JSON.parse(readFileSync(join(folder, name), 'utf8')) as OldLog;
    const log: Entry[] = entries.map((one) => decodeEntry(one.kind, one.at_ms, one.body));
    return log.flatMap((_, index) => fold(deductionFlow, log.slice(0, index + 1)) ?? []);
  });
}

/** Such a failure is longer than its column, and a deduction by an agent and of a batch. */
function longest(state: DeductionState): DeductionState {
  const agent = { name: 'agent', reason: 'asked by telephone' };
  const end = state.end?.kind === 'failed' ? { ...state.end, detail: 'x'.repeat(600) } : state.end;
  return { ...state, end, deduction: { ...state.deduction, agent, batchId: 'batch' } };
}

const asRow = (state: DeductionState) => {
  const record = recordOf(state);
  const { createdAt, endedAt, amountMinor, ...fields } = record;
  const named = Object.entries(fields).map(([name, value]) => [
    name.replaceAll(/[A-Z]/g, (capital) => `_${capital.toLowerCase()}`),
    value,
  ]);
  return {
    ...(Object.fromEntries(named) as object),
    amount_minor: amountMinor.toString(),
    created_at: sqlTimeOrNull(createdAt.getTime()),
    ended_at: sqlTimeOrNull(endedAt?.getTime() ?? null),
  };
};

describe('a deduction as its run knows it', () => {
  it('is what its row says, in every state that the kept logs go through', () => {
    const all = states().flatMap((state) => [state, longest(state)]);
    const seen = new Set<string>();
    for (const state of all) {
      const row = deductionRows(state, [], 0).deductionInsert ?? {};
      const { attempts: _, request_key: __, ...columns } = row;
      expect(asRow(state)).to.deep.equal(columns);
      seen.add(recordOf(state).status);
    }
    expect([...seen].toSorted()).to.deep.equal([
      'failed',
      'needs_review',
      'processing',
      'succeeded',
    ]);
  });
});
