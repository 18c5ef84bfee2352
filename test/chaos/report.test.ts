import { expect } from 'chai';
import { counted, required } from '../../src/chaos/plan.js';
import { complaints, summary, type Findings } from '../../src/chaos/report.js';
import { judge, type Evidence } from '../../src/oracle/index.js';

const empty: Evidence = {
  books: [],
  log: [],
  deductions: [],
  attempts: [],
  cases: [],
  inFlight: [],
  repayments: [],
  outbox: [],
  refunds: [],
  quiet: true,
};

function findings(changes: Partial<Findings>): Findings {
  const evidence = changes.evidence ?? empty;
  return {
    evening: {
      statements: [],
      ledger: {
        balanced: true,
        debitMinor: 0n,
        creditMinor: 0n,
        collectedMinor: 0n,
        undelivered: 0,
        deadLetters: 0,
      },
    },
    seed: 'one',
    evidence,
    verdict: judge(evidence),
    struck: [],
    missed: [],
    required: counted(() => 0),
    commits: [],
    stuck: 0,
    refused: [],
    clerks: { reconciled: 0, decided: 0, interrupted: 0 },
    batches: { loaded: 1, interrupted: 0 },
    failedStarts: 0,
    surprises: [],
    settleSeconds: 1,
    seconds: 2,
    ...changes,
  };
}

describe('The verdict on a chaos run', () => {
  it('speaks against a run that did nothing', () => {
    const wrong = complaints(summary(findings({ required: required(300_000) })));
    expect(wrong).to.include('none of the deductions succeeded');
    expect(wrong).to.include('worker_kill: 0 of 30 required');
    expect(wrong).to.include('cut_commit: 0 of 20 required');
  });

  it('speaks against what is stuck, and against a process that ended by itself', () => {
    const wrong = complaints(summary(findings({ stuck: 3, surprises: ['worker-1'] })));
    expect(wrong).to.include('stuck: 3');
    expect(wrong).to.include('ended_by_themselves: 1');
  });

  it('counts money that nobody accounts for', () => {
    const order = { channelId: 'swiftpay', orderNo: 'X1', state: 'captured' as const };
    const captured = { ...order, amountMinor: 100n, captures: [{ amountMinor: 100n }] };
    const said = summary(findings({ evidence: { ...empty, books: [captured] } }));
    expect(said.lost).to.equal(1);
    expect(said.violations).to.be.greaterThan(0);
    expect(complaints(said)).to.include('lost: 1');
  });

  it('counts each flow by itself, and speaks against the one that harmed somebody or did nothing', () => {
    const withdrawal = { memberId: 'm', amountMinor: '5', currency: 'CNY', funding: null };
    const log = [
      { taskId: 'w', seq: 1, kind: 'withdrawal_accepted', writer: 'a', body: { withdrawal } },
    ];
    const verdict = judge({ ...empty, log, quiet: false }, [
      { kind: 'double_paid', about: 'w', detail: 'paid out 2 times' },
    ]);
    const said = summary(findings({ evidence: { ...empty, log }, verdict }));
    expect(said.flows.withdrawals).to.include({ started: 1, in_flight: 1, double_paid: 1 });
    expect(said.flows.top_ups).to.include({ started: 0, in_flight: 0, double_paid: 0 });
    expect(complaints(said)).to.include.members([
      'withdrawals: double_paid 1',
      'withdrawals: in_flight 1',
      'none of the withdrawals succeeded',
      'none of the top_ups succeeded',
    ]);
  });

  it('counts each fault that struck', () => {
    const struck = (['redis_flush', 'redis_flush', 'database_kill'] as const).map((kind) => ({
      kind,
      atMs: 10,
      wallMs: 10,
      place: null,
      instanceId: '',
    }));
    const said = summary(findings({ struck, commits: [[5, 30]] }));
    expect(said.faults).to.include({ redis_flush: 2, database_kill: 1, worker_kill: 0 });
    expect(said.recovery.redis_flush).to.eql({ count: 2, p50_ms: 20, max_ms: 20, never: 0 });
  });
});
