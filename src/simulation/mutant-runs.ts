import { spawn } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { badUsageExitCode } from '../arguments.js';
import type { Mutant } from './mutant.js';
import { mutants } from './mutants.js';

interface Caught {
  readonly mutant: Mutant;
  /** What noticed: a kind of violation, or a test. Null: it survived. */
  readonly by: string | null;
  readonly seed: number | null;
  readonly tasks: number;
  readonly seconds: number;
}

/** So many end well within the patience: who survives them all must not look like one that hangs. */
const seedsMax = 5_000;
const patienceMs = 600_000;

const distDir = join(import.meta.dirname, '..', '..');
const projectDir = rootOf(distDir);

/** Where the packages are: the project's folder, above (or beside) the compiled code. */
function rootOf(folder: string): string {
  if (existsSync(join(folder, 'node_modules'))) return folder;
  const above = dirname(folder);
  if (above === folder) throw new Error('no node_modules above the compiled code');
  return rootOf(above);
}

/** Every mutant must be caught. @returns the exit code. */
export async function reportMutants(json: boolean, only?: string): Promise<number> {
  const chosen = mutants.filter(({ name }) => only === undefined || name.includes(only));
  for (const mutant of chosen) checkFind(mutant);
  for (const test of new Set(chosen.flatMap((one) => one.test ?? []))) {
    const { by } = await runTest(distDir, test);
    if (by !== null) throw new Error(`${by} fails without any mutant`);
  }
  const waiting = chosen.map((mutant) => mutant);
  const results: Caught[] = [];
  const lane = async (): Promise<void> => {
    for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift()) {
      const result = await tryMutant(mutant);
      results.push(result);
      console.log(lineOf(result));
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, availableParallelism()) }, lane));
  const survivors = results.filter(({ by }) => by === null).map(({ mutant }) => mutant.name);
  const caught = results.length - survivors.length;
  if (json) console.log(JSON.stringify({ mutants: results.length, caught, survivors }));
  else console.log(`${caught} of ${results.length} mutants were caught`);
  return survivors.length === 0 ? 0 : 1;
}

function lineOf({ mutant, by, seed, tasks, seconds }: Caught): string {
  const when =
    by === null || mutant.test !== undefined
      ? `${seconds.toFixed(1)} s`
      : `seed ${seed}, after ${tasks} tasks, ${seconds.toFixed(1)} s`;
  return `${by === null ? 'SURVIVED' : 'caught  '}  ${mutant.name}  [rule ${mutant.rule}]  ${by ?? ''}  (${when})`;
}

/** @returns the files that it changes, changed. */
function checkFind({ name, also = [], ...edit }: Mutant): ReadonlyMap<string, string> {
  const texts = new Map<string, string>();
  for (const { file, find, replace } of [edit, ...also]) {
    const text = texts.get(file) ?? readFileSync(join(distDir, file), 'utf8');
    const times = text.split(find).length - 1;
    if (times !== 1) throw new Error(`mutant "${name}": its text stands ${times} times in ${file}`);
    texts.set(
      file,
      text.replace(find, () => replace),
    );
  }
  return texts;
}

async function tryMutant(mutant: Mutant): Promise<Caught> {
  const texts = checkFind(mutant);
  const folder = mkdtempSync(join(tmpdir(), 'recoup-mutant-'));
  const startedMs = performance.now();
  try {
    const dist = join(folder, 'dist');
    for (const part of ['src', 'test', 'migrations']) {
      if (existsSync(join(distDir, part))) cloneFolder(join(distDir, part), join(dist, part));
    }
    symlinkSync(join(projectDir, 'node_modules'), join(folder, 'node_modules'));
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
    for (const [name, text] of texts) {
      // The clone has it as a link.
      rmSync(join(dist, name));
      writeFileSync(join(dist, name), text);
    }
    const found =
      mutant.test === undefined ? await simulate(dist) : await runTest(dist, mutant.test);
    return { mutant, ...found, seconds: (performance.now() - startedMs) / 1_000 };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

type Found = Pick<Caught, 'by' | 'seed' | 'tasks'>;

async function simulate(dist: string): Promise<Found> {
  const main = join(dist, 'src', 'simulation', 'main.js');
  const args = [main, '--until-failure', '--seeds', String(seedsMax)];
  const { code, stdout, late } = await run(process.execPath, args);
  // A simulator that was called wrongly has caught nothing.
  if (code === badUsageExitCode) throw new Error(`the simulator refused ${args.join(' ')}`);
  if (late) return { by: 'does not end', seed: null, tasks: 0 };
  const last = stdout.trim().split('\n').at(-1) ?? '';
  if (!last.startsWith('{')) return { by: `crashes (${code})`, seed: null, tasks: 0 };
  const { seed, kind, tasks } = JSON.parse(last) as Found & { kind: string | null };
  return { by: kind, seed, tasks };
}

/** A rule that lives in the real stores is broken there, and a test on the real stores must fail. */
async function runTest(dist: string, test: string): Promise<Found> {
  const { code, stdout } = await run(process.execPath, [
    join(projectDir, 'scripts', 'run.mjs'),
    '--no-build',
    '--',
    'mocha',
    '--no-config',
    '--timeout',
    '60000',
    '--exit',
    join(dist, 'test', test),
  ]);
  if (code === 0) return { by: null, seed: null, tasks: 0 };
  const failing = /^\s+1\) (.+)$/m.exec(stdout)?.[1];
  // Only a test that ran and failed has noticed anything.
  if (failing === undefined)
    throw new Error(`${test} did not run (${code}): ${stdout.slice(-500)}`);
  return { by: `${test}: ${failing}`, seed: null, tasks: 0 };
}

async function run(
  command: string,
  args: readonly string[],
): Promise<{ code: number | null; stdout: string; late: boolean }> {
  return await new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: projectDir, stdio: ['ignore', 'pipe', 'ignore'] });
    let stdout = '';
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      child.kill('SIGKILL');
    }, patienceMs);
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.on('error', reject);
    child.on('exit', (code) => {
      clearTimeout(timer);
      resolve({ code, stdout, late });
    });
  });
}

/** Hard links where the file system has them: a copy would cost more than the run. */
function cloneFolder(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) cloneFolder(source, target);
    else link(source, target);
  }
}

function link(source: string, target: string): void {
  try {
    linkSync(source, target);
  } catch {
    copyFileSync(source, target);
  }
}
