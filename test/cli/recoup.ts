import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { once } from 'node:events';

export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
  /** The last line of stdout. */
  readonly json: Record<string, never>;
}

type Environment = Readonly<Record<string, string | undefined>>;

const cli = 'dist/src/cli.js';

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
  const last = out.trim().split('\n').at(-1) ?? '';
  return {
    code,
    out,
    err,
    get json() {
      return JSON.parse(last) as Record<string, never>;
    },
  };
}

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
