// Runs a command of the project with all it needs: packages, a build, a MariaDB and a Redis.
//
//   node scripts/run.mjs [options] -- <command ...>
//     --ask-first       start nothing unless the command, asked with RECOUP_ASKED_FIRST set, says with
//                       exit code 100 that its arguments are right (src/arguments.ts)
//     --keep-stores     leave the stores running afterwards (also when the command has --keep)
//     --no-stores       the command needs none
//     --stores <n>      so many private sets, for tests that run side by side (RECOUP_TEST_STORES)
//     --no-build        the command needs no dist/
//     --deadline <s>    end the command by force after so many seconds
//   node scripts/run.mjs build     install packages and compile, nothing else
//   node scripts/run.mjs stop      stop every kept store of this checkout
//   node scripts/run.mjs sweep     remove what dead runs left
//
// stdin and stdout belong to the command; the set-up writes to stderr only.

import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { delimiter, join } from 'node:path';
import { build } from './build.mjs';
import { SetupProblem, say } from './notice.mjs';
import { ensurePackages } from './packages.mjs';
import { abandonSetup, quietly, waitUntil } from './processes.mjs';
import { projectDir } from './project.mjs';
import {
  createRunFolder,
  noteOwner,
  removeRunFolder,
  runDirVariable,
  stopKeptRuns,
  strayProcesses,
  sweepDeadRuns,
} from './run-folder.mjs';
import { letServersLive } from './server.mjs';
import { getStores } from './stores.mjs';

const nodeVersionMin = [20, 19];
/** What a command that was asked first answers when its arguments are right. */
const goOnExitCode = 100;
/** What is wrong with how a program was called; nothing was done. */
const badUsageExitCode = 2;
/** How long a command may take to end after it was asked to. */
const graceMs = 15_000;
/** How long processes may take to follow the command that started them. */
const strayGraceMs = 1_500;
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/** The one run of this process. */
const run = { folder: null, child: null, interruptedBy: null, guard: null };

async function main() {
  checkNodeVersion();
  const options = parse(process.argv.slice(2));
  if (options.action === 'stop') return stop();
  if (options.action === 'sweep') return sweepDeadRuns().then(() => 0);
  signals.forEach((name) => process.on(name, () => onSignal(name)));
  await ensurePackages();
  if (options.build) await build();
  if (options.action === 'build') return 0;
  if (options.askFirst) {
    const answer = await runCommand(options, { RECOUP_ASKED_FIRST: '1' });
    if (answer !== goOnExitCode) return answer;
  }
  run.folder = createRunFolder();
  run.guard = startGuard();
  let code = 1;
  let keep = false;
  try {
    await sweepDeadRuns();
    const stores =
      options.sets > 0 ? await getStores(run.folder, options.sets) : { env: {}, started: [] };
    code = await runCommand(options, stores.env);
    keep = options.keep && run.interruptedBy === null;
    if (keep) keepRunning(stores);
  } finally {
    if (!keep) await cleanUp();
    run.guard.kill('SIGKILL');
  }
  return code;
}

function checkNodeVersion() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  const [majorMin, minorMin] = nodeVersionMin;
  if (major > majorMin || (major === majorMin && minor >= minorMin)) return;
  throw new SetupProblem(
    `Node ${nodeVersionMin.join('.')} or later is needed; this is ${process.versions.node}`,
  );
}

class UsageProblem extends SetupProblem {
  constructor(what) {
    super(`${what}\nusage: node scripts/run.mjs [options] -- <command ...>; its head lists them`);
  }
}

function parse(args) {
  const options = {
    action: 'run',
    askFirst: false,
    keep: false,
    sets: 1,
    build: true,
    deadlineMs: null,
    command: [],
  };
  const split = args.indexOf('--');
  const ours = split === -1 ? args : args.slice(0, split);
  options.command = split === -1 ? [] : args.slice(split + 1);
  while (ours.length > 0) {
    const word = ours.shift();
    if (['build', 'stop', 'sweep'].includes(word)) options.action = word;
    else if (word === '--ask-first') options.askFirst = true;
    else if (word === '--keep-stores') options.keep = true;
    else if (word === '--no-stores') options.sets = 0;
    else if (word === '--stores') options.sets = Number(ours.shift());
    else if (word === '--no-build') options.build = false;
    else if (word === '--deadline') options.deadlineMs = Number(ours.shift()) * 1000;
    else throw new UsageProblem(`unknown option ${word}`);
  }
  if (options.deadlineMs !== null && !(options.deadlineMs > 0))
    throw new UsageProblem('--deadline wants seconds');
  if (!(Number.isInteger(options.sets) && options.sets >= 0))
    throw new UsageProblem('--stores wants a number');
  if (options.action === 'run' && options.command.length === 0) {
    throw new UsageProblem('no command is given');
  }
  if (options.command.includes('--keep')) options.keep = true;
  return options;
}

/** @returns the command's exit code; 128 + n when signal n ended it */
function runCommand({ command: [name, ...args], deadlineMs }, storesEnv) {
  if (run.interruptedBy !== null) return codeOf(run.interruptedBy);
  return new Promise((resolve) => {
    const bin = join(projectDir, 'node_modules', '.bin');
    const env = { ...process.env, ...storesEnv };
    if (run.folder !== null) env[runDirVariable] = run.folder;
    env.PATH = [bin, process.env.PATH].filter(Boolean).join(delimiter);
    // A group of its own: one signal from us reaches the command and its children, exactly once.
    const child = spawn(name === 'node' ? process.execPath : name, args, {
      stdio: 'inherit',
      env,
      detached: true,
    });
    run.child = child;
    let timedOut = false;
    const timer =
      deadlineMs === null
        ? null
        : setTimeout(() => {
            timedOut = true;
            say(`no end after ${deadlineMs / 1000} s: ending ${name}`);
            void askToEnd('SIGTERM');
          }, deadlineMs);
    const finish = (code) => {
      clearTimeout(timer);
      run.child = null;
      resolve(timedOut ? 124 : code);
    };
    child.on('error', (error) => {
      say(`${name}: ${error.message}`);
      finish(127);
    });
    child.on('exit', (code, signal) => finish(code ?? codeOf(signal)));
  });
}

function onSignal(name) {
  const isFirst = run.interruptedBy === null;
  run.interruptedBy ??= name;
  if (run.child === null) abandonSetup();
  else if (isFirst) void askToEnd(name);
  else signalGroup('SIGKILL');
}

async function askToEnd(signal) {
  const { child } = run;
  signalGroup(signal);
  const ended = await waitUntil(() => run.child !== child, graceMs);
  if (!ended) signalGroup('SIGKILL');
}

function signalGroup(signal) {
  quietly(() => process.kill(-run.child.pid, signal));
}

async function cleanUp() {
  await waitUntil(() => strayProcesses(run.folder).length === 0, strayGraceMs);
  const strays = strayProcesses(run.folder);
  if (strays.length > 0 && run.interruptedBy === null) {
    say(`the command left ${strays.length} process(es) running; ending: ${strays.join(', ')}`);
  }
  await removeRunFolder(run.folder);
}

/**
 * Waits for the end of our end of a pipe. If we are killed outright, nobody else would stop the
 * servers before the next run.
 */
function startGuard() {
  const script = 'cat >/dev/null; exec "$0" "$1" sweep';
  const guard = spawn(
    'sh',
    ['-c', script, process.execPath, join(projectDir, 'scripts', 'run.mjs')],
    {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
      cwd: projectDir,
    },
  );
  guard.on('error', () => {});
  guard.stdin.on('error', () => {});
  guard.unref();
  guard.stdin.unref?.();
  return guard;
}

function keepRunning({ env, started }) {
  noteOwner(run.folder, { kept: true });
  letServersLive();
  say(
    started.length > 0
      ? `still running: ${started.join(', ')}`
      : 'still running: what the command left',
  );
  for (const [name, value] of Object.entries(env))
    process.stderr.write(`  export ${name}='${value}'\n`);
  process.stderr.write(`  data and logs: ${run.folder}\n  to stop: npm stop\n`);
}

async function stop() {
  const stopped = await stopKeptRuns();
  await sweepDeadRuns();
  say(stopped === 0 ? 'nothing was kept' : `stopped ${stopped} kept run(s)`);
  return 0;
}

function codeOf(signal) {
  return 128 + (constants.signals[signal] ?? 0);
}

main().then(
  (code) =>
    process.exit(run.interruptedBy !== null && code === 0 ? codeOf(run.interruptedBy) : code),
  (error) => {
    if (run.interruptedBy !== null) process.exit(codeOf(run.interruptedBy));
    say(error instanceof SetupProblem ? error.message : error.stack);
    process.exit(error instanceof UsageProblem ? badUsageExitCode : 1);
  },
);
