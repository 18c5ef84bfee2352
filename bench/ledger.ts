/**
 * What posting costs: messages from the outbox through the real queue into the books, on a database that
 * nobody else uses.
 *
 *   node scripts/run.mjs -- node dist/bench/ledger.js [messages]
 */
import { randomUUID } from 'node:crypto';
import { asWhole, program, readArguments } from '../src/arguments.js';
import { compose } from '../src/composition/root.js';
import { loadConfig } from '../src/config.js';
import { silentLog } from '../src/log.js';
import { migrate } from '../src/store/migrate.js';

const measure = program('node dist/bench/ledger.js', 'What posting costs.').argument(
  '[messages]',
  'how many',
  asWhole(1, 100_000_000),
  20_000,
);
readArguments(measure);
const [count] = measure.processedArgs as [number];
const pageRows = 1_000;
const config = loadConfig(process.env);
await migrate(config.migrationUrl, config.databaseUrl, silentLog);
const services = compose({ config, env: process.env, log: silentLog });
const { database, ledger } = services;

for (let told = 0; told < count; told += pageRows) {
  const rows = Array.from({ length: Math.min(pageRows, count - told) }, () => {
    const deduction = randomUUID();
    const body = {
      deduction_id: deduction,
      repayment_id: `rp_${deduction.slice(0, 8)}`,
      amount_minor: '10000',
      currency: 'CNY',
      channel_id: `bench_${told % 3}`,
      order_no: `R${deduction.slice(0, 8)}`,
      settled_at: new Date().toISOString(),
    };
    return ['ledger.repayment_collected', deduction, JSON.stringify(body)];
  });
  await database.raw(
    `INSERT INTO outbox (topic, message_key, body, created_at)
     VALUES ${rows.map(() => '(?,?,?,UTC_TIMESTAMP(3))').join(',')}`,
    rows.flat(),
  );
}

const cpuBefore = process.cpuUsage();
const beganMs = performance.now();
ledger.start();
for (;;) {
  const [[row]] = (await database.raw(
    'SELECT 1 AS left_over FROM outbox WHERE delivered_at IS NULL LIMIT 1',
  )) as [[{ left_over: number }?]];
  if (row === undefined) break;
  await services.clock.sleep(20);
}
const seconds = (performance.now() - beganMs) / 1_000;
const { user, system } = process.cpuUsage(cpuBefore);
const cpuMicros = (user + system) / count;

const balanceBeganMs = performance.now();
const { totals, balanced } = await ledger.reads.trialBalance();
const balanceMs = performance.now() - balanceBeganMs;
if (!balanced || totals[0]?.debitMinor !== 10_000n * BigInt(count)) throw new Error('lost money');

process.stdout.write(
  `${count} messages posted in ${seconds.toFixed(1)} s: ${(count / seconds).toFixed(0)}/s, ` +
    `${cpuMicros.toFixed(0)} µs of this process's CPU each; ` +
    `trial balance in ${balanceMs.toFixed(0)} ms\n`,
);
await services.close();
