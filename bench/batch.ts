/** A large file: `batch-memory.ts` in a process of its own, with real processes under it. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { number, table } from './figures.js';
import type { Section } from './sections.js';
import type { Stage } from './stage.js';
import type { Settings } from './throughput.js';

const run = promisify(execFile);
/** Collecting goes on for as long as there are rows: its speed and memory show in fewer. */
const collectedMax = 20_000;

export async function batch(stage: Stage, { smoke }: Settings, rows: number): Promise<Section> {
  const path = fileURLToPath(new URL('batch-memory.js', import.meta.url));
  const size = smoke ? 200 : rows;
  const { stdout } = await run(
    process.execPath,
    [path, String(size), String(Math.min(size, collectedMax))],
    { env: { ...process.env, ...(await stage.ownStores('batch')) }, timeout: 600_000 },
  );
  const figures = JSON.parse(stdout.trim().split('\n').at(-1) ?? '{}') as Record<string, number>;
  return {
    figures,
    text: table(
      ['a file', ''],
      Object.entries(figures).map(([name, value]) => [name, number(value)]),
    ),
  };
}
