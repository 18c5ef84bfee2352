/**
 * The callback storm: `node scripts/run.mjs -- node dist/bench/callback-storm.js [--callbacks N]`.
 * Thirty in a hundred are copies, a fifth of the orders is told in the wrong sequence, ten in a hundred are
 * forged, and one of the servers is killed half-way. Exits 1 unless it is all as it must be.
 */
import { parseArgs } from 'node:util';
import { isRight, storm } from './storm.js';

const { values } = parseArgs({
  options: {
    callbacks: { type: 'string', default: '100000' },
    servers: { type: 'string', default: '2' },
    'in-flight': { type: 'string', default: '64' },
    seed: { type: 'string', default: '1' },
    'no-kill': { type: 'boolean', default: false },
  },
});

const report = await storm({
  callbacks: Number(values.callbacks),
  servers: Number(values.servers),
  inFlight: Number(values['in-flight']),
  seed: Number(values.seed),
  kill: !values['no-kill'],
  say: (what) => void process.stderr.write(`${what}\n`),
});
console.log(JSON.stringify(report, null, 2));
process.exitCode = isRight(report) ? 0 : 1;
