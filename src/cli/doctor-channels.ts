import { parseProfile } from '../channels/load-profiles.js';
import { openChannel, type Environment } from '../channels/open-channel.js';
import type { Config } from '../config.js';
import { RecoupError } from '../errors.js';
import type { ChannelStore, StoredProfile } from '../store/channels.js';
import { fail, ok, warn, type Finding } from './doctor-finding.js';

/** Lease that must be left beyond the longest call (composition-root.ts). */
const leaseMarginMs = 2_000;

export async function checkChannels(store: ChannelStore, env: Environment): Promise<Finding[]> {
  const stored = await store.all();
  if (stored.length === 0) {
    const action = 'Run `recoup channels import FILE`, such as examples/channels.yaml.';
    return [fail('channels', 'there are none', action)];
  }
  return (await Promise.all(stored.map((one) => checkChannel(one, env)))).flat();
}

async function checkChannel(stored: StoredProfile, env: Environment): Promise<Finding[]> {
  const name = `channel ${stored.channelId}`;
  try {
    const profile = parseProfile(JSON.parse(stored.profileJson));
    const { shutDown } = openChannel(profile, env);
    await shutDown();
    const paused = stored.paused || profile.paused;
    if (!paused) return [ok(name, 'address and secrets are there')];
    return [warn(name, 'paused', `Run \`recoup channels resume ${stored.channelId}\` when due.`)];
  } catch (error) {
    if (!(error instanceof RecoupError)) throw error;
    const problems = (error.details['problems'] ?? []) as readonly {
      variable?: string;
      path?: string;
      message: string;
    }[];
    return problems.map(({ variable, path, message }) =>
      fail(name, `${variable ?? path ?? ''} ${message}`, 'Set it, or import the channel again.'),
    );
  }
}

/** Rule 7: a call may only be made while the lease outlasts it. */
export async function checkLease(store: ChannelStore, config: Config): Promise<Finding[]> {
  const calls = (await store.all()).flatMap(({ profileJson }) => {
    const { charge_ms, query_ms, close_ms } = parseProfile(JSON.parse(profileJson)).timeouts;
    return [charge_ms, query_ms, close_ms];
  });
  const neededMs = Math.max(0, ...calls) + leaseMarginMs;
  const { lockLeaseMs, compensatorAgeMs } = config;
  const detail = `${lockLeaseMs} ms; the longest call needs ${neededMs} ms`;
  const findings: Finding[] = [
    lockLeaseMs >= neededMs
      ? ok('lease', detail)
      : fail('lease', detail, `Set RECOUP_LOCK_LEASE_MS to at least ${neededMs}.`),
  ];
  if (compensatorAgeMs < lockLeaseMs) {
    findings.push(
      warn(
        'compensator',
        `comes after ${compensatorAgeMs} ms, while a dead process's lock lasts ${lockLeaseMs} ms`,
        'Set RECOUP_COMPENSATOR_AGE_MS above RECOUP_LOCK_LEASE_MS, or sweeps find records in use.',
      ),
    );
  }
  return findings;
}
