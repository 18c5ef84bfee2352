import { operationProblems, payoutNature } from './operation-problems.js';
import { isRouted, payoutTermsOf, type ChannelProfile } from './profile.js';

/**
 * What the schema cannot see: settings that contradict each other, or that would lose or double
 * money however correct the rest is.
 */
export interface ProfileProblem {
  readonly path: readonly (string | number)[];
  readonly message: string;
  /** The name of the field is the trouble, not its value. */
  readonly onKey?: boolean;
}

export function profileProblems(profile: ChannelProfile): readonly ProfileProblem[] {
  return [
    ...codeProblems(profile),
    ...natureProblems(profile),
    ...operationProblems(profile),
    ...secretProblems(profile),
    ...limitProblems(profile),
    ...maintenanceProblems(profile),
  ];
}

/** Things that happen to a request on its way. No channel answers with them. */
const transportWords =
  /^http_?5(xx|\d\d)$|^5xx$|^(e?conn|connection|socket|network|dns|tls|und_err)|^e(pipe|timedout|hostunreach|notfound|ai_again)$|^(unknown|taken_over|not_sent|lost|no_(answer|response|reply)|(bad|half|garbled|empty)_(response|answer|reply|signature)|server_error|unlisted(_code)?|throttled|rate_limited|http_?429|default|other|\*)$/i;
const timeOutWords = /time[d_\s-]{0,3}out/i;
const duplicateWords =
  /dup(licate|lication|e)?(?![a-z])|already_(exists|processed)|repeat(ed)?_order/i;

/** Codes on which an order may be taken for dead, and another one placed elsewhere. */
const definite = new Set(['declined', 'not_found', 'closed']);

function* codeProblems({ error_codes }: ChannelProfile): Generator<ProfileProblem> {
  for (const [code, meaning] of Object.entries(error_codes)) {
    if (meaning.reply === 'unknown') continue;
    const path = ['error_codes', code];
    const retries = definite.has(meaning.reply) || meaning.reply === 'succeeded';
    if (timeOutWords.test(code) && retries) {
      yield {
        path,
        onKey: true,
        message: `${code}: a time-out is not an answer; the order may have been executed (rule 2)`,
      };
    } else if (transportWords.test(code)) {
      yield {
        path,
        onKey: true,
        message: `${code} is something that happens to a request, not a code a channel signs: it always means unknown (rule 2)`,
      };
    } else if (duplicateWords.test(code) && definite.has(meaning.reply)) {
      yield {
        path,
        onKey: true,
        message: `${code}: a refused duplicate says that there is a first order, not what became of it: map it to unknown (rule 3)`,
      };
    }
  }
}

function* natureProblems(profile: ChannelProfile): Generator<ProfileProblem> {
  const { nature, timeouts, error_codes, mode } = profile;
  const replies = new Set(Object.values(error_codes).map(({ reply }) => reply));
  const path = ['error_codes'];
  if (!replies.has('succeeded')) yield { path, onKey: true, message: 'no code means succeeded' };
  if (!replies.has('not_found')) {
    yield {
      path,
      onKey: true,
      message: 'no code means not_found: a lost order would never be noticed',
    };
  }
  if (mode === 'async' && !replies.has('pending')) {
    yield { path, onKey: true, message: 'mode is async, but no code means pending' };
  }
  const proofs = [nature.close_proof, payoutNature(profile)?.closeProof];
  if (proofs.includes('refuses_unseen') && !replies.has('closed')) {
    yield {
      path,
      onKey: true,
      message:
        'close_proof is refuses_unseen, but no code means closed: no close could be confirmed',
    };
  }
  if (!proofs.includes('refuses_unseen') && replies.has('closed')) {
    yield {
      path: ['nature', 'close_proof'],
      message: 'a code means closed, but close_proof is none: what does a closed order prove?',
    };
  }
  if (nature.order_ttl_ms < timeouts.charge_ms) {
    yield {
      path: ['nature', 'order_ttl_ms'],
      message: `an order would expire before the call that places it ends (charge_ms ${timeouts.charge_ms})`,
    };
  }
  const asksFor = nature.poll_schedule_ms.reduce((sum, pause) => sum + pause, 0);
  const needed = nature.order_ttl_ms + nature.visibility_ms;
  if (nature.honours_expiry && asksFor < needed) {
    yield {
      path: ['nature', 'poll_schedule_ms'],
      message: `the schedule ends after ${asksFor} ms, before a "not found" proves anything (order_ttl_ms + visibility_ms = ${needed} ms)`,
    };
  }
}

function* secretProblems({ adapter, secrets }: ChannelProfile): Generator<ProfileProblem> {
  const { channel_keys: pinned, ...named } = secrets;
  const theirs = adapter === 'json_hmac' ? 'hmac_key_env' : 'channel_public_key_env';
  const needed = adapter === 'json_hmac' ? [theirs] : ['private_key_env', theirs];
  for (const name of needed as (keyof typeof named)[]) {
    const has = named[name] !== undefined && named[name] !== '';
    if (!has && !(name === theirs && pinned !== undefined)) {
      yield { path: ['secrets'], onKey: true, message: `${adapter} needs secrets.${name}` };
    } else if (has && name === theirs && pinned !== undefined) {
      const message = `either ${theirs} or channel_keys: which of them is the channel's key?`;
      yield { path: ['secrets', name], message };
    }
  }
  const serials = (pinned ?? []).map(({ serial }) => serial);
  if (new Set(serials).size < serials.length) {
    yield { path: ['secrets', 'channel_keys'], message: 'two keys have the same serial' };
  }
  if (adapter !== 'json_hmac' && named.callback_key_env !== undefined) {
    const message = `${adapter} has no sealed callbacks`;
    yield { path: ['secrets', 'callback_key_env'], message };
  }
  for (const [name, value] of Object.entries(named)) {
    if (value !== undefined) yield* envNameProblem(['secrets', name], value);
  }
  for (const [index, { key_env }] of (pinned ?? []).entries()) {
    yield* envNameProblem(['secrets', 'channel_keys', index, 'key_env'], key_env);
  }
}

function* envNameProblem(path: ProfileProblem['path'], value: string): Generator<ProfileProblem> {
  if (value === '' || /^[A-Z][A-Z0-9_]*$/.test(value)) return;
  // Not quoted: it may be the secret itself.
  const message =
    'it names an environment variable (capital letters, digits and _), never the secret';
  yield { path, message };
}

function above(one: bigint | undefined, other: bigint | undefined): boolean {
  return one !== undefined && other !== undefined && one > other;
}

function* limitProblems(profile: ChannelProfile): Generator<ProfileProblem> {
  yield* limitsProblems(profile, []);
  if (profile.payouts !== undefined) yield* limitsProblems(payoutTermsOf(profile), ['payouts']);
  if (isRouted(profile) && Object.keys(profile.banks).length === 0) {
    yield { path: ['banks'], onKey: true, message: 'it supports no bank' };
  }
}

type Limited = Pick<ChannelProfile, 'limits' | 'banks' | 'fees'>;

function* limitsProblems(
  { limits, banks, fees }: Limited,
  under: ProfileProblem['path'],
): Generator<ProfileProblem> {
  const { per_transaction_min_minor: min, per_transaction_max_minor: max } = limits;
  const daily = limits.daily_max_minor;
  if (above(min, max)) {
    const message = `above per_transaction_max_minor (${max})`;
    yield { path: [...under, 'limits', 'per_transaction_min_minor'], message };
  }
  if (above(max, daily)) {
    const message = `above daily_max_minor (${daily})`;
    yield { path: [...under, 'limits', 'per_transaction_max_minor'], message };
  }
  if (above(fees.flat_minor, fees.max_minor)) {
    const message = `above max_minor (${fees.max_minor})`;
    yield { path: [...under, 'fees', 'flat_minor'], message };
  }
  for (const [bank, own] of Object.entries(banks)) {
    const path = [...under, 'banks', bank, 'per_transaction_max_minor'];
    const ownMax = own.per_transaction_max_minor;
    if (above(ownMax, max)) yield { path, message: `above the channel's own limit (${max})` };
    if (above(min, ownMax)) yield { path, message: `below the channel's minimum (${min})` };
    if (above(ownMax, own.daily_max_minor)) {
      yield { path, message: `above the bank's daily_max_minor (${own.daily_max_minor})` };
    }
    if (above(own.daily_max_minor, daily)) {
      const message = `above the channel's own limit (${daily})`;
      yield { path: [...under, 'banks', bank, 'daily_max_minor'], message };
    }
  }
}

function* maintenanceProblems({ maintenance }: ChannelProfile): Generator<ProfileProblem> {
  for (const [index, { from, to, zone }] of maintenance.entries()) {
    if (from === to) {
      const message = 'from and to are the same: all day, or never? Use `paused` for all day';
      yield { path: ['maintenance', index, 'to'], message };
    }
    if (!isZone(zone)) {
      yield { path: ['maintenance', index, 'zone'], message: `${zone} is not a time zone` };
    }
  }
}

function isZone(zone: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: zone }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}
