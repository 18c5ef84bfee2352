/** Channels for the benchmark: those of the example with hardly any daily limits, which a benchmark would reach. */
import { readFileSync } from 'node:fs';
import { loadProfiles } from '../src/channels/load-profiles.js';
import { compose, type Services, type Wrappers } from '../src/composition/root.js';
import { loadConfig, type Config } from '../src/config.js';
import type { Channels, ChannelCalls } from '../src/engine/ports.js';
import { createLog } from '../src/log.js';

type Document = Record<string, unknown>;

const bankLimits = { per_transaction_max_minor: 5_000_000, daily_max_minor: 10 ** 14 };

/** What the in-process channel takes to answer, ms. */
export const channelMs = 5;

/** Nothing is sent to these: the in-process channel stands before them. */
export const deafEnvironment = {
  RECOUP_SANDBOX_SWIFTPAY_URL: 'http://127.0.0.1:9',
  RECOUP_SANDBOX_SWIFTPAY_HMAC_KEY: 'bench',
};

export function benchProfiles(adjust: (document: Document) => void = () => undefined) {
  const text = readFileSync('examples/channels.yaml', 'utf8');
  return loadProfiles(text).map(({ profile, document }) => {
    const copy = structuredClone(document) as Document;
    const banks = Object.keys(copy['banks'] as object);
    copy['banks'] = Object.fromEntries(banks.map((bank) => [bank, bankLimits]));
    copy['limits'] = { per_transaction_min_minor: 100, per_transaction_max_minor: 5_000_000 };
    // Its wait for a connection counts, and in the benchmark there is a queue for them.
    copy['timeouts'] = { charge_ms: 30_000, query_ms: 10_000, close_ms: 10_000 };
    copy['tier'] = { swiftpay: 1, unionlink: 2, oldbank: 3 }[String(profile.id)] ?? 4;
    adjust(copy);
    return copy;
  });
}

/** Three channels to choose from; any answer comes from `inProcess`. */
export function inProcessProfiles(): Document[] {
  const [swiftpay] = benchProfiles();
  return ['bench_a', 'bench_b', 'bench_c'].map((id, index) => ({
    ...swiftpay,
    id,
    tier: index + 1,
  }));
}

/** Says yes to every charge after `ms`. */
export function inProcess(ms = channelMs): (inner: Channels) => Channels {
  let charges = 0;
  const later = async (): Promise<void> =>
    ms === 0 ? undefined : await new Promise((resolve) => setTimeout(resolve, ms));
  const calls: ChannelCalls = {
    timeoutsMs: { charge: 1_000, query: 1_000, close: 1_000 },
    charge: async () => {
      await later();
      charges += 1;
      return { kind: 'succeeded', channelRef: `REF${charges}` };
    },
    query: async () => ({ kind: 'unknown', why: 'timeout', detail: 'never asked' }),
  };
  return () => ({ get: () => calls });
}

/** Knows every order it is asked about, and has executed it. */
export function answering(): (inner: Channels) => Channels {
  const usual = inProcess()({ get: () => undefined });
  return () => ({
    get: (id) => {
      const calls = usual.get(id);
      if (calls === undefined) return undefined;
      return {
        ...calls,
        query: async ({ orderNo }) => ({ kind: 'succeeded', channelRef: `REF${orderNo}` }),
      };
    },
  });
}

/** As `inProcess`, but for the channels that hang: those never answer while the benchmark runs. */
export function hangingBeside(hangs: (id: string) => boolean): (inner: Channels) => Channels {
  const usual = inProcess()({ get: () => undefined });
  const hour = 3_600_000;
  const calls: ChannelCalls = {
    timeoutsMs: { charge: 1_000, query: 1_000, close: 1_000 },
    charge: async () =>
      await new Promise((resolve) => {
        const answer = { kind: 'unknown', why: 'timeout', detail: 'hung' } as const;
        setTimeout(resolve, hour, answer).unref();
      }),
    query: async () => ({ kind: 'unknown', why: 'timeout', detail: 'never asked' }),
  };
  return () => ({ get: (id) => (hangs(id) ? calls : usual.get(id)) });
}

/** A process of Recoup over these channels, in this process. */
export async function openRecoup(
  documents: readonly Document[],
  wrappers: Wrappers,
  options: { env?: Record<string, string>; config?: Partial<Config> } = {},
): Promise<Services> {
  const { env = deafEnvironment, config = {} } = options;
  const services = compose({
    config: { ...loadConfig(process.env), ...config },
    env: { ...process.env, ...env },
    log: createLog('error', { part: 'bench' }),
    wrappers,
  });
  await services.channelStore.save(
    documents.map((document) => ({
      channelId: String(document['id']) as never,
      profileJson: JSON.stringify(document),
    })),
    Date.now(),
  );
  await services.directory.refresh();
  return services;
}
