/**
 * A MariaDB and a Redis of our own, to be killed and started again on the same data and port. The
 * project's scripts know how they are started; `scripts/run.mjs` takes them away with the run.
 */
import { readFileSync } from 'node:fs';
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
    choosePort?: ChoosePort,
  ): Promise<Started & { url: string }>;
  startServer(server: object, choosePort: ChoosePort): Promise<Started>;
}

const scriptFiles = ['store-binaries', 'database', 'redis', 'server'];

/** A server that can be killed outright and comes back as it was. */
export class KillableServer {
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
  }

  /** Resolves when it takes connections again. */
  async killAndRestart(downMs: number, killed: () => void): Promise<void> {
    await this.inTurn(async () => {
      process.kill(this.#pid, 'SIGKILL');
      killed();
      await goneFor(this.#pid);
      await delay(downMs);
      this.#pid = (await this.startAgain()).pid;
    });
  }

  /** What must not meet a restart. */
  async inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work);
    this.#turn = mine.catch(() => undefined);
    return await mine;
  }
}

export interface Stores {
  readonly database: KillableServer;
  readonly databasePort: number;
  readonly migrationUrl: string;
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
  const samePort = async (): Promise<number> => redis.port;
  return {
    database: new KillableServer('mariadbd', database.url, database, again),
    databasePort: database.port,
    migrationUrl: database.migrationUrl,
    redis: new KillableServer('redis-server', redis.url, redis, () =>
      scripts.startRedis(files.redis, runDir, samePort),
    ),
  };
}

async function loadScripts(): Promise<Scripts> {
  const modules = await Promise.all(
    scriptFiles.map(async (name) => {
      const url = new URL(`../../../scripts/${name}.mjs`, import.meta.url);
      return (await import(url.href)) as object;
    }),
  );
  return Object.assign({}, ...modules) as Scripts;
}

/** With the arguments it was first started with, without the file that made its users. */
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
        file,
        runDir,
        cwd: join(runDir, 'database'),
        logFile: join(runDir, 'database.log'),
        readyPattern: /ready for connections/,
        prepare: () => undefined,
        argsFor: () => args,
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
