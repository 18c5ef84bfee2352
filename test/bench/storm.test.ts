import { expect } from 'chai';
import { isRight, storm } from '../../bench/storm.js';
import { stormOf } from '../../bench/storm-messages.js';

describe('A storm of callbacks', () => {
  it('is three tenths copies, one tenth forged, and a fifth in the wrong sequence', () => {
    const orders = Array.from({ length: 3_000 }, (_, at) => ({
      orderNo: `R${at}`,
      amountMinor: 100,
    }));
    const slots = stormOf(orders, 7);
    const share = (kind: string): number =>
      slots.filter((slot) => slot.kind === kind).length / slots.length;
    expect(slots).to.have.length(10_000);
    expect([share('genuine'), share('copy'), share('forged')]).to.deep.equal([0.6, 0.3, 0.1]);
    const first = new Map<string, string>();
    for (const { kind, order, code } of slots) {
      if (kind === 'genuine' && !first.has(order.orderNo)) first.set(order.orderNo, code);
    }
    const swapped = [...first.values()].filter((code) => code === 'OK').length / 3_000;
    expect(swapped).to.be.within(0.17, 0.23);
  });

  it('over real processes, one killed: nothing forged believed, one posting a capture, none lost', async function () {
    this.timeout(240_000);
    const callbacks = Number(process.env['RECOUP_TEST_STORM'] ?? 600);
    const report = await storm({
      callbacks,
      servers: 2,
      inFlight: 32,
      seed: 3,
      kill: true,
      say: () => undefined,
    });
    expect(isRight(report), JSON.stringify(report)).to.equal(true);
    expect(report.killed).to.equal(1);
    const { accepted = 0, duplicate = 0, forged = 0, stale = 0 } = report.verdicts;
    expect(report.captures).to.equal(Math.ceil((callbacks * 3) / 10));
    // What the killed server counted in its last second is lost, by design.
    expect(accepted).to.be.within(report.genuine * 0.5, report.genuine * 1.1);
    expect(duplicate).to.be.above(0);
    expect(forged + stale).to.be.within(1, report.forged * 1.1);
  });
});
