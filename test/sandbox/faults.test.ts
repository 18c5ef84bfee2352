import { expect } from 'chai';
import { parseRules, FaultBoard, FaultError } from '../../src/sandbox/faults.js';
import { realisticFaults } from '../../src/sandbox/realistic-faults.js';
import { orderNo, taskId } from '../../src/ids.js';
import { Practice, practiceOrder, practiceOrderOn } from '../channels/practice.js';
import { SandboxProcess, until } from './sandbox-process.js';

const numbers = Array.from({ length: 400 }, (_, n) =>
  orderNo(taskId(`00000000-0000-7000-8000-${String(n).padStart(12, '0')}`), 1),
);

function struck(board: FaultBoard): string[] {
  return numbers.map((no) => board.strike('swiftpay', 'charge', no, null).fault ?? '-');
}

describe('Faults', () => {
  it('are the same for the same seed, in whatever order the requests come', () => {
    const [one, two, other] = ['7', '7', '8'].map((seed) => {
      const board = new FaultBoard(seed, () => undefined);
      board.set(realisticFaults, false);
      return board;
    }) as [FaultBoard, FaultBoard, FaultBoard];
    const first = struck(one);
    numbers.reverse();
    const second = struck(two).reverse();
    numbers.reverse();
    expect(second).to.deep.equal(first);
    expect(struck(other)).to.not.deep.equal(first);
    expect(new Set(first).size).to.be.above(5);
  });

  it('hit about the share that was asked for', () => {
    const board = new FaultBoard('1', () => undefined);
    board.set(
      [{ channel: '*', operation: 'charge', fault: 'timeout_after', probability: 0.25 }],
      false,
    );
    const share = struck(board).filter((fault) => fault !== '-').length / numbers.length;
    expect(share).to.be.within(0.18, 0.32);
  });

  it('hit an order, an account, the nth ask, a number of times', () => {
    const board = new FaultBoard('1', () => undefined);
    const hit = (no: string, token = 'tok_a'): string | null =>
      board.strike('swiftpay', 'charge', no, token).fault;
    board.set(
      [{ channel: 'swiftpay', operation: 'charge', fault: 'garbage', orderNo: 'R1', nth: 2 }],
      false,
    );
    expect([hit('R1'), hit('R1'), hit('R1'), hit('R2'), hit('R2')]).to.deep.equal([
      null,
      'garbage',
      null,
      null,
      null,
    ]);
    board.set(
      [{ channel: '*', operation: '*', fault: 'garbage', accountToken: 'tok_b', times: 2 }],
      false,
    );
    expect([hit('R3'), hit('R4', 'tok_b'), hit('R5', 'tok_b'), hit('R6', 'tok_b')]).to.deep.equal([
      null,
      'garbage',
      'garbage',
      null,
    ]);
    expect(board.list()[0]?.hits).to.equal(2);
  });

  it('are refused when they make no sense, saying which and why', () => {
    const rule = { channel: 'swiftpay', operation: 'charge', fault: 'garbage' };
    const wrong: [unknown, RegExp][] = [
      [{}, /not a list/],
      [[rule, { ...rule, channel: 'paypal' }], /rule 1: unknown channel/],
      [[{ ...rule, fault: 'meteor' }], /unknown fault/],
      [[{ ...rule, fault: 'toString' }], /unknown fault/],
      [[{ ...rule, operation: 'transfer' }], /not on transfer/],
      [[{ ...rule, fault: 'late_effect', operation: 'query' }], /works on charge/],
      [[{ ...rule, probability: 2 }], /probability/],
      [[{ ...rule, times: 0 }], /times/],
      [[{ ...rule, params: { status: 200 } }], /status/],
      [[{ ...rule, params: { colour: 'red' } }], /unknown param/],
      [[{ ...rule, orderno: 'R1' }], /unknown field orderno/],
      [[null], /rule 0/],
    ];
    for (const [rules, says] of wrong) expect(() => parseRules(rules)).to.throw(FaultError, says);
  });

  describe('over the admin API', () => {
    let sandbox: SandboxProcess;
    let practice: Practice;
    before(async () => {
      sandbox = await SandboxProcess.start({ latencyScale: 0 });
      practice = new Practice(sandbox.ready.env);
    });
    after(async () => {
      await practice.shutDown();
      await sandbox.stop();
    });
    afterEach(async () => sandbox.clearFaults());

    it('close a port and open it again: not a byte is sent meanwhile', async () => {
      const swiftpay = practice.channel('swiftpay');
      expect((await swiftpay.charge(practiceOrderOn('swiftpay', 'tok_ok_1'))).kind).to.equal(
        'succeeded',
      );
      await sandbox.setFaults([{ channel: 'swiftpay', operation: '*', fault: 'down' }]);
      const answers = await Promise.all(
        Array.from({ length: 50 }, () => swiftpay.charge(practiceOrder('swiftpay'))),
      );
      // A connection that was kept may have taken one or two of them: nobody can know.
      for (const { kind } of answers) expect(kind).to.be.oneOf(['not_executed', 'unknown']);
      expect(answers.filter(({ kind }) => kind === 'not_executed')).to.have.length.above(40);
      expect((await practice.channel('oldbank').query(practiceOrder('oldbank'))).kind).to.equal(
        'not_found',
      );
      await sandbox.clearFaults();
      expect((await swiftpay.charge(practiceOrderOn('swiftpay', 'tok_ok_2'))).kind).to.equal(
        'succeeded',
      );
    });

    it('end by themselves when told to', async () => {
      await sandbox.setFaults([{ channel: 'oldbank', operation: '*', fault: 'down', for_ms: 700 }]);
      const oldbank = practice.channel('oldbank');
      expect((await oldbank.charge(practiceOrder('oldbank'))).kind).to.equal('not_executed');
      await until(
        'it is back',
        async () => (await oldbank.query(practiceOrder('oldbank'))).kind === 'not_found',
      );
    });

    it('answer what is wrong with rules, and leave the old ones', async () => {
      await sandbox.setFaults([{ channel: 'swiftpay', operation: 'query', fault: 'throttled' }]);
      const refused = await sandbox.raw('PUT', '/_faults', [{ channel: 'swiftpay' }]);
      expect(refused.status).to.equal(400);
      expect(await refused.text()).to.match(/rule 0: unknown fault/);
      const { rules } = (await (await sandbox.raw('GET', '/_faults')).json()) as {
        rules: unknown[];
      };
      expect(rules).to.have.lengthOf(1);
      expect((await sandbox.raw('GET', '/_book/orders/R1')).status).to.equal(404);
      expect((await sandbox.raw('GET', '/_book?channel=paypal')).status).to.equal(400);
    });

    it('make fates that depend on the seed and the order alone', async () => {
      const other = await SandboxProcess.start({ latencyScale: 0, seed: 'test' });
      // Whatever answers late all the same has its fate.
      const timeouts = { charge_ms: 20_000, query_ms: 20_000, close_ms: 20_000 };
      const [patient, there] = [sandbox, other].map(
        ({ ready }) => new Practice(ready.env, (profile) => ({ ...profile, timeouts })),
      ) as [Practice, Practice];
      const at = { createdAtMs: Date.now(), expiresAtMs: Date.now() + 60_000 };
      const fates = async (
        where: Practice,
        nos: readonly (typeof numbers)[number][],
      ): Promise<Map<string, string>> =>
        new Map(
          await Promise.all(
            nos.map(async (no): Promise<[string, string]> => {
              const order = practiceOrderOn('swiftpay', `tok_x_${no}`, { orderNo: no, ...at });
              const answer = await where.channel('swiftpay').charge(order);
              return [no, answer.kind === 'declined' ? answer.code : answer.kind];
            }),
          ),
        );
      const some = numbers.slice(0, 150);
      const here = await fates(patient, some);
      const again = await fates(there, [...some].reverse());
      for (const [no, fate] of here) expect(again.get(no)).to.equal(fate);
      expect(new Set(here.values())).to.include('insufficient_funds');
      await Promise.all([patient, there].map(async (one) => one.shutDown()));
      await other.stop();
    });
  });
});
