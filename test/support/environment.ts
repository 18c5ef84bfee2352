/**
 * The real surroundings of a test: a migrated database of its own on the real MariaDB, a Redis
 * database of its own on the real Redis, and the sandbox as a separate process.
 */
import { readFile } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import {
  loadProfiles,
  parseProfile,
  type LoadedProfile,
} from '../../src/channels/load-profiles.js';
import { compose, type Services, type Wrappers } from '../../src/composition/root.js';
import { loadConfig, type Config } from '../../src/config.js';
import type { Log } from '../../src/engine/ports.js';
import { repaymentId } from '../../src/ids.js';
import type { NewRepayment } from '../../src/intake/repayment.js';
import { silentLog } from '../../src/log.js';
import { amountMinor } from '../../src/money.js';
import { openDatabase, type Database } from '../../src/store/database.js';
import { migrate } from '../../src/store/migrate.js';
import { SandboxProcess, type SandboxProcessOptions } from '../sandbox/sandbox-process.js';

export interface TestEnvironment {
  readonly config: Config;
  /** Everything a child process of Recoup needs to run on these surroundings. */
  readonly env: Readonly<Record<string, string>>;
  readonly sandbox: SandboxProcess;
  /** The card system and the account service, where asked for: processes with books of their own. */
  readonly parties: Readonly<Partial<Record<PartyRole, SandboxProcess>>>;
  /** As the schema's owner. */
  readonly owner: Database;
  /** A process of Recoup, in this process; closed with the environment. */
  compose(options?: {
    config?: Partial<Config>;
    wrappers?: Wrappers;
    log?: Log;
    /** Besides the surroundings' own. */
    env?: Readonly<Record<string, string>>;
  }): Promise<Services>;
  /** Registers a repayment; every field can be chosen. */
  repayment(fields?: Partial<NewRepayment>): Promise<NewRepayment>;
  flushRedis(): Promise<void>;
  close(): Promise<void>;
}

export interface EnvironmentOptions {
  readonly profiles?: string;
  /** These of the profiles alone. */
  readonly channels?: readonly string[];
  /** Changes the profiles before they are stored. What it makes of them must be valid. */
  readonly adjust?: (document: Record<string, unknown>) => void;
  readonly sandbox?: SandboxProcessOptions;
  /** Started besides the channels, with their profiles. */
  readonly parties?: readonly PartyRole[];
}

export type PartyRole = 'cards' | 'accounts';

let redisDatabase = 0;

export async function startEnvironment(options: EnvironmentOptions = {}): Promise<TestEnvironment> {
  const base = loadConfig(process.env);
  const name = `recoup_test_${process.pid}_${randomBytes(4).toString('hex')}`;
  const admin = openDatabase(base.migrationUrl, 1, silentLog);
  await admin.raw(`CREATE DATABASE ${name} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`);
  await admin.destroy();
  redisDatabase = (redisDatabase % 15) + 1;
  const env = {
    RECOUP_DATABASE_URL: withPath(base.databaseUrl, name),
    RECOUP_MIGRATION_URL: withPath(base.migrationUrl, name),
    RECOUP_REDIS_URL: withPath(base.redisUrl, String(redisDatabase)),
  };
  await migrate(env.RECOUP_MIGRATION_URL, env.RECOUP_DATABASE_URL, silentLog);
  const sandbox = await SandboxProcess.start({ latencyScale: 0, ...options.sandbox });
  const parties = await startParties(options);
  const partyEnv = Object.values(parties).map(({ ready }) => ready.env);
  const childEnv = Object.assign({ ...env, ...sandbox.ready.env }, ...partyEnv) as typeof env;
  const config = { ...loadConfig(env), compensatorAgeMs: 1_000, compensatorIntervalMs: 1_000 };
  const owner = openDatabase(env.RECOUP_MIGRATION_URL, 4, silentLog);
  await owner.raw('SELECT 1');
  const redis = new Redis(env.RECOUP_REDIS_URL);
  await redis.flushdb();
  const opened: Services[] = [];
  const documents = await profileDocuments(options);
  const seed = compose({ config, env: childEnv, log: silentLog });
  await seed.channelStore.save(documents, Date.now());

  return {
    config,
    env: childEnv,
    sandbox,
    parties,
    owner,
    async compose({ config: changed = {}, wrappers, log = silentLog, env: more = {} } = {}) {
      const services = compose({
        config: { ...config, ...changed },
        env: { ...childEnv, ...more },
        log,
        ...(wrappers === undefined ? {} : { wrappers }),
      });
      opened.push(services);
      await services.directory.refresh();
      return services;
    },
    async repayment(fields = {}) {
      const repayment = someRepayment(fields);
      await seed.repayments.register([repayment], Date.now());
      return repayment;
    },
    flushRedis: async () => void (await redis.flushdb()),
    async close() {
      await Promise.all([seed, ...opened].map((services) => services.close()));
      redis.disconnect();
      await Promise.all([sandbox, ...Object.values(parties)].map((one) => one.stop()));
      await owner.raw(`DROP DATABASE ${name}`);
      await owner.destroy();
    },
  };
}

async function startParties({ parties = [], sandbox }: EnvironmentOptions) {
  const start = async (role: PartyRole) => {
    const { bookDir: _own, ...shared } = sandbox ?? {};
    return [role, await SandboxProcess.start({ latencyScale: 0, ...shared, role })] as const;
  };
  const started = await Promise.all(parties.map(start));
  return Object.fromEntries(started) as Partial<Record<PartyRole, SandboxProcess>>;
}

async function profileDocuments(options: EnvironmentOptions) {
  const { profiles, channels, adjust, parties = [] } = options;
  const path = profiles ?? 'examples/channels.demo.yaml';
  const own = loadProfiles(await readFile('examples/parties.demo.yaml', 'utf8'));
  const loaded: readonly LoadedProfile[] = [
    ...loadProfiles(await readFile(path, 'utf8')),
    ...own.filter(({ profile }) => (parties as readonly string[]).includes(profile.id)),
  ];
  const wanted = loaded.filter(({ profile }) => channels?.includes(profile.id) ?? true);
  return wanted.map(({ profile, document }) => {
    const copy = structuredClone(document) as Record<string, unknown>;
    // One tier each: a test knows which channel comes first.
    copy['tier'] = { swiftpay: 1, unionlink: 2, oldbank: 3 }[String(profile.id)] ?? 4;
    adjust?.(copy);
    // What cannot be opened is passed over, by design: a test would go on without the channel that it is about.
    parseProfile(copy);
    return { channelId: profile.id, profileJson: JSON.stringify(copy) };
  });
}

let repayments = 0;

export function someRepayment(fields: Partial<NewRepayment> = {}): NewRepayment {
  repayments += 1;
  const suffix = `${process.pid}_${repayments}`;
  return {
    id: repaymentId(`rp_${suffix}`),
    borrowerId: `bw_${suffix}`,
    currency: 'CNY',
    dueMinor: amountMinor(120_000),
    dueDate: '2026-11-22',
    account: { token: `tok_ok_${suffix}`, bankCode: 'ICBC', last4: '4321' },
    ...fields,
  };
}

function withPath(url: string, path: string): string {
  const changed = new URL(url);
  changed.pathname = `/${path}`;
  return changed.href;
}
