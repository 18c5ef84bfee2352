/**
 * What the peers need and Recoup does not: their npm packages, in `bench/peers/`, and a private
 * PostgreSQL, with the settings it comes with.
 */
import { execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const folder = join(import.meta.dirname, '..', '..', 'bench', 'peers');
const readyMs = 30_000;

/** @returns what `createRequire` wants */
export async function ensurePeers(): Promise<string> {
  const wanted = join(folder, 'package-lock.json');
  const have = join(folder, 'node_modules', '.package-lock.json');
  if (versionOf(have) !== versionOf(wanted)) {
    process.stderr.write('bench: installing the peers (npm ci in bench/peers)\n');
    await run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: folder });
  }
  return join(folder, 'package.json');
}

function versionOf(file: string): string | undefined {
  if (!existsSync(file)) return undefined;
  const { packages } = JSON.parse(readFileSync(file, 'utf8')) as {
    packages: Record<string, { version?: string }>;
  };
  return packages['node_modules/@dbos-inc/dbos-sdk']?.version;
}

export interface Postgres {
  readonly url: string;
  commits(): Promise<number>;
  /** The server and its children: every connection is a process. */
  pids(): number[];
  stop(): Promise<void>;
}

/**
 * A new cluster in a folder of its own, stopped and removed at the end. PostgreSQL refuses to run as
 * root, so root lends it to the system's user `postgres` or `nobody`.
 *
 * @throws when PostgreSQL is missing, with the line that installs it.
 */
export async function startPostgres(): Promise<Postgres> {
  const bin = postgresFolder();
  const as = userOf();
  const dir = mkdtempSync(join(tmpdir(), 'recoup-bench-pg-'));
  const data = join(dir, 'data');
  mkdirSync(data);
  chmodSync(data, 0o700);
  if (as.uid !== undefined && as.gid !== undefined) {
    for (const one of [dir, data]) chownSync(one, as.uid, as.gid);
  }
  const remove = (): void => rmSync(dir, { recursive: true, force: true });
  try {
    const init = ['-D', data, '-A', 'trust', '-U', 'bench', '-E', 'UTF8', '--no-locale'];
    await run(join(bin, 'initdb'), init, { ...as, cwd: dir });
  } catch (error) {
    remove();
    throw error;
  }
  const port = await freePort();
  const args = ['-D', data, '-p', String(port), '-k', dir, '-c', 'listen_addresses=127.0.0.1'];
  // As many connections as the largest pool that is tried; the rest is as it comes.
  const child = spawn(join(bin, 'postgres'), [...args, '-c', 'max_connections=200'], {
    ...as,
    cwd: dir,
    stdio: 'ignore',
  });
  process.once('exit', () => child.kill('SIGQUIT'));
  const psql = async (sql: string): Promise<string> => {
    const at = ['-h', '127.0.0.1', '-p', String(port), '-U', 'bench', '-d', 'postgres', '-Atqc'];
    return (await run(join(bin, 'psql'), [...at, sql])).stdout.trim();
  };
  await untilReady(async () => await psql('SELECT 1'));
  await psql('CREATE DATABASE bench_dbos');
  const counted = "SELECT sum(xact_commit) FROM pg_stat_database WHERE datname = 'bench_dbos'";
  return {
    url: `postgresql://bench@127.0.0.1:${port}/bench_dbos`,
    commits: async () => Number(await psql(counted)),
    pids: () => (child.pid === undefined ? [] : [child.pid, ...childrenOf(child.pid)]),
    async stop() {
      const gone = once(child, 'exit');
      child.kill('SIGINT');
      await gone;
      remove();
    },
  };
}

async function untilReady(look: () => Promise<unknown>): Promise<void> {
  const untilMs = performance.now() + readyMs;
  for (;;) {
    try {
      await look();
      return;
    } catch (error) {
      if (performance.now() > untilMs) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

function postgresFolder(): string {
  const versions = '/usr/lib/postgresql';
  const debian = existsSync(versions)
    ? readdirSync(versions).map((version) => join(versions, version, 'bin'))
    : [];
  const folders = [...debian.toSorted().toReversed(), ...(process.env['PATH'] ?? '').split(':')];
  const found = folders.find((one) => existsSync(join(one, 'initdb')));
  if (found !== undefined) return found;
  throw new Error('PostgreSQL is missing: apt-get install -y --no-install-recommends postgresql');
}

function userOf(): { uid?: number; gid?: number } {
  if (process.getuid?.() !== 0) return {};
  for (const name of ['postgres', 'nobody']) {
    const [uid, gid] = ['-u', '-g'].map((flag) =>
      spawnSync('id', [flag, name], { encoding: 'utf8' }),
    );
    if (uid?.status === 0 && gid?.status === 0) {
      return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
    }
  }
  throw new Error('there is no user postgres or nobody to run PostgreSQL as');
}

function childrenOf(pid: number): number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
    return text === '' ? [] : text.split(' ').map(Number);
  } catch {
    return [];
  }
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  return port;
}
