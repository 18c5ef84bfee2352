import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { cardFaults, cardOf } from '../../src/demo/flows/bad-day.js';
import { Caller, deposits, members, topUp, withdrawal } from '../../src/demo/flows/callers.js';
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
  const early = violations;
  return {
    evidence,
    stories: readLogs(evidence.log),
    verdict: { ...judge({ ...evidence, log: [], members: [] }, early) },
    day: { kill: null, flushes: 1, early, stuck: null },
    refused: [],
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

describe('a caller of the API', () => {
  /** Answers in this order, the last of them again and again; null: hangs up. */
  async function told(
    patienceMs: number,
    ...answers: readonly (readonly [number, object] | null)[]
  ) {
    const keys: (string | undefined)[] = [];
    const server = createServer((request, response) => {
      const answer = answers[Math.min(keys.length, answers.length - 1)] ?? null;
      keys.push(String(request.headers['idempotency-key']));
      if (answer === null) request.socket.destroy();
      else response.writeHead(answer[0]).end(JSON.stringify(answer[1]));
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { port } = server.address() as AddressInfo;
    const url = `http://127.0.0.1:${port}`;
    const caller = new Caller(() => [url], { app: 'a', operator: 'o' }, patienceMs);
    await caller.ask(withdrawal(3));
    server.close();
    const { key } = withdrawal(3);
    expect(new Set(keys)).to.deep.equal(new Set([key]));
    return { ids: caller.told.map(({ id }) => id), refused: caller.refused };
  }
  const low = [422, { code: 'balance_too_low' }] as const;

  it('asks under the same key until it is answered, and keeps the name it was told', async () => {
    const running = { code: 'idempotency_in_progress', withdrawal_id: 'w1' };
    expect((await told(9_000, null, [503, {}], [202, { id: 'w1' }])).ids).to.deep.equal(['w1']);
    expect((await told(9_000, null, [409, running])).ids).to.deep.equal(['w1']);
  });

  it('holds nobody to what was refused, nor to what may still be heard', async () => {
    const refused = [{ kind: 'withdrawal', code: 'balance_too_low' }];
    expect(await told(9_000, low)).to.deep.equal({ ids: [], refused });
    expect(await told(9_000, null, low)).to.deep.equal({ ids: [null], refused });
    expect((await told(300, null)).ids).to.deep.equal([null]);
  });
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
