// Format, lint and tidiness; all of them even when one fails. Types were checked by the build before.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { projectDir } from './project.mjs';

const bin = (name) => join(projectDir, 'node_modules', '.bin', name);
const checks = [
  ['format', bin('prettier'), ['--check', '--log-level', 'warn', '.']],
  ['lint', bin('oxlint'), ['--type-aware', '--deny-warnings']],
  ['tidy', process.execPath, [join(projectDir, 'scripts', 'tidy.mjs')]],
];

const failed = checks.filter(([name, file, args]) => {
  const { status } = spawnSync(file, args, { cwd: projectDir, stdio: 'inherit' });
  console.log(`${name}: ${status === 0 ? 'good' : 'problems'}`);
  return status !== 0;
});
process.exitCode = failed.length === 0 ? 0 : 1;
