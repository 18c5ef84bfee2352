import { expect } from 'chai';
import { cardFaults, cardOf } from '../../src/demo/flows/bad-day.js';
import { deposits, members, topUp, withdrawal } from '../../src/demo/flows/callers.js';
import { flowComplaints, flowSummary, type FlowFindings } from '../../src/demo/flows/report.js';
import { judge, readLogs, type Evidence, type Violation } from '../../src/oracle/index.js';

const log = (taskId: string, ...entries: readonly (readonly [string, object])[]) =>
  entries.map(([kind, body], at) => ({ taskId, seq: at + 1, kind, writer: 'w', body }));

/** A withdrawal w and a top-up t, each with its first order; nothing else matters here. */
const evidence: Evidence = {
  books: [],
  log: [
    ...log(
      'w',
      [
        'withdrawal_accepted',
        { withdrawal: { memberId: 'm', amountMinor: '5', currency: 'CNY', funding: null } },
      ],
      [
        'intended',
        {
          attemptNo: 1,
          order: { orderNo: 'W1', channelId: 'a', operation: 'payout', amountMinor: '5' },
        },
      ],
    ),
    ...log(
      't',
      ['top_up_accepted', { topUp: { amountMinor: '5', creditMinor: '5' } }],
      [
        'intended',
        {
          attemptNo: 1,
          order: { orderNo: 'T1', channelId: 'cards', operation: 'pre_recharge', amountMinor: '5' },
        },
      ],
    ),
  ],
  deductions: [],
  attempts: [],
  cases: [],
  inFlight: [],
  repayments: [],
  outbox: [],
  refunds: [],
  withdrawals: [],
  topUps: [],
  members: [{ id: 'm', currency: 'CNY', balance_minor: 0 }],
  memberEntries: [],
  quiet: false,
};

function finding(...violations: readonly Violation[]): FlowFindings {
  const nobody = { accepted: 0, refused: new Map<string, number>() };
  const early = violations;
  return {
    evidence,
    stories: readLogs(evidence.log),
    verdict: { ...judge({ ...evidence, log: [], members: [] }, early) },
    day: { kill: null, flushes: 1, early, withdrawals: nobody, topUps: nobody, stuck: null },
    resumed: { tasks: 0, midCall: 0 },
    cases: [],
    faults: 0,
    seconds: 1,
  };
}

describe('the report of all flows', () => {
  const harmed: readonly (readonly [
    Violation,
    'deductions' | 'withdrawals' | 'top_ups',
    string,
  ])[] = [
    [{ kind: 'double_paid', about: 'w', detail: '' }, 'withdrawals', 'double_paid'],
    [{ kind: 'dead_but_captured', about: 'W1', detail: '' }, 'withdrawals', 'lost'],
    [{ kind: 'balance_differs', about: 'm', detail: '' }, 'withdrawals', 'lost'],
    [{ kind: 'double_credited', about: 't', detail: '' }, 'top_ups', 'double_credited'],
    [{ kind: 'wrongly_refunded', about: 't', detail: '' }, 'top_ups', 'wrongly_refunded'],
    [{ kind: 'not_captured', about: 'T1', detail: '' }, 'top_ups', 'lost'],
    [{ kind: 'double_charged', about: 'rp_1', detail: '' }, 'deductions', 'double_paid'],
    [{ kind: 'lost', about: 'X1', detail: '' }, 'deductions', 'lost'],
  ];
  for (const [violation, flow, harm] of harmed) {
    it(`counts ${violation.kind} of ${violation.about} as ${harm} of ${flow}, and complains`, () => {
      const found = finding(violation);
      const { flows } = flowSummary(found);
      const counted = Object.entries(flows).flatMap(([name, counts]) =>
        (['double_paid', 'lost', 'double_credited', 'wrongly_refunded'] as const)
          .filter((one) => counts[one] > 0)
          .map((one) => `${name} ${one} ${counts[one]}`),
      );
      expect(counted).to.deep.equal([`${flow} ${harm} 1`]);
      expect(flowComplaints(found)).to.include(`${flow}: ${harm} 1`);
      expect(flowComplaints(found)).to.include('the books differ');
    });
  }
});

describe('who withdraws and tops up in the demo', () => {
  it('has members whose balances are not quite enough, and none that is empty', () => {
    const amounts = deposits(60);
    expect([...amounts.keys()]).to.deep.equal(members);
    const asked = Array.from({ length: 60 }, (_, index) => withdrawal(index).body).filter(
      (body) => !('account_service' in body),
    );
    for (const [member, amount] of amounts) {
      const wanted = asked
        .filter((body) => body['member_id'] === member)
        .reduce((sum, body) => sum + Number(body['amount_minor']), 0);
      expect(amount).to.be.above(0);
      expect(amount).to.be.below(wanted);
    }
  });

  it('has cards for every trouble that a card system can have with a credit', () => {
    const tokens = new Set(cardFaults(40).map(({ accountToken }) => accountToken));
    for (const index of [3, 15, 27]) {
      expect(topUp(index).body['card_token']).to.equal(cardOf(index));
      expect(tokens).to.include(cardOf(index));
    }
    expect(tokens).not.to.include(cardOf(4));
  });
});
