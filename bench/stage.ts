/** The parent's side: subjects in processes of their own, databases of their own, the stores' counters. */
import { fork, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Redis } from 'ioredis';
import { loadConfig } from '../src/config.js';
import { silentLog } from '../src/log.js';
import { openDatabase, selectRows, type Database } from '../src/store/database.js';
import { migrate } from '../src/store/migrate.js';
import { cpuMsOf, type Answer, type Load, type Measured, type Order } from './subject.js';

/** What the stores did meanwhile. */
export interface StoreWork {
  readonly commits: number;
  readonly statements: number;
  readonly databaseCpuMs: number;
  readonly redisCommands: number;
  readonly redisCpuMs: number;
}

export type Result = Measured & { readonly stores: StoreWork };

export class Stage {
  readonly #databases: string[] = [];
  readonly #config = loadConfig(process.env);

  private constructor(
    private readonly owner: Database,
    private readonly redis: Redis,
    private readonly databasePid: number,
    private readonly redisPid: number,
  ) {}

  static async open(): Promise<Stage> {
    const config = loadConfig(process.env);
    const owner = openDatabase(config.migrationUrl, 2, silentLog);
    const redis = new Redis(config.redisUrl);
    const [at] = await selectRows<{ file: string }>(owner, 'SELECT @@pid_file AS file');
    const redisPid = Number(/process_id:(\d+)/.exec(await redis.info('server'))?.[1] ?? 0);
    return new Stage(owner, redis, pidIn(at?.file ?? ''), redisPid);
  }

  /** A migrated database and a Redis database of its own, as environment variables. */
  async ownStores(name: string): Promise<Record<string, string>> {
    const database = `recoup_bench_${name}_${randomBytes(3).toString('hex')}`;
    await this.owner.raw(`CREATE DATABASE ${database} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`);
    this.#databases.push(database);
    const env = {
      RECOUP_DATABASE_URL: withPath(this.#config.databaseUrl, database),
      RECOUP_MIGRATION_URL: withPath(this.#config.migrationUrl, database),
      RECOUP_REDIS_URL: withPath(this.#config.redisUrl, String((this.#databases.length % 15) + 1)),
    };
    await migrate(env.RECOUP_MIGRATION_URL, env.RECOUP_DATABASE_URL, silentLog);
    return env;
  }

  async start(
    module: string,
    args: readonly string[],
    env: Record<string, string>,
  ): Promise<Running> {
    const path = new URL(`./subjects/${module}.js`, import.meta.url);
    const child = fork(path, args, {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    const running = new Running(child, () => this.#counters());
    await running.answer('ready');
    return running;
  }

  async versions() {
    const [row] = await selectRows<{ version: string; flush: number; pool: string }>(
      this.owner,
      `SELECT @@version AS version, @@innodb_flush_log_at_trx_commit AS flush,
         @@innodb_buffer_pool_size AS pool`,
    );
    const redis = /redis_version:(\S+)/.exec(await this.redis.info('server'))?.[1];
    return {
      database: row?.version ?? 'unknown',
      flush_log_at_commit: row?.flush ?? 0,
      buffer_pool_mib: Number(row?.pool ?? 0) / 2 ** 20,
      redis: redis ?? 'unknown',
    };
  }

  async #counters(): Promise<StoreWork> {
    const status = await selectRows<{ Variable_name: string; Value: string }>(
      this.owner,
      "SHOW GLOBAL STATUS WHERE Variable_name IN ('Com_commit', 'Questions')",
    );
    const value = (name: string): number =>
      Number(status.find((row) => row.Variable_name === name)?.Value ?? 0);
    const stats = await this.redis.info('stats');
    return {
      commits: value('Com_commit'),
      statements: value('Questions'),
      databaseCpuMs: cpuMsOf(this.databasePid),
      redisCommands: Number(/total_commands_processed:(\d+)/.exec(stats)?.[1] ?? 0),
      redisCpuMs: cpuMsOf(this.redisPid),
    };
  }

  /** Waits until a query's one row says `yes`. */
  async until(env: Readonly<Record<string, string>>, sql: string, forMs = 120_000): Promise<void> {
    const database = openDatabase(env['RECOUP_MIGRATION_URL'] ?? '', 1, silentLog);
    const untilMs = performance.now() + forMs;
    try {
      for (;;) {
        const [row] = await selectRows<{ yes: number }>(database, sql);
        if (row?.yes === 1) return;
        if (performance.now() > untilMs) throw new Error(`not within ${forMs} ms: ${sql}`);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    } finally {
      await database.destroy();
    }
  }

  async close(): Promise<void> {
    for (const name of this.#databases) await this.owner.raw(`DROP DATABASE ${name}`);
    await this.owner.destroy();
    this.redis.disconnect();
  }
}

/** A subject that runs in its own process. */
export class Running {
  constructor(
    private readonly child: ChildProcess,
    private readonly counters: () => Promise<StoreWork>,
  ) {}

  async measure(load: Load): Promise<Result> {
    this.#say({ prepare: load });
    await this.answer('prepared');
    const before = await this.counters();
    this.#say({ go: true });
    const answer = await this.answer('measured');
    const after = await this.counters();
    if (!('measured' in answer)) throw new Error('no figures');
    return { ...answer.measured, stores: difference(after, before) };
  }

  /** Starts the work and does not wait for its end. */
  async begin(load: Load): Promise<void> {
    this.#say({ prepare: load });
    await this.answer('prepared');
    this.#say({ go: true });
  }

  async kill(): Promise<void> {
    const exited = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await exited;
  }

  async answer(wanted: 'ready' | 'prepared' | 'measured'): Promise<Answer> {
    const gone = new AbortController();
    const ended = once(this.child, 'exit', { signal: gone.signal }).then(([code]) => {
      throw new Error(`a subject ended with ${String(code)}`);
    });
    ended.catch(() => undefined);
    try {
      const [answer] = (await Promise.race([once(this.child, 'message'), ended])) as [Answer];
      if ('broken' in answer) throw new Error(answer.broken);
      if (!(wanted in answer)) throw new Error(`not ${wanted}: ${JSON.stringify(answer)}`);
      return answer;
    } finally {
      gone.abort();
    }
  }

  async end(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const exited = once(this.child, 'exit');
    this.#say({ end: true });
    const timer = setTimeout(() => this.child.kill('SIGKILL'), 15_000);
    await exited;
    clearTimeout(timer);
  }

  #say(order: Order): void {
    this.child.send(order);
  }
}

function difference(after: StoreWork, before: StoreWork): StoreWork {
  return {
    commits: after.commits - before.commits,
    statements: after.statements - before.statements,
    databaseCpuMs: after.databaseCpuMs - before.databaseCpuMs,
    redisCommands: after.redisCommands - before.redisCommands,
    redisCpuMs: after.redisCpuMs - before.redisCpuMs,
  };
}

function pidIn(file: string): number {
  try {
    return Number(readFileSync(file, 'utf8').trim());
  } catch {
    return 0;
  }
}

function withPath(url: string, path: string): string {
  const changed = new URL(url);
  changed.pathname = `/${path}`;
  return changed.href;
}
