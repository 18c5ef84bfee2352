import type { Services } from '../composition/root.js';

/** What the embedding gives: its channels read, its runs under way counted. */
export interface Embedding {
  readonly services: Services;
  readonly scope: string;
  readonly openChannels: () => Promise<void>;
  readonly track: (finished: Promise<unknown>) => Promise<unknown>;
}

export interface WaitOptions {
  /**
   * How long to wait for the outcome, ms. Meanwhile this process itself asks the channel when an ask
   * is due. Unless given, the call ends with the first run, which never outlasts a channel's time-out.
   */
  readonly waitMs?: number;
}
