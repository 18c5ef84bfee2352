import { createPrivateKey, createPublicKey, createSecretKey, type KeyObject } from 'node:crypto';
import { assertNever } from '../assert.js';
import { systemClock, type Clock } from '../clock.js';
import { RecoupError } from '../errors.js';
import type { ChannelId } from '../ids.js';
import type { CallRecorder } from './call-record.js';
import type { Channel } from './channel.js';
import { coalescing, coalescingWindowMs } from './coalescing.js';
import type { Dialect, WireRequest } from './dialect.js';
import { HttpExchange } from './exchange.js';
import { formRsaDialect } from './form-rsa.js';
import { httpChannel } from './http-channel.js';
import { jsonHmacDialect } from './json-hmac.js';
import { pinnedKeys, soleKey, type ChannelKeys } from './keys.js';
import { observed, type ChannelObserver } from './observed.js';
import type { ChannelProfile } from './profile.js';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface OpenChannel {
  readonly channel: Channel;
  /** Ends its connections. Calls under way end as `unknown`, unsent ones as `not_sent`. */
  readonly shutDown: () => Promise<void>;
}

export interface OpenChannelParts {
  readonly observer?: ChannelObserver;
  readonly recorder?: CallRecorder;
  readonly clock?: Clock;
}

/** What is missing or wrong about a channel's surroundings. Never holds a value. */
export interface EnvironmentProblem {
  readonly channel: ChannelId;
  readonly variable: string;
  readonly message: string;
}

/**
 * Opens a channel with its secrets and its address from the environment.
 *
 * @throws RecoupError `config_invalid` with every missing or unusable variable in `problems`.
 */
export function openChannel(
  profile: ChannelProfile,
  env: Environment,
  { observer, recorder, clock = systemClock }: OpenChannelParts = {},
): OpenChannel {
  const found = new Found(profile.id, env);
  const baseUrl = found.url(profile.base_url);
  const dialect = openDialect(profile, found, clock);
  if (baseUrl === null || dialect === null || found.problems.length > 0) {
    throw new RecoupError('config_invalid', { problems: found.problems });
  }
  const { charge_ms, query_ms, close_ms } = profile.timeouts;
  // A quarter of the connections is for asking: a flood of charges must not keep us from learning
  // what became of them, nor a backlog of questions from charging.
  const asksMax = Math.max(1, Math.floor(profile.concurrency_max / 4));
  const timeoutMsMax = Math.max(charge_ms, query_ms, close_ms);
  const windowMs = profile.query_many_max > 1 ? coalescingWindowMs : 0;
  const exchange = new HttpExchange({
    origin: baseUrl.origin,
    asksMax,
    chargesMax: Math.max(1, profile.concurrency_max - asksMax),
    timeoutMsMax,
    asksWithinMs: timeoutMsMax - windowMs,
  });
  const under = baseUrl.pathname.replace(/\/$/, '');
  const queryMs = Math.max(1, query_ms - windowMs);
  const placed = underPath(dialect, under);
  const plain = httpChannel({ profile, dialect: placed, exchange, queryMs, recorder, clock });
  const gathered = coalescing(plain, windowMs);
  return {
    channel:
      observer === undefined ? gathered : observed(gathered, observer, () => clock.monotonicMs()),
    shutDown: () => exchange.shutDown(),
  };
}

/**
 * Opens all of them.
 *
 * @throws RecoupError `config_invalid` with the problems of all of them; then none is open.
 */
export function openChannels(
  profiles: readonly ChannelProfile[],
  env: Environment,
  parts: OpenChannelParts = {},
): ReadonlyMap<ChannelId, OpenChannel> {
  const open = new Map<ChannelId, OpenChannel>();
  const problems: unknown[] = [];
  for (const profile of profiles) {
    try {
      open.set(profile.id, openChannel(profile, env, parts));
    } catch (error) {
      if (!(error instanceof RecoupError) || error.code !== 'config_invalid') throw error;
      problems.push(...(error.details['problems'] as unknown[]));
    }
  }
  if (problems.length === 0) return open;
  for (const { shutDown } of open.values()) void shutDown();
  throw new RecoupError('config_invalid', { problems });
}

function openDialect(profile: ChannelProfile, found: Found, clock: Clock): Dialect | null {
  const { hmac_key_env, private_key_env, channel_public_key_env, callback_key_env } =
    profile.secrets;
  switch (profile.adapter) {
    case 'json_hmac': {
      const keys = openKeys(profile, found, [hmac_key_env, 'hmac_key_env'], sharedKey);
      const sealed = callback_key_env !== undefined;
      const seal = sealed ? found.key(callback_key_env, 'callback_key_env', sealKeyOf) : null;
      if (keys === null || (sealed && seal === null)) return null;
      return jsonHmacDialect(profile, keys, clock, seal);
    }
    case 'form_rsa': {
      const ours = found.key(private_key_env, 'private_key_env', (text) =>
        createPrivateKey(pemOf(text)),
      );
      const sole = [channel_public_key_env, 'channel_public_key_env'] as const;
      const theirs = openKeys(profile, found, sole, (text) => createPublicKey(pemOf(text)));
      return ours && theirs && formRsaDialect(profile, ours, theirs, clock);
    }
    default:
      return assertNever(profile.adapter);
  }
}

function openKeys(
  { secrets: { channel_keys: pinned = [] } }: ChannelProfile,
  found: Found,
  [soleName, soleField]: readonly [name: string | undefined, field: string],
  make: (text: string) => KeyObject,
): ChannelKeys | null {
  if (pinned.length === 0) {
    const key = found.key(soleName, soleField, make);
    return key && soleKey(key);
  }
  const keys = pinned.flatMap(({ serial, key_env }) => {
    const key = found.key(key_env, 'channel_keys', make);
    return key === null ? [] : [{ serial, key }];
  });
  const [first, ...others] = keys;
  return first === undefined || keys.length < pinned.length ? null : pinnedKeys(first, ...others);
}

const sharedKey = (text: string): KeyObject => createSecretKey(Buffer.from(text, 'utf8'));

/** @throws Error when it is not 32 bytes. */
function sealKeyOf(text: string): KeyObject {
  const isHex = /^[0-9a-f]{64}$/i.test(text);
  const key = Buffer.from(text, isHex ? 'hex' : 'base64');
  if (key.length !== 32) throw new RangeError('a key of AES-256 has 32 bytes');
  return createSecretKey(key);
}

/** A PEM as it is, or in base64 so that it fits one line of an environment file. */
function pemOf(text: string): string {
  return text.includes('-----BEGIN') ? text : Buffer.from(text, 'base64').toString('utf8');
}

/** Looks things up in the environment and remembers what was wrong. */
class Found {
  readonly problems: EnvironmentProblem[] = [];

  constructor(
    private readonly channel: ChannelId,
    private readonly env: Environment,
  ) {}

  url(template: string): URL | null {
    const names = [...template.matchAll(/\$\{(\w+)\}/g)].map(([, name = '']) => name);
    const missing = names.filter((name) => !this.env[name]);
    for (const name of missing) this.#problem(name, 'is not set; base_url needs it');
    if (missing.length > 0) return null;
    const text = template.replace(/\$\{(\w+)\}/g, (_, name: string) => this.env[name] ?? '');
    const url = URL.canParse(text) ? new URL(text) : null;
    if (url !== null && (url.protocol === 'http:' || url.protocol === 'https:')) return url;
    this.#problem(names[0] ?? 'base_url', 'does not make base_url an http(s) address');
    return null;
  }

  key(
    name: string | undefined,
    field: string,
    make: (text: string) => KeyObject,
  ): KeyObject | null {
    if (name === undefined) {
      this.#problem(field, `the profile names no ${field}`);
      return null;
    }
    const text = this.env[name];
    if (text === undefined || text === '') {
      this.#problem(name, 'is not set');
      return null;
    }
    try {
      return make(text);
    } catch {
      // The reason is left out: it may quote the key.
      this.#problem(name, 'is not a usable key');
      return null;
    }
  }

  #problem(variable: string, message: string): void {
    this.problems.push({ channel: this.channel, variable, message });
  }
}

function underPath(dialect: Dialect, under: string): Dialect {
  if (under === '') return dialect;
  const { place, query, close, queryMany } = dialect;
  const moved =
    <A extends unknown[]>(write: (...args: A) => WireRequest) =>
    (...args: A) => {
      const request = write(...args);
      return { ...request, path: `${under}${request.path}` };
    };
  return {
    ...dialect,
    place: moved(place),
    query: moved(query),
    close: moved(close),
    ...(queryMany && { queryMany: moved(queryMany) }),
  };
}
