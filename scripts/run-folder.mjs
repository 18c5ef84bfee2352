// One folder a run: `.recoup/run-<pid>-<random>/` holds the data of the private stores and says whose
// they are. A folder whose owner is gone is swept by whoever comes next: its servers are ended, its
// files removed. Nothing is ended by a number in a file alone, since numbers are reused.

import { randomBytes } from 'node:crypto';
import {
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import {
  commandLineOf,
  endProcesses,
  isAlive,
  pidNamespace,
  processesCarrying,
  programsWorkingIn,
  startTimeOf,
} from './processes.mjs';
import { privateDir } from './project.mjs';

/** Every process that a run starts carries its folder under this name; it is how they are known. */
export const runDirVariable = 'RECOUP_RUN_DIR';

const serverNames = ['mariadbd', 'mysqld', 'redis-server', 'redis-check-rdb', 'valkey-server'];
/** Longer than any run: after it, a folder left by another container may be removed. */
const foreignAgeMs = 24 * 3_600_000;

/** @returns the folder of a new run, owned by this process. */
export function createRunFolder(prefix = 'run') {
  const folder = join(privateDir, `${prefix}-${process.pid}-${randomBytes(4).toString('hex')}`);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  noteOwner(folder, {});
  return folder;
}

/** Adds facts to the folder's owner note; written aside and renamed, so never half there. */
export function noteOwner(folder, facts) {
  const owner = {
    pid: process.pid,
    startTime: startTimeOf(process.pid),
    pidNamespace: pidNamespace(),
    kept: false,
    ...readOwner(folder),
    ...facts,
  };
  writeFileSync(join(folder, 'owner.json.tmp'), `${JSON.stringify(owner, null, 2)}\n`, {
    mode: 0o600,
  });
  renameSync(join(folder, 'owner.json.tmp'), join(folder, 'owner.json'));
}

/** Adds to a list of the owner note. */
export function addToOwner(folder, list, items) {
  noteOwner(folder, { [list]: [...(readOwner(folder)?.[list] ?? []), ...items] });
}

/** Removes what dead owners left. Folders of live runs and kept stores are not touched. */
export async function sweepDeadRuns() {
  for (const folder of ownedFolders()) {
    if (isAbandoned(folder)) await removeRunFolder(folder);
  }
}

/** Stops every kept run of this project. @returns how many there were. */
export async function stopKeptRuns() {
  let stopped = 0;
  for (const folder of ownedFolders()) {
    if (readOwner(folder)?.kept) {
      await removeRunFolder(folder);
      stopped += 1;
    }
  }
  return stopped;
}

/** Ends what still runs in the folder, servers last, then removes it. */
export async function removeRunFolder(folder) {
  const owner = readOwner(folder);
  await endProcesses([...strayProcesses(folder), ...declaredProcesses(folder)]);
  // The data is about to be removed, so the servers need no time to close it properly.
  await endProcesses(serversOf(folder, owner), { politeMs: 0 });
  for (const dir of owner?.socketDirs ?? []) rmSync(dir, { recursive: true, force: true });
  rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
}

/** Processes that the run's command started and that still live; not the servers. */
export function strayProcesses(folder) {
  const servers = new Set(programsWorkingIn(folder, serverNames));
  return processesCarrying(runDirVariable, folder).filter((pid) => !servers.has(pid));
}

function ownedFolders() {
  let names;
  try {
    names = readdirSync(privateDir);
  } catch {
    return [];
  }
  return names
    .filter((name) => /^(run|making)-\d+-[0-9a-f]+$/.test(name))
    .map((name) => join(privateDir, name));
}

function isAbandoned(folder) {
  const owner = readOwner(folder);
  if (owner && owner.pidNamespace !== pidNamespace()) return ageMs(folder) > foreignAgeMs;
  if (owner?.kept) return serversOf(folder, owner).length === 0;
  const pid = owner?.pid ?? Number(/-(\d+)-[0-9a-f]+$/.exec(folder)?.[1]);
  if (!isAlive(pid)) return true;
  return owner !== null && owner.startTime !== null && owner.startTime !== startTimeOf(pid);
}

/** The servers working in the folder; where there is no /proc, those noted, if `ps` knows them. */
function serversOf(folder, owner) {
  if (process.platform === 'linux') return programsWorkingIn(folder, serverNames);
  return (owner?.servers ?? [])
    .filter(({ pid, cmdlineIncludes }) => matches(pid, cmdlineIncludes))
    .map(({ pid }) => pid);
}

/** What the command itself put on the list (`pids.json`), each only if its command line agrees. */
function declaredProcesses(folder) {
  const list = readJson(join(folder, 'pids.json'));
  if (!Array.isArray(list)) return [];
  return list
    .filter(
      ({ pid, cmdlineIncludes }) =>
        Number.isInteger(pid) && pid > 1 && matches(pid, cmdlineIncludes),
    )
    .map(({ pid }) => pid);
}

function matches(pid, cmdlineIncludes) {
  if (typeof cmdlineIncludes !== 'string' || cmdlineIncludes === '') return false;
  return isAlive(pid) && commandLineOf(pid).includes(cmdlineIncludes);
}

function readOwner(folder) {
  return readJson(join(folder, 'owner.json'));
}

function readJson(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return null;
  }
}

function ageMs(folder) {
  try {
    return Date.now() - statSync(folder).mtimeMs;
  } catch {
    return 0;
  }
}
