// Installs the npm packages when they are missing or are not those of package-lock.json.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { withLock } from './lock.mjs';
import { SetupProblem, say } from './notice.mjs';
import { isAbandoned, runToEnd } from './processes.mjs';
import { projectDir } from './project.mjs';

const deadlineMs = 10 * 60_000;

export async function ensurePackages() {
  if (packagesAreCurrent()) return;
  await withLock('install', async () => {
    // Whoever held the lock may have installed them.
    if (!packagesAreCurrent()) await install();
  });
}

/**
 * npm writes node_modules/.package-lock.json as the last act of an installation, so a broken
 * installation has none, and one of an older lock file has other versions in it.
 */
export function packagesAreCurrent() {
  const wanted = readPackages(join(projectDir, 'package-lock.json'));
  const installed = readPackages(join(projectDir, 'node_modules', '.package-lock.json'));
  if (wanted === null)
    throw new SetupProblem('package-lock.json cannot be read: is the clone whole?');
  if (installed === null) return false;
  return Object.entries(wanted).every(([path, entry]) => {
    if (path === '' || entry.link) return true;
    const found = installed[path];
    // Optional packages are for other platforms, or native parts that may fail to build.
    if (found === undefined) return entry.optional === true || entry.devOptional === true;
    return found.version === entry.version && found.integrity === entry.integrity;
  });
}

/**
 * Not `npm ci`: that refuses a lock file without the native parts for every other platform, and a
 * registry mirror may not hold them all, so the lock file may lack some. `npm install --no-save`
 * takes the locked versions and leaves both files alone; that it did is checked afterwards.
 */
async function install() {
  say('installing npm packages (npm install --no-save)');
  const [file, first] = npmCommand();
  // NODE_ENV=production would leave out the compiler and the tests.
  const wanted = ['install', '--no-save', '--include=dev', '--include=optional'];
  const args = [...first, ...wanted, '--no-audit', '--no-fund', '--loglevel=error'];
  for (let attempt = 1; ; attempt += 1) {
    const { code, output, timedOut } = await runToEnd(file, args, {
      cwd: projectDir,
      deadlineMs,
      capture: true,
    });
    if (code === 0) break;
    const why = timedOut ? `no end after ${deadlineMs / 60_000} minutes` : `exit code ${code}`;
    if (attempt === 2 || isAbandoned())
      throw new SetupProblem(`npm install: ${why}\n${output.trim()}`);
    say(`npm install: ${why}; trying once more`);
  }
  if (!packagesAreCurrent()) {
    throw new SetupProblem('npm installed other versions than package-lock.json says: update it');
  }
}

function npmCommand() {
  const script = process.env.npm_execpath;
  return script?.endsWith('npm-cli.js') ? [process.execPath, [script]] : ['npm', []];
}

function readPackages(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).packages ?? null;
  } catch {
    return null;
  }
}
