// Processes: which they are, how to run one to its end, how to be sure one is ours before ending it.

import { spawn, spawnSync } from 'node:child_process';
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { constants as osConstants } from 'node:os';
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const onLinux = process.platform === 'linux';

export function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return !isZombie(pid);
  } catch (error) {
    return error.code === 'EPERM';
  }
}

/**
 * When the process started, in ticks since boot. With the pid it names one process for ever,
 * which a pid alone does not. `null` where the system does not tell.
 */
export function startTimeOf(pid) {
  return statField(pid, 19);
}

/** The pid namespace we are in: a pid from another container means nothing here. */
export function pidNamespace() {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    return null;
  }
}

/** Pids of the live processes that the command of this run left, the command itself included. */
export function processesCarrying(variable, value) {
  const wanted = `${variable}=${value}`;
  return allPids().filter((pid) => {
    if (pid === process.pid || isZombie(pid)) return false;
    return readProc(pid, 'environ').split('\0').includes(wanted);
  });
}

/** Pids of programs of these names that work inside `folder`. */
export function programsWorkingIn(folder, names) {
  return allPids().filter((pid) => {
    if (isZombie(pid)) return false;
    try {
      const cwd = readlinkSync(`/proc/${pid}/cwd`).replace(/ \(deleted\)$/, '');
      if (cwd !== folder && !cwd.startsWith(`${folder}/`)) return false;
      return names.includes(
        basename(readlinkSync(`/proc/${pid}/exe`).replace(/ \(deleted\)$/, '')),
      );
    } catch {
      return false;
    }
  });
}

/** The command line of a process, arguments separated by spaces; empty when it cannot be read. */
export function commandLineOf(pid) {
  if (onLinux) return readProc(pid, 'cmdline').split('\0').join(' ').trim();
  const ps = spawnSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' });
  return (ps.stdout ?? '').trim();
}

/** Asks politely, then ends by force. Resolves when none is left or the deadline has passed. */
export async function endProcesses(pids, { politeMs = 2_000, forceMs = 5_000 } = {}) {
  const left = () => pids.filter(isAlive);
  const signal = (name) => left().forEach((pid) => quietly(() => process.kill(pid, name)));
  if (politeMs > 0) {
    signal('SIGTERM');
    await waitUntil(() => left().length === 0, politeMs);
  }
  signal('SIGKILL');
  return waitUntil(() => left().length === 0, forceMs);
}

export async function waitUntil(condition, deadlineMs, everyMs = 20) {
  const end = performance.now() + deadlineMs;
  for (;;) {
    if (await condition()) return true;
    if (performance.now() >= end) return false;
    await sleep(everyMs);
  }
}

const running = new Set();
let abandoned = false;

/** True once the set-up was interrupted: nothing is waited for any more. */
export function isAbandoned() {
  return abandoned;
}

/** Ends what `runToEnd` has under way; used when the set-up itself is interrupted. */
export function abandonSetup() {
  abandoned = true;
  for (const child of running) quietly(() => process.kill(-child.pid, 'SIGKILL'));
}

/**
 * Runs a program to its end with a deadline. Its stdout goes to our stderr, or is returned when
 * `capture` is set. Never rejects: what happened is in the answer.
 */
export function runToEnd(file, args, options = {}) {
  const { deadlineMs, capture = false, input, cwd, env = process.env } = options;
  return new Promise((resolve) => {
    const stdio = [
      input === undefined ? 'ignore' : 'pipe',
      ...(capture ? ['pipe', 'pipe'] : [2, 2]),
    ];
    const child = spawn(file, args, { cwd, env, stdio, detached: true });
    running.add(child);
    let output = '';
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      quietly(() => process.kill(-child.pid, 'SIGKILL'));
    }, deadlineMs);
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text) => (output += text));
    }
    child.stdin?.on('error', () => {}).end(input);
    const finish = (code, error) => {
      clearTimeout(timer);
      running.delete(child);
      resolve({ code, output: error ? `${output}${error.message}` : output, timedOut });
    };
    child.on('error', (error) => finish(127, error));
    child.on('close', (code, signal) => finish(code ?? 128 + osConstants.signals[signal]));
  });
}

export function quietly(action) {
  try {
    return action();
  } catch {
    return undefined;
  }
}

function allPids() {
  if (!onLinux) return [];
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

function isZombie(pid) {
  return statField(pid, 0) === 'Z';
}

/** Field of /proc/<pid>/stat, counted after the name (which may hold blanks and brackets). */
function statField(pid, index) {
  const stat = readProc(pid, 'stat');
  return stat === '' ? null : stat.slice(stat.lastIndexOf(')') + 2).split(' ')[index];
}

function readProc(pid, file) {
  if (!onLinux) return '';
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return '';
  }
}
