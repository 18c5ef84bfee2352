/**
 * The callback storm: `node scripts/run.mjs -- node dist/bench/callback-storm.js [--callbacks N]`.
 * Thirty in a hundred are copies, a fifth of the orders is told in the wrong sequence, ten in a hundred are
 * forged, and one of the servers is killed half-way. Exits 1 unless it is all as it must be.
 */
import { asWhole, program, readArguments } from '../src/arguments.js';
import { isRight, storm } from './storm.js';

interface StormOptions {
  readonly callbacks: number;
  readonly servers: number;
  readonly inFlight: number;
  readonly seed: number;
  readonly kill: boolean;
}

const options = readArguments<StormOptions>(
  program('node dist/bench/callback-storm.js', 'Callbacks, doubled, disordered and forged.')
    .option('--callbacks <n>', 'how many', asWhole(10, 10_000_000), 100_000)
    .option('--servers <n>', 'processes that take them', asWhole(1, 16), 2)
    .option('--in-flight <n>', 'requests under way at once', asWhole(1, 1_024), 64)
    .option('--seed <n>', 'what their order is drawn from', asWhole(0, 4_000_000_000), 1)
    .option('--no-kill', 'kill no server half-way'),
);

const report = await storm({
  ...options,
  say: (what) => void process.stderr.write(`${what}\n`),
});
console.log(JSON.stringify(report, null, 2));
process.exitCode = isRight(report) ? 0 : 1;
