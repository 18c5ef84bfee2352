import { businessDate } from '../business-date.js';
import { parseProfile } from '../channels/load-profiles.js';
import { openChannel, type Environment } from '../channels/open-channel.js';
import type { ChannelProfile } from '../channels/profile.js';
import { leaseMarginMs } from '../composition/surroundings.js';
import type { Config } from '../config.js';
import { RecoupError } from '../errors.js';
import type { ChannelStore, StoredProfile } from '../store/channels.js';
import { fail, ok, warn, type Finding } from './doctor-finding.js';

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

const sampledDays = 7;

/**
 * Rule 13: a reference with the form of a card number is kept as its digest, by which no channel finds
 * its payment. Where its references are numbers that is no accident: refund after refund ends in a case.
 */
export async function checkReferences(
  store: ChannelStore,
  zone: string,
  nowMs = Date.now(),
): Promise<Finding[]> {
  const profiles = (await store.all()).map((one) => parseProfile(JSON.parse(one.profileJson)));
  const naming = profiles.filter((one) => namesReferences(one) && !one.numeric_references);
  const dates = Array.from({ length: sampledDays }, (_, days) =>
    businessDate(nowMs - days * 86_400_000, zone),
  );
  const findings = await Promise.all(
    naming.map(async ({ id }) => {
      const { seen, digests, numbers } = await store.references(id, dates);
      if (digests + numbers === 0) return [];
      const detail =
        `of ${seen} references of this week ${digests} looked like somebody's number and are kept ` +
        `as digests, which cannot be undone at the channel; ${numbers} more are long numbers`;
      const action =
        'If its own references are numbers, import its profile with `numeric_references: true`.';
      return [warn(`channel ${id}`, detail, action)];
    }),
  );
  return findings.flat();
}

/** What undoes an order names it by the channel's reference. */
const namesReferences = ({ can_refund, operations }: ChannelProfile): boolean =>
  can_refund || operations.some((one) => one === 'void' || one === 'restore');

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
