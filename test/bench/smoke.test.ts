import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect } from 'chai';

interface Figures {
  readonly throughput: {
    readonly cells: readonly {
      readonly name: string;
      readonly inFlight: number;
      readonly rounds: readonly { readonly perSecond: number; readonly commits: number }[];
    }[];
    readonly ratios: Readonly<Record<string, unknown>>;
  };
  readonly starvation: {
    readonly stuck: number;
    readonly rates: Readonly<Record<'alone' | 'beside', readonly number[]>>;
  };
  readonly pending: Readonly<Record<string, number>>;
}

describe('The benchmark', () => {
  it('measures every subject it has without the peers, and counts two commits a deduction', async function () {
    this.timeout(240_000);
    const main = new URL('../../bench/main.js', import.meta.url).pathname;
    const child = spawn(
      process.execPath,
      [main, '--smoke', '--json', '--only', 'throughput,starvation,pending'],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    const text = { out: '', err: '' };
    child.stdout.setEncoding('utf8').on('data', (some: string) => (text.out += some));
    child.stderr.setEncoding('utf8').on('data', (some: string) => (text.err += some));
    const [code] = (await once(child, 'exit')) as [number | null];
    expect(code, text.err).to.equal(0);
    const { throughput, starvation, pending } = JSON.parse(
      text.out.trim().split('\n').at(-1) ?? '',
    ) as Figures;
    for (const { name, rounds } of throughput.cells) {
      expect(rounds[0]?.perSecond, name).to.be.greaterThan(0);
    }
    const single = throughput.cells.filter(({ inFlight, name }) => {
      return inFlight === 1 && !name.includes('BullMQ');
    });
    expect(single.length).to.be.greaterThan(3);
    for (const { name, rounds } of single) {
      expect(rounds[0]?.commits, name).to.be.closeTo(2, 0.2);
    }
    expect(Object.keys(throughput.ratios)).to.include('of the raw ceiling');
    expect(starvation.stuck).to.be.above(0);
    const { orders = 0, calls, redis_keys_when_all_were_pending: keys = 0 } = pending;
    expect(calls).to.be.within(1, orders - 1);
    expect(keys, 'one each, and those of the queues').to.be.within(orders, orders + 20);
    expect(pending['redis_keys_when_none_was']).to.be.below(20);
    for (const rates of [starvation.rates.alone, starvation.rates.beside]) {
      expect(rates).to.have.length(1);
      expect(rates[0], 'deductions a second').to.be.above(0);
    }
  });
});
