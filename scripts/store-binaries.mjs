// Finds the servers' programs; on a Debian-like system installs them when it may.

import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { SetupProblem, say } from './notice.mjs';
import { runToEnd } from './processes.mjs';

const systemFolders = [
  '/usr/bin',
  '/usr/sbin',
  '/usr/local/bin',
  '/usr/local/sbin',
  '/usr/libexec',
  '/opt/homebrew/bin',
  '/opt/homebrew/sbin',
];
const programs = {
  database: { names: ['mariadbd', 'mysqld'], packages: ['mariadb-server-core', 'mariadb-common'] },
  redis: { names: ['redis-server'], packages: ['redis-server'] },
};
const updateDeadlineMs = 3 * 60_000;
const installDeadlineMs = 6 * 60_000;

/**
 * @param wanted some of `database`, `redis`
 * @returns the path of the program for each
 */
export async function findServers(wanted) {
  let missing = wanted.filter((kind) => findServer(kind) === null);
  if (missing.length > 0) {
    await installPackages(missing);
    missing = wanted.filter((kind) => findServer(kind) === null);
    if (missing.length > 0)
      throw new SetupProblem(`still missing after the installation: ${missing.join(', ')}`);
  }
  return Object.fromEntries(wanted.map((kind) => [kind, findServer(kind)]));
}

function findServer(kind) {
  for (const name of programs[kind].names) {
    for (const folder of searchedFolders()) {
      if (isProgram(join(folder, name))) return join(folder, name);
    }
  }
  return null;
}

/** RECOUP_SERVER_PATH names the only folders to look in, for servers that are not the system's. */
function searchedFolders() {
  const only = process.env.RECOUP_SERVER_PATH;
  if (only !== undefined) return only.split(delimiter).filter(Boolean);
  return [...(process.env.PATH ?? '').split(delimiter).filter(Boolean), ...systemFolders];
}

async function installPackages(missing) {
  const packages = missing.flatMap((kind) => programs[kind].packages);
  const asRoot = await howToBecomeRoot();
  if (
    !existsSync('/usr/bin/apt-get') ||
    asRoot === null ||
    process.env.RECOUP_SERVER_PATH !== undefined
  ) {
    throw new SetupProblem(whatToDo(missing, packages));
  }
  say(`installing Debian packages: ${packages.join(' ')}`);
  const install = [
    'apt-get',
    'install',
    '-y',
    '--no-install-recommends',
    '-o',
    'DPkg::Lock::Timeout=120',
  ];
  await runAsRoot(asRoot, ['apt-get', 'update', '-qq'], updateDeadlineMs, packages);
  await runAsRoot(
    asRoot,
    ['sh', '-c', withoutServices, 'sh', ...install, ...packages],
    installDeadlineMs,
    packages,
  );
}

/**
 * Runs the installation so that no service is started by it, now or at the next boot: the stores
 * here are private, and nobody asked for a Redis on port 6379. What was there before stays as it was.
 */
const withoutServices = `
had_redis=no; dpkg -s redis-server >/dev/null 2>&1 && had_redis=yes
guard=/usr/sbin/policy-rc.d; ours=no
if [ ! -e "$guard" ]; then
  ours=yes; trap 'rm -f "$guard"' EXIT
  printf '#!/bin/sh\\nexit 101\\n' > "$guard" && chmod 755 "$guard"
fi
"$@"; code=$?
if [ "$had_redis" = no ] && command -v systemctl >/dev/null 2>&1; then
  systemctl disable redis-server >/dev/null 2>&1
  [ "$ours" = no ] && systemctl stop redis-server >/dev/null 2>&1
fi
exit $code
`;

async function runAsRoot(asRoot, command, deadlineMs, packages) {
  const [file, ...args] = [...asRoot, ...command];
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C.UTF-8' };
  const { code, output, timedOut } = await runToEnd(file, args, { deadlineMs, capture: true, env });
  if (code === 0) return;
  const why = timedOut ? `no end after ${deadlineMs / 60_000} minutes` : `exit code ${code}`;
  const what = command.includes('install') ? 'apt-get install' : 'apt-get update';
  // An update can fail for one unrelated source; what counts is whether the packages install.
  if (what === 'apt-get update') return say(`${what}: ${why}; trying to install all the same`);
  throw new SetupProblem(
    `${what} ${packages.join(' ')}: ${why}\n${output.trim().split('\n').slice(-15).join('\n')}`,
  );
}

/** `[]` as root, a sudo prefix that asks for no password, or null. */
async function howToBecomeRoot() {
  if (process.getuid?.() === 0) return [];
  const { code } = await runToEnd('sudo', ['-n', 'true'], { deadlineMs: 10_000, capture: true });
  const keep = '--preserve-env=DEBIAN_FRONTEND,LC_ALL';
  return code === 0 ? ['sudo', '-n', keep] : null;
}

function whatToDo(missing, packages) {
  const names = missing.map((kind) => programs[kind].names.join(' or ')).join(' and ');
  const line =
    process.platform === 'darwin'
      ? 'brew install mariadb redis'
      : `sudo apt-get update && sudo apt-get install -y --no-install-recommends ${packages.join(' ')}`;
  return [
    `cannot find ${names}. Run:`,
    '',
    `  ${line}`,
    '',
    'or start stores of your own (docker compose up -d --wait) and set RECOUP_DATABASE_URL,',
    'RECOUP_MIGRATION_URL and RECOUP_REDIS_URL as docker-compose.yml says.',
  ].join('\n');
}

function isProgram(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
