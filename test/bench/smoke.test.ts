import { spawn, type ChildProcess } from 'node:child_process';
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
  /** Apart, so that each has the time that a busy machine may need. */
  const sectionMs = 240_000;
  let child: ChildProcess | undefined;
  afterEach(() => child?.kill('SIGKILL'));

  async function smoke<Section extends keyof Figures>(section: Section): Promise<Figures[Section]> {
    const main = new URL('../../bench/main.js', import.meta.url).pathname;
    const args = [main, '--smoke', '--json', '--only', section];
    const run = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    child = run;
    const text = { out: '', err: '' };
    run.stdout.setEncoding('utf8').on('data', (some: string) => (text.out += some));
    run.stderr.setEncoding('utf8').on('data', (some: string) => (text.err += some));
    const [code] = (await once(run, 'close')) as [number | null];
    expect(code, text.err).to.equal(0);
    return (JSON.parse(text.out.trim().split('\n').at(-1) ?? '') as Figures)[section];
  }

  it('measures every subject it has without the peers, and counts two commits a deduction', async function () {
    this.timeout(sectionMs);
    const throughput = await smoke('throughput');
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
  });

  it('measures deductions beside a kind of task that hangs', async function () {
    this.timeout(sectionMs);
    const { stuck, rates } = await smoke('starvation');
    expect(stuck).to.be.above(0);
    for (const each of [rates.alone, rates.beside]) {
      expect(each).to.have.length(1);
      expect(each[0], 'deductions a second').to.be.above(0);
    }
  });

  it('asks about many pending orders at once, and leaves one key each in Redis while they are', async function () {
    this.timeout(sectionMs);
    const pending = await smoke('pending');
    const { orders = 0, calls, redis_keys_when_all_were_pending: keys = 0 } = pending;
    expect(calls).to.be.within(1, orders - 1);
    expect(keys, 'one each, and those of the queues').to.be.within(orders, orders + 20);
    expect(pending['redis_keys_when_none_was']).to.be.below(20);
  });
});
