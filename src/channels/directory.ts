import type { Clock } from '../clock.js';
import type { Channels, Log } from '../engine/ports.js';
import type { ChannelId } from '../ids.js';
import type { CallRecorder } from './call-record.js';
import type { Channel } from './channel.js';
import { parseProfile } from './load-profiles.js';
import type { ChannelObserver } from './observed.js';
import { openChannel, type Environment, type OpenChannel } from './open-channel.js';
import type { ChannelProfile } from './profile.js';

/** Where the profiles are kept. `store/` provides it. */
export interface ProfileSource {
  all(): Promise<
    readonly {
      readonly channelId: ChannelId;
      readonly profileJson: string;
      readonly paused: boolean;
    }[]
  >;
}

interface Entry extends OpenChannel {
  readonly profileJson: string;
  paused: boolean;
}

/** Calls under way on a channel that was replaced may still end. */
const graceMs = 60_000;

/**
 * The open channels of this process. `refresh` takes over what was imported, paused or removed
 * meanwhile. A channel that cannot be opened (a secret is missing) is left out and said so; the
 * others go on.
 */
export class ChannelDirectory implements Channels {
  readonly #open = new Map<ChannelId, Entry>();
  readonly #complained = new Set<string>();
  #revision = 0;

  constructor(
    private readonly source: ProfileSource,
    private readonly env: Environment,
    private readonly observer: ChannelObserver,
    private readonly clock: Clock,
    private readonly log: Log,
    /** The longest a call may take: the lease must cover it. Longer, and no call would be made. */
    private readonly callMsMax: number,
    private readonly recorder?: CallRecorder,
  ) {}

  get(id: ChannelId): Channel | undefined {
    return this.#open.get(id)?.channel;
  }

  /** Rises whenever `profiles` changes. */
  get revision(): number {
    return this.#revision;
  }

  profiles(): readonly ChannelProfile[] {
    return [...this.#open.values()].map(({ channel, paused }) => ({
      ...channel.profile,
      paused: paused || channel.profile.paused,
    }));
  }

  async refresh(): Promise<void> {
    const stored = await this.source.all();
    const wanted = new Set(stored.map((one) => one.channelId));
    for (const [id, entry] of this.#open) if (!wanted.has(id)) this.#retire(id, entry);
    for (const { channelId, profileJson, paused } of stored) {
      const known = this.#open.get(channelId);
      if (known?.profileJson === profileJson) {
        if (known.paused !== paused) this.#revision += 1;
        known.paused = paused;
        continue;
      }
      const opened = this.#tryOpen(channelId, profileJson);
      if (opened === null) continue;
      if (known !== undefined) this.#retire(channelId, known);
      this.#open.set(channelId, { ...opened, profileJson, paused });
      this.#revision += 1;
    }
  }

  #tryOpen(channelId: ChannelId, profileJson: string): OpenChannel | null {
    try {
      const profile = parseProfile(JSON.parse(profileJson));
      const callMs = Math.max(...Object.values(profile.timeouts));
      if (callMs > this.callMsMax) {
        throw new Error(
          `a time-out of ${callMs} ms is not covered by the lock's lease: raise RECOUP_LOCK_LEASE_MS`,
        );
      }
      const { observer, clock, recorder } = this;
      return openChannel(profile, this.env, { observer, clock, ...(recorder && { recorder }) });
    } catch (error) {
      const why = String(error);
      if (!this.#complained.has(channelId + why)) {
        const { details } = error as { details?: unknown };
        this.log.error('channel not opened', { channel_id: channelId, why, details });
      }
      this.#complained.add(channelId + why);
      return null;
    }
  }

  #retire(id: ChannelId, entry: Entry): void {
    this.#open.delete(id);
    this.#revision += 1;
    setTimeout(() => void entry.shutDown(), graceMs).unref();
  }

  async close(): Promise<void> {
    await Promise.all([...this.#open.values()].map((entry) => entry.shutDown()));
    this.#open.clear();
  }
}
