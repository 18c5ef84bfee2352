/**
 * What a large batch costs in memory: 100,000 rows are loaded and collected by real processes against
 * the sandbox at no latency, and the peak resident size of each is read from the kernel.
 *
 *   node scripts/run.mjs -- node dist/bench/batch-memory.js [rows] [rows to collect]
 *
 * `batch run` loads the whole file; the worker collects as much of it as the second figure says (all
 * of it unless given). Prints one JSON line. Linux only: VmHWM.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { finished } from 'node:stream/promises';
import { asWhole, program, readArguments } from '../src/arguments.js';
import { createRecoup } from '../src/index.js';

const measure = program('node dist/bench/batch-memory.js', 'What a large batch costs in memory.')
  .argument('[rows]', 'of the file', asWhole(1, 100_000_000), 100_000)
  .argument('[collected]', 'rows to collect; all of them unless given', asWhole(1, 100_000_000));
readArguments(measure);
const [rows, rowsToCollect = rows] = measure.processedArgs as [number, number?];
const folder = mkdtempSync(join(tmpdir(), 'recoup-memory-'));
const cli = 'dist/src/cli.js';

async function writeFile(path: string): Promise<void> {
  const file = createWriteStream(path);
  file.write(
    'repayment_id,borrower_id,bank_code,account_token,account_last4,currency,amount_due,due_date\n',
  );
  for (let n = 1; n <= rows; n += 1) {
    const id = String(n).padStart(7, '0');
    // One yuan each: the channels' daily limits hold for all of them together.
    const row = `MEM-${id},B-${id},ICBC,tok_ok_${id},0001,CNY,1.00,2026-12-01\n`;
    if (!file.write(row)) await once(file, 'drain');
  }
  file.end();
  await finished(file);
}

/** The most memory a process ever had resident, in MB. */
function peakMb(child: ChildProcess): number {
  try {
    const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
    return Math.round(Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1] ?? 0) / 1_024);
  } catch {
    return 0;
  }
}

function start(env: NodeJS.ProcessEnv, ...args: string[]): ChildProcess {
  return spawn(process.execPath, [cli, ...args, '--json'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env,
  });
}

async function firstLine<T>(child: ChildProcess): Promise<T> {
  if (child.stdout === null) throw new Error('no stdout');
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  return JSON.parse(line) as T;
}

const pause = async (ms: number): Promise<void> =>
  await new Promise((resolve) => setTimeout(resolve, ms));

async function main(): Promise<void> {
  const file = join(folder, 'large.csv');
  await writeFile(file);
  const sandbox = start(process.env, 'sandbox', '--book', folder, '--latency-scale', '0');
  const ready = await firstLine<{ env: Record<string, string> }>(sandbox);
  const env = { ...process.env, ...ready.env, RECOUP_LOG_LEVEL: 'error' };
  const recoup = await createRecoup({ env });
  await recoup.migrate();
  await recoup.importChannels(readFileSync('examples/channels.demo.yaml', 'utf8'));

  const loadBegan = performance.now();
  const loader = start(env, 'batch', 'run', file, '--no-wait');
  let loaderMb = 0;
  const watch = setInterval(() => (loaderMb = Math.max(loaderMb, peakMb(loader))), 50);
  const { batch } = await firstLine<{ batch: { id: string; rows_total: number } }>(loader);
  const loadSeconds = (performance.now() - loadBegan) / 1_000;
  clearInterval(watch);

  const worker = start(env, 'worker', '--id', 'memory');
  await firstLine(worker);
  const runBegan = performance.now();
  let ended = 0;
  while (ended < rowsToCollect && worker.exitCode === null) {
    await pause(1_000);
    const { progress } = await recoup.batch(batch.id);
    ended = progress.succeeded + progress.failed + progress.needsReview + progress.rejected;
    process.stderr.write(`\r${ended} of ${rowsToCollect} ended, worker ${peakMb(worker)} MB `);
  }
  const runSeconds = (performance.now() - runBegan) / 1_000;
  const workerMb = peakMb(worker);
  const sandboxMb = peakMb(sandbox);
  worker.kill('SIGTERM');
  await once(worker, 'exit');
  sandbox.kill('SIGTERM');
  await recoup.close();
  const result = {
    rows: batch.rows_total,
    loader_peak_mb: loaderMb,
    load_seconds: round(loadSeconds),
    load_rows_per_second: Math.round(batch.rows_total / loadSeconds),
    collected_rows: ended,
    worker_peak_mb: workerMb,
    collect_seconds: round(runSeconds),
    collect_rows_per_second: Math.round(ended / runSeconds),
    sandbox_peak_mb: sandboxMb,
  };
  process.stdout.write(`\n${JSON.stringify(result)}\n`);
}

const round = (seconds: number): number => Math.round(seconds * 10) / 10;

main()
  .finally(() => rmSync(folder, { recursive: true, force: true }))
  .catch((error: unknown) => {
    process.stderr.write(`${String(error)}\n`);
    process.exitCode = 1;
  });
