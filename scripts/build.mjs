// Compiles TypeScript into dist/ and removes outputs whose source is gone, so that no stale test runs.

import { existsSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { withLock } from './lock.mjs';
import { SetupProblem, say } from './notice.mjs';
import { runToEnd } from './processes.mjs';
import { projectDir } from './project.mjs';

const deadlineMs = 5 * 60_000;
const distDir = join(projectDir, 'dist');
const outputEndings = ['.d.ts.map', '.js.map', '.d.ts', '.js'];

export async function build() {
  await withLock('build', async () => {
    removeOrphans();
    // The incremental compiler trusts its notes; outputs removed by hand would not come back.
    if (sourcesWithoutOutput().length > 0) rmSync(join(distDir, '.tsbuildinfo'), { force: true });
    const tsc = join(projectDir, 'node_modules', 'typescript', 'bin', 'tsc');
    const { code, output, timedOut } = await runToEnd(
      process.execPath,
      [tsc, '-p', 'tsconfig.json'],
      {
        cwd: projectDir,
        deadlineMs,
        capture: true,
      },
    );
    if (code === 0) return;
    const why = timedOut ? 'the compiler did not end' : 'the compiler found errors';
    // For work in progress: type errors do not keep the compiler from writing its output.
    if (process.env.RECOUP_ALLOW_TYPE_ERRORS !== '1')
      throw new SetupProblem(`${why}\n${output.trim()}`);
    say(`${why}; going on, as RECOUP_ALLOW_TYPE_ERRORS says`);
  });
}

function removeOrphans() {
  for (const file of filesUnder(distDir)) {
    const ending = outputEndings.find((each) => file.endsWith(each));
    if (ending === undefined) continue;
    const source = `${relative(distDir, file).slice(0, -ending.length)}.ts`;
    if (!existsSync(join(projectDir, source))) rmSync(file, { force: true });
  }
}

function sourcesWithoutOutput() {
  const { include } = JSON.parse(readFileSync(join(projectDir, 'tsconfig.json'), 'utf8'));
  return include
    .flatMap((folder) => filesUnder(join(projectDir, folder)))
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts'))
    .filter((file) => !existsSync(join(distDir, `${relative(projectDir, file).slice(0, -3)}.js`)));
}

function filesUnder(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
}
