// One private server: started on a free port, ready or explained within its deadline.

import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { SetupProblem } from './notice.mjs';
import { isAbandoned, quietly, waitUntil } from './processes.mjs';
import { runDirVariable } from './run-folder.mjs';

const readyDeadlineMs = 60_000;
const portAttemptsMax = 8;
const portTaken = /address already in use|Bind on TCP\/IP port/i;

/** Servers this process started; ended by force if it ends without having stopped them. */
const ours = new Set();
process.on('exit', () => ours.forEach((child) => quietly(() => child.kill('SIGKILL'))));

/** Leaves the servers running after this process. */
export function letServersLive() {
  ours.clear();
}

/**
 * @param server.name for messages
 * @param server.file the program
 * @param server.runDir the folder of the run
 * @param server.cwd where it works: inside the run's folder, which is how it is known as ours
 * @param server.logFile where the server writes what it has to say
 * @param server.readyPattern what it writes there when it takes connections
 * @param server.prepare called before each attempt; a started server may have touched its data
 * @param server.argsFor (port) => arguments
 * @param choosePort replaceable in tests
 * @returns {Promise<{port: number, pid: number}>}
 */
export async function startServer(server, choosePort = freePort) {
  for (let attempt = 1; ; attempt += 1) {
    await server.prepare();
    const port = await choosePort();
    const outcome = await tryStart(server, port);
    if (outcome.ready) return { port, pid: outcome.pid };
    // Between our choice of a free port and the server's bind, someone else may take it.
    if (portTaken.test(outcome.log) && attempt < portAttemptsMax) continue;
    const tail = outcome.log.trim().split('\n').slice(-20).join('\n');
    throw new SetupProblem(`${server.name} ${outcome.problem}. The end of its log:\n${tail}`);
  }
}

async function tryStart({ file, cwd, runDir, logFile, readyPattern, argsFor }, port) {
  const log = openSync(logFile, 'w', 0o600);
  // A session of its own: Ctrl-C is for the command, which still needs its stores to end well.
  const child = spawn(file, argsFor(port), {
    cwd,
    detached: true,
    stdio: ['ignore', log, log],
    env: { ...process.env, [runDirVariable]: runDir },
  });
  closeSync(log);
  ours.add(child);
  child.unref();
  let problem = null;
  child.on('error', (error) => (problem = `cannot be started: ${error.message}`));
  child.on('exit', (code, signal) => {
    ours.delete(child);
    problem ??= `ended with ${signal ?? `code ${code}`}`;
  });
  const read = () => quietly(() => readFileSync(logFile, 'utf8')) ?? '';
  // Only our server writes this log, so it cannot be mistaken for a stranger on the same port.
  const settled = () => isAbandoned() || problem !== null || readyPattern.test(read());
  await waitUntil(settled, readyDeadlineMs, 10);
  if (problem === null && readyPattern.test(read())) return { ready: true, pid: child.pid };
  child.kill('SIGKILL');
  if (isAbandoned()) problem = 'was interrupted';
  problem ??= `was not ready after ${readyDeadlineMs / 1000} s`;
  return { ready: false, problem, log: read() };
}

export function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.on('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}
