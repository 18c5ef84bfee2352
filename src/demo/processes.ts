import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const recoup = fileURLToPath(new URL('../cli.js', import.meta.url));
const startMs = 30_000;

export type Environment = Readonly<Record<string, string | undefined>>;

/** A `recoup` process that stays: a worker, the API, the sandbox. It writes to files, not to us. */
export class Daemon {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #files: Files;
  #ended = false;

  private constructor(name: string, child: ChildProcess, files: Files) {
    this.name = name;
    this.#child = child;
    this.#files = files;
    child.once('exit', () => (this.#ended = true));
    child.once('error', () => (this.#ended = true));
  }

  /** @param folder holds `<name>.out` and `<name>.log`. */
  static start(name: string, args: readonly string[], env: Environment, folder: string): Daemon {
    const files = { out: join(folder, `${name}.out`), log: join(folder, `${name}.log`) };
    const [out, log] = [openSync(files.out, 'w'), openSync(files.log, 'w')];
    try {
      const child = spawn(process.execPath, [recoup, ...args, '--json'], {
        stdio: ['ignore', out, log],
        env,
        // With --keep it outlives us, and a Ctrl-C at our terminal is ours to pass on.
        detached: true,
      });
      return new Daemon(name, child, files);
    } finally {
      closeSync(out);
      closeSync(log);
    }
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** The line it prints when it is ready. */
  async ready<T>(): Promise<T> {
    const giveUpMs = performance.now() + startMs;
    for (;;) {
      const line = /^(.*)\n/.exec(readFileSync(this.#files.out, 'utf8'))?.[1];
      if (line !== undefined) {
        const ready = JSON.parse(line) as T & { error?: { title: string } };
        if (ready.error !== undefined) throw new Error(`${this.name}: ${ready.error.title}`);
        return ready;
      }
      if (this.#ended || performance.now() > giveUpMs) {
        throw new Error(`${this.name} did not start:\n${this.lastWords()}`);
      }
      await pause(20);
    }
  }

  lastWords(): string {
    return readFileSync(this.#files.log, 'utf8').split('\n').slice(-12).join('\n');
  }

  signal(signal: NodeJS.Signals): void {
    if (!this.#ended) this.#child.kill(signal);
  }

  /** Asks it to end, and makes it end when it does not. False when it had to be made to. */
  async stop(graceMs: number): Promise<boolean> {
    if (this.#ended) return true;
    this.signal('SIGCONT');
    this.signal('SIGTERM');
    const giveUpMs = performance.now() + graceMs;
    while (!this.#ended && performance.now() < giveUpMs) await pause(20);
    if (this.#ended) return true;
    this.signal('SIGKILL');
    while (!this.#ended) await pause(20);
    return false;
  }

  /** Lets it live on when we end. */
  letGo(): void {
    this.#child.unref();
  }
}

interface Files {
  readonly out: string;
  readonly log: string;
}

/** Runs a `recoup` command to its end; its last line of stdout is JSON. */
export async function runRecoup<T>(args: readonly string[], env: Environment): Promise<T> {
  const child = spawn(process.execPath, [recoup, ...args, '--json'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env,
  });
  let out = '';
  let err = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', () => resolve());
  });
  const last = out.trim().split('\n').at(-1) ?? '';
  const said = (last === '' ? { error: { title: err } } : JSON.parse(last)) as T & {
    error?: { title: string; details?: unknown };
  };
  if (said.error === undefined) return said;
  const details = JSON.stringify(said.error.details ?? {});
  throw new Error(`recoup ${args.join(' ')}: ${said.error.title} ${details}`);
}

export const pause = async (ms: number): Promise<void> =>
  await new Promise((resolve) => setTimeout(resolve, ms));
