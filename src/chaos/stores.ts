/**
 * A MariaDB and a Redis of our own, to be killed and started again on the same data and port. The
 * project's scripts know how they are started; `scripts/run.mjs` takes them away with the run.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

interface Started {
  readonly port: number;
  readonly pid: number;
}

type ChoosePort = () => Promise<number>;

interface Scripts {
  findServers(wanted: readonly string[]): Promise<{ database: string; redis: string }>;
  startDatabase(
    file: string,
    runDir: string,
  ): Promise<Started & { url: string; migrationUrl: string }>;
  startRedis(
    file: string,
    runDir: string,
    options?: { readonly choosePort: ChoosePort },
  ): Promise<Started & { url: string }>;
  startServer(server: object, choosePort: ChoosePort): Promise<Started>;
}

const scriptFiles = ['store-binaries', 'database', 'redis', 'server'];

/** A server that can be killed outright and comes back as it was. */
export class KillableServer {
  readonly #port: number;
  #pid: number;
  /** One at a time: killed, down, started. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(
    readonly name: string,
    readonly url: string,
    first: Started,
    private readonly startAgain: () => Promise<Started>,
  ) {
    this.#pid = first.pid;
    this.#port = first.port;
  }

  get pid(): number {
    return this.#pid;
  }

  /** Resolves when it takes connections again. */
  async killAndRestart(downMs: number, killed: () => void): Promise<void> {
    await this.inTurn(async () => {
      process.kill(this.#pid, 'SIGKILL');
      killed();
      await goneFor(this.#pid);
      await delay(downMs);
      const { pid, port } = await this.startAgain();
      this.#pid = pid;
      // Or all that follows would be a run without it, and prove nothing.
      if (port !== this.#port) throw new Error(`${this.name} is at port ${port} now`);
    });
  }

  /** What must not meet a restart. */
  async inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work);
    this.#turn = mine.catch(() => undefined);
    return await mine;
  }
}

/**
 * The database's disk, as far as the kernel's limit on the size of a file can play one that is full:
 * a table that would grow past it is refused more, and the server says so (error 1114).
 */
export class Disk {
  constructor(
    private readonly server: KillableServer,
    private readonly dataDir: string,
    private readonly logFile: string,
  ) {}

  /** Above it nothing that is there already can be refused: only growth. */
  largestFile(): number {
    const files = readdirSync(this.dataDir, { recursive: true, withFileTypes: true });
    const sizes = files
      .filter((file) => file.isFile())
      .map(({ parentPath, name }) => sizeOf(join(parentPath, name)));
    return Math.max(...sizes);
  }

  /** @throws Error where `prlimit` (util-linux) is missing. */
  async limitFiles(bytes: number | null): Promise<void> {
    const limit = `--fsize=${bytes ?? 'unlimited'}:unlimited`;
    const prlimit = spawn('prlimit', ['--pid', String(this.server.pid), limit], {
      stdio: 'ignore',
    });
    // Where the server was just killed it has nobody to limit.
    await once(prlimit, 'close');
  }

  /** How often the server was refused the growth of a file, ever. */
  refusals(): number {
    return readFileSync(this.logFile, 'utf8').split(/ for file .* failed with error/).length - 1;
  }
}

/** 0 for a file that is gone meanwhile. */
const sizeOf = (file: string): number => statSync(file, { throwIfNoEntry: false })?.size ?? 0;

export interface Stores {
  readonly database: KillableServer;
  readonly databasePort: number;
  readonly migrationUrl: string;
  readonly disk: Disk;
  readonly redis: KillableServer;
}

export async function startStores(runDir: string): Promise<Stores> {
  const scripts = await loadScripts();
  const files = await scripts.findServers(['database', 'redis']);
  const [database, redis] = await Promise.all([
    scripts.startDatabase(files.database, runDir),
    scripts.startRedis(files.redis, runDir),
  ]);
  const again = databaseAgain(scripts, files.database, runDir, database);
  const samePort = { choosePort: async (): Promise<number> => redis.port };
  const server = new KillableServer('mariadbd', database.url, database, again);
  // Once at the start: only what we start ourselves can be refused space and live on.
  await server.killAndRestart(0, () => undefined);
  return {
    database: server,
    databasePort: database.port,
    migrationUrl: database.migrationUrl,
    disk: new Disk(server, join(runDir, 'database'), join(runDir, 'database.log')),
    redis: new KillableServer('redis-server', redis.url, redis, () =>
      scripts.startRedis(files.redis, runDir, samePort),
    ),
  };
}

/**
 * Or the server's own files, of which the first grows by 64 MB at a time, would be the largest, and no
 * table would meet the limit on a file's size (see `Disk`).
 */
const smallFiles = [
  '--innodb-log-file-size=8M',
  '--innodb-autoextend-increment=1',
  '--innodb-temp-data-file-path=ibtmp1:4M:autoextend',
];

async function loadScripts(): Promise<Scripts> {
  const modules = await Promise.all(
    scriptFiles.map(async (name) => {
      const url = new URL(`../../../scripts/${name}.mjs`, import.meta.url);
      return (await import(url.href)) as object;
    }),
  );
  return Object.assign({}, ...modules) as Scripts;
}

/**
 * With the arguments it was first started with, without the file that made its users. The signal of
 * a write past the limit on a file's size is ignored, so that the write fails instead (see `Disk`).
 */
function databaseAgain(
  scripts: Scripts,
  file: string,
  runDir: string,
  { pid, port }: Started,
): () => Promise<Started> {
  const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(1, -1);
  const args = words.filter((word) => !word.startsWith('--init-file='));
  return async () =>
    await scripts.startServer(
      {
        name: 'mariadbd',
        file: '/bin/sh',
        runDir,
        cwd: join(runDir, 'database'),
        logFile: join(runDir, 'database.log'),
        readyPattern: /ready for connections/,
        prepare: () => undefined,
        argsFor: () => ['-c', `trap '' XFSZ; exec "$@"`, 'sh', file, ...args, ...smallFiles],
      },
      async () => port,
    );
}

async function goneFor(pid: number): Promise<void> {
  for (;;) {
    try {
      process.kill(pid, 0);
    } catch {
      return;
    }
    await delay(5);
  }
}
