import { spawn } from 'node:child_process';
import { expect } from 'chai';
import { asNumber, asSome, asWhole } from '../src/arguments.js';
import {
  simulateProblem,
  simulateProgram,
  type SimulateOptions,
} from '../src/simulation/options.js';
import { shortfall } from '../src/simulation/total.js';

describe('arguments', () => {
  it('are numbers within their range, or refused', () => {
    const [whole, number] = [asWhole(1, 200), asNumber(0.1, 60)];
    expect([whole('1'), whole('200'), number('0.5')]).to.eql([1, 200, 0.5]);
    for (const text of ['', ' ', 'abc', '0', '201', '1.5', '-1', '1e2', '0x1', 'NaN', 'Infinity']) {
      expect(() => whole(text), text).to.throw('A whole number from 1 to 200 is expected.');
    }
    for (const text of ['', 'abc', '0', '60.1', '-1', '.5', '1e1', 'Infinity']) {
      expect(() => number(text), text).to.throw('A number from 0.1 to 60 is expected.');
    }
  });

  it('are names of a list, or refused with the list', () => {
    const some = asSome(['kill', 'flush']);
    expect(some('flush, kill')).to.eql(['flush', 'kill']);
    for (const text of ['', 'kil', 'kill,']) {
      expect(() => some(text), text).to.throw('There are kill, flush.');
    }
  });

  it('of a simulation that would simulate nothing, or something else, are refused', () => {
    const told = (...args: string[]): string | null => {
      const program = simulateProgram()
        .exitOverride()
        .configureOutput({ writeErr: () => {} });
      try {
        program.parse(args, { from: 'user' });
      } catch (error) {
        return (error as Error).message;
      }
      return simulateProblem(program.opts<SimulateOptions>());
    };
    expect(told()).to.equal(null);
    expect(told('--tasks', '10', '--from', '7', '--mix', '1:0:0', '--json')).to.equal(null);
    for (const mix of [
      'x:y',
      '0:0:0',
      '1:1',
      '1:1:1:1',
      '2:1:1',
      '1:-1:1',
      '1:1:',
      '',
      '1:0.5:1',
    ]) {
      expect(told('--mix', mix), mix).to.match(/Three numbers such as 1:1:1/);
    }
    expect(told('--mix', '0:1:1', '--deductions', '5')).to.match(/no deductions to count/);
    expect(told('--mutants', '--only', 'no such bug')).to.match(/No mutant has this/);
    expect(told('--only', 'late success')).to.match(/--only is for --mutants/);
    expect(told('--seed', '1', '--seeds', '2')).to.match(/cannot be used with/);
    expect(told('--seeds', '2', '--tasks', '2')).to.match(/cannot be used with/);
  });

  it('a simulation that did less than it was asked for proves nothing', () => {
    expect(shortfall({ seeds: 200, tasks: 4_000 }, 200)).to.equal(null);
    expect(shortfall({ seeds: 12, tasks: 250 }, Infinity)).to.equal(null);
    expect(shortfall({ seeds: 0, tasks: 0 }, 200)).to.equal('nothing was simulated');
    expect(shortfall({ seeds: 0, tasks: 0 }, Infinity)).to.equal('nothing was simulated');
    expect(shortfall({ seeds: 199, tasks: 4_000 }, 200)).to.match(/^199 worlds of 200/);
  });
});

describe('the programs that prove and measure', () => {
  const wrong: readonly [string, readonly string[], RegExp][] = [
    ['src/simulation/main.js', ['--seeds', 'abc'], /--seeds.*A whole number from 1/],
    ['src/chaos/main.js', ['--minutes', 'x'], /--minutes.*A number from 0.1/],
    ['src/demo/main.js', ['--file', 'no/such.csv'], /--file.*It cannot be read/],
    ['bench/main.js', ['--only', 'speed'], /--only.*There are throughput/],
  ];
  for (const [main, args, title] of wrong) {
    it(`refuse in one line, before anything starts: ${main} ${args.join(' ')}`, async () => {
      const { code, out, err } = await call(main, [...args, '--json']);
      expect(code).to.equal(2);
      expect(err)
        .to.match(title)
        .and.match(/^[^\n]+ \[bad_usage\] See `[^\n]+ --help`\.\n$/);
      const { error } = JSON.parse(out) as { error: { code: string; title: string } };
      expect(error).to.include({ code: 'bad_usage' });
    });
  }

  for (const main of ['simulation', 'demo']) {
    it(`say what they can be told: ${main}`, async () => {
      const { code, out, err } = await call(`src/${main}/main.js`, ['--help']);
      expect({ code, err }).to.eql({ code: 0, err: '' });
      expect(out)
        .to.match(/^Usage: npm run \w+ -- \[options\]\n/)
        .and.match(/--seed/);
    });
  }

  it('only answer when they are asked first', async () => {
    const asked = { RECOUP_ASKED_FIRST: '1' };
    const { code, out, err } = await call('src/demo/main.js', ['--flows'], asked);
    expect({ code, out, err }).to.eql({ code: 100, out: '', err: '' });
  });
});

async function call(
  main: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ code: number | null; out: string; err: string }> {
  const file = new URL(`../${main}`, import.meta.url).pathname;
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith('RECOUP_'));
  const child = spawn(process.execPath, [file, ...args], {
    env: { ...Object.fromEntries(own), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [out, err] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, out, err };
}
