/** Where a result comes from: without it a figure says nothing. */
import { execFileSync } from 'node:child_process';
import { cpus, loadavg, release, totalmem, type } from 'node:os';
import type { Stage } from './stage.js';

export async function machine(stage: Stage) {
  const [cpu] = cpus();
  return {
    when: new Date().toISOString(),
    commit: commit(),
    system: `${type()} ${release()}`,
    cpu: cpu?.model ?? 'unknown',
    cores: cpus().length,
    memory_gib: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    ...(await stage.versions()),
    /** What else was running when it began: above the number of cores the figures are of little use. */
    load_average: loadavg().map((load) => Math.round(load * 10) / 10),
  };
}

const git = (...args: string[]): string =>
  execFileSync('git', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();

function commit(): string {
  try {
    return `${git('rev-parse', '--short', 'HEAD')}${git('status', '--porcelain') === '' ? '' : '+'}`;
  } catch {
    return 'unknown';
  }
}
