/**
 * A day of a million orders against its statement, with a thousand differences planted: each must be found
 * under its name, and nothing else.
 *
 *   node scripts/run.mjs -- node dist/bench/reconciliation.js [rows] [planted]
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { readFileSync, statSync, createReadStream } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { asWhole, program, readArguments } from '../src/arguments.js';
import { loadProfiles } from '../src/channels/load-profiles.js';
import { systemClock } from '../src/clock.js';
import { loadConfig } from '../src/config.js';
import { channelId } from '../src/ids.js';
import { silentLog } from '../src/log.js';
import { parseStatement } from '../src/reconciliation/read-statement.js';
import { Reconciler } from '../src/reconciliation/reconciler.js';
import { openDatabase } from '../src/store/database.js';
import { migrate } from '../src/store/migrate.js';
import { BreakStore } from '../src/store/reconciliation-breaks.js';
import { MatchingStore } from '../src/store/reconciliation-matching.js';
import { StatementStore } from '../src/store/reconciliation-statements.js';
import { insertOrders, plantedIn, writeFile, type PlantedDay } from './planted-day.js';

const measure = program('node dist/bench/reconciliation.js', 'A day against its statement.')
  .argument('[rows]', 'orders of the day', asWhole(1, 100_000_000), 1_000_000)
  .argument('[planted]', 'differences', asWhole(0, 1_000_000), 1_000);
readArguments(measure);
const [rows, planted] = measure.processedArgs as [number, number];
const date = '2026-11-22';
const nextDate = '2026-11-23';
const swiftpay = channelId('swiftpay');
const day: PlantedDay = { channelId: swiftpay, date, rows, planted };
const formats = ['csv', 'tab_gbk', 'jsonl_gzip'] as const;

const config = loadConfig(process.env);
await migrate(config.migrationUrl, config.databaseUrl, silentLog);
const database = openDatabase(config.databaseUrl, 8, silentLog);
const breaks = new BreakStore(database);
const profiles = loadProfiles(readFileSync('examples/channels.yaml', 'utf8'));
const reconciler = new Reconciler({
  statements: new StatementStore(database),
  matching: new MatchingStore(database),
  breaks,
  profiles: () => profiles.map(({ profile }) => profile),
  submit: async () => true,
  clock: { ...systemClock, nowMs: () => Date.parse('2026-11-23T10:00:00+08:00') },
  log: silentLog,
  zone: 'Asia/Shanghai',
});
const folder = await mkdtemp(join(tmpdir(), 'recoup-bench-'));
const say = (text: string): void => void process.stdout.write(`${text}\n`);

async function timed<T>(what: string, work: () => Promise<T>): Promise<T> {
  const beganMs = performance.now();
  const result = await work();
  say(`${what.padEnd(44)} ${((performance.now() - beganMs) / 1_000).toFixed(1).padStart(7)} s`);
  return result;
}

const fileOf = (name: string): string => join(folder, name);

try {
  for (const format of formats) {
    await timed(`write ${format}`, () => writeFile(fileOf(format), day, format, 'day'));
    const expected = { channelId: swiftpay, merchantId: 'M-RECOUP-01', date, format };
    await timed(`read and verify ${format}, ${megabytes(fileOf(format))} MB`, async () => {
      const window = { fromMs: 0, untilMs: Date.parse('2100-01-01T00:00:00Z') };
      const parts = parseStatement(createReadStream(fileOf(format)), { ...expected, ...window });
      for await (const part of parts) void part;
    });
  }
  await writeFile(fileOf('next'), day, 'csv', 'next');
  await timed('our orders into the book (set-up)', () => insertOrders(database, day));
  const by = { supersede: false, by: 'bench' };
  const first = await timed('import, match and report', () =>
    reconciler.run({ channelId: swiftpay, date, file: fileOf('csv'), ...by }),
  );
  await timed('match again', () =>
    reconciler.run({ channelId: swiftpay, date, file: null, ...by }),
  );
  const second = await timed("the next day's statement", () =>
    reconciler.run({ channelId: swiftpay, date: nextDate, file: fileOf('next'), ...by }),
  );
  await judge(
    first.run.state,
    second.report.lines.find(({ kind }) => kind === 'cross_day')?.theirRows,
  );
  for (const line of first.report.lines) {
    say(`${`${line.kind} ${line.type}`.padEnd(30)} ${line.theirRows} / ${line.ourRows}`);
  }
} finally {
  await rm(folder, { recursive: true, force: true });
  await database.destroy();
}
const { maxRSS } = process.resourceUsage();
say(`memory at most ${Math.round(maxRSS / 1_024)} MiB`);

/** Every planted difference under its name, and not one besides. */
async function judge(state: string, crossed: number | undefined): Promise<void> {
  const wanted = new Set<string>();
  let crossing = 0;
  for (const { kind, orderNo } of plantedIn(day)) {
    if (kind === 'cross_day') crossing += 1;
    else wanted.add(`${kind} ${orderNo}`);
  }
  const found = await breaks.list({ channelId: swiftpay, open: true, limit: 1_000_000 });
  const right = found.filter(({ kind, orderNo }) => wanted.has(`${kind} ${orderNo}`)).length;
  const hits = right + (crossed ?? 0);
  say(
    `planted ${wanted.size + crossing}, found and rightly named ${hits}, false ${found.length - right}, ${state}`,
  );
  if (hits !== planted || found.length !== right || state !== 'complete') process.exitCode = 1;
}

function megabytes(path: string): number {
  return Math.round(statSync(path).size / 1e6);
}
