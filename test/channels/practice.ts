import { readFileSync } from 'node:fs';
import type { Channel } from '../../src/channels/channel.js';
import { loadProfiles } from '../../src/channels/load-profiles.js';
import {
  openChannels,
  type Environment,
  type OpenChannel,
  type OpenChannelParts,
} from '../../src/channels/open-channel.js';
import type { ChannelProfile } from '../../src/channels/profile.js';
import type { Order } from '../../src/engine/order.js';
import { channelId, newTaskId, orderNo, type ChannelId } from '../../src/ids.js';
import { amountMinor } from '../../src/money.js';

const root = new URL('../../../', import.meta.url);

/** A channel file of the project, as text. */
export const channelFile = (path: string): string => readFileSync(new URL(path, root), 'utf8');

const profilesIn = (...files: string[]): ChannelProfile[] =>
  files.flatMap((path) => loadProfiles(channelFile(path)).map(({ profile }) => profile));

/** The demo's channels and voucherpay, as profiles. */
export const practiceProfiles = (): ChannelProfile[] =>
  profilesIn('examples/channels.demo.yaml', 'test/fixtures/channels.voucherpay.yaml');

/** The demo's card system and account service. */
export const partyProfiles = (): ChannelProfile[] => profilesIn('examples/parties.demo.yaml');

export type Change = (profile: ChannelProfile) => ChannelProfile;

/** All practice channels, opened. Close them in `after`. */
export class Practice {
  readonly #open: ReadonlyMap<ChannelId, OpenChannel>;

  constructor(
    env: Environment,
    change: Change = (profile) => profile,
    parts?: OpenChannelParts,
    profiles = practiceProfiles(),
  ) {
    this.#open = openChannels(profiles.map(change), env, parts);
  }

  channel(id: string): Channel {
    const open = this.#open.get(channelId(id));
    if (open === undefined) throw new Error(`no channel ${id}`);
    return open.channel;
  }

  async shutDown(): Promise<void> {
    await Promise.all([...this.#open.values()].map(({ shutDown }) => shutDown()));
  }
}

export function practiceOrder(channel: string, changes: Partial<Order> = {}): Order {
  const createdAtMs = Date.now();
  return {
    orderNo: orderNo(newTaskId(), 1),
    channelId: channelId(channel),
    amountMinor: amountMinor(128_050),
    currency: 'CNY',
    account: { token: 'tok_ok_1', bankCode: 'ICBC', last4: '6789' },
    createdAtMs,
    expiresAtMs: createdAtMs + 60_000,
    ...changes,
  };
}

/** An order on an account that decides its fate: `tok_insufficient_1`, `tok_ok_7`. */
export function practiceOrderOn(
  channel: string,
  token: string,
  changes: Partial<Order> = {},
): Order {
  return practiceOrder(channel, {
    account: { token, bankCode: 'ICBC', last4: '6789' },
    ...changes,
  });
}
