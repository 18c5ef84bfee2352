import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { once } from 'node:events';
import { stub } from 'sinon';
import { runCommandLine } from '../../src/cli/program.js';

export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
  /** The last line of stdout. */
  readonly json: Record<string, never>;
}

type Environment = Readonly<Record<string, string | undefined>>;

const cli = 'dist/src/cli.js';

/**
 * Runs the command in this process: a second less for each, and everything but the process is the
 * same. One at a time, since the streams and the environment are those of the process.
 */
export async function recoupHere(env: Environment, ...args: string[]): Promise<Ended> {
  const before = { ...process.env };
  let [out, err] = ['', ''];
  const into = (add: (text: string) => void) =>
    ((text: string | Uint8Array, ...more: unknown[]): boolean => {
      add(String(text));
      const done = more.at(-1);
      if (typeof done === 'function') setImmediate(done as () => void);
      return true;
    }) as typeof process.stdout.write;
  const stubs = [
    stub(process.stdout, 'write').callsFake(into((text) => (out += text))),
    stub(process.stderr, 'write').callsFake(into((text) => (err += text))),
  ];
  const codeOf = (): number => Number(process.exitCode ?? 0);
  process.exitCode = undefined;
  Object.assign(process.env, env);
  try {
    await runCommandLine(args);
    return told(codeOf(), out, err);
  } finally {
    for (const one of stubs) one.restore();
    process.exitCode = undefined;
    for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name];
    Object.assign(process.env, before);
  }
}

/** Runs the command to its end, as a shell would. */
export async function recoup(env: Environment, ...args: string[]): Promise<Ended> {
  return await ended(start(env, ...args));
}

export function start(env: Environment, ...args: string[]): ChildProcess {
  return spawn(process.execPath, [cli, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
}

export async function ended(child: ChildProcess): Promise<Ended> {
  let out = '';
  let err = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (out += text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (err += text));
  const [code] = (await once(child, 'close')) as [number | null];
  return told(code, out, err);
}

const told = (code: number | null, out: string, err: string): Ended => ({
  code,
  out,
  err,
  get json() {
    const last = out.trim().split('\n').at(-1) ?? '';
    return JSON.parse(last) as Record<string, never>;
  },
});

/** The first line that a process which stays prints: JSON, when it is ready. */
export async function ready<T>(child: ChildProcess): Promise<T> {
  if (child.stdout === null) throw new Error('no stdout');
  const lines = createInterface(child.stdout);
  const [line] = (await Promise.race([
    once(lines, 'line'),
    once(child, 'exit').then(([code]) => {
      throw new Error(`ended with ${String(code)} before it was ready`);
    }),
  ])) as [string];
  return JSON.parse(line) as T;
}
