// One process of this checkout at a time installs or builds. A lock left by a dead process is taken.

import { linkSync, readFileSync, renameSync, rmSync, writeFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { SetupProblem, say } from './notice.mjs';
import { isAlive, pidNamespace, startTimeOf, waitUntil } from './processes.mjs';
import { privateDir } from './project.mjs';

const deadlineMs = 15 * 60_000;

export async function withLock(name, action) {
  mkdirSync(privateDir, { recursive: true });
  const file = join(privateDir, `${name}.lock`);
  let told = false;
  const got = await waitUntil(
    () => {
      if (tryLock(file)) return true;
      if (!told) say(`waiting for another run of this checkout (${name})`);
      told = true;
      return false;
    },
    deadlineMs,
    100,
  );
  if (!got) throw new SetupProblem(`${file} is held by a live process for too long; see who it is`);
  try {
    return await action();
  } finally {
    rmSync(file, { force: true });
  }
}

/** The lock appears with its content in one step (a link), so it is never seen empty. */
function tryLock(file) {
  const mine = `${file}.${process.pid}`;
  writeFileSync(mine, `${process.pid} ${startTimeOf(process.pid)} ${pidNamespace()}`);
  try {
    linkSync(mine, file);
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
    removeIfStale(file, mine);
    return false;
  } finally {
    rmSync(mine, { force: true });
  }
}

function removeIfStale(file, mine) {
  const seen = holderOf(file);
  if (seen === null || !isStale(seen)) return;
  // Renamed before it is removed: if someone else took the lock meanwhile, it is put back.
  const aside = `${mine}.stale`;
  try {
    renameSync(file, aside);
    if (holderOf(aside) !== seen) linkSync(aside, file);
  } catch {
    // Another process was quicker; the next try sees what it did.
  }
  rmSync(aside, { force: true });
}

function isStale(holder) {
  const [pid, startTime, namespace] = holder.split(' ');
  if (namespace !== String(pidNamespace())) return false;
  return !isAlive(Number(pid)) || startTime !== String(startTimeOf(Number(pid)));
}

function holderOf(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}
