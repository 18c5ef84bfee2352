import type { KeyObject } from 'node:crypto';

/**
 * The keys a channel signs with. A message may choose among those that the profile pins, by serial,
 * and nothing else: neither a key nor an algorithm is ever taken from a message. Two serials at once
 * let a channel change its key without a gap.
 */
export interface ChannelKeys {
  /** Null: no key is pinned under this serial, or the message must name one and does not. */
  readonly find: (serial: string | null) => KeyObject | null;
  /** The first of them: where the secret is shared, ours to sign with as well. */
  readonly first: { readonly serial: string | null; readonly key: KeyObject };
}

/** One key, with no serial: what a message says of serials is not looked at. */
export const soleKey = (key: KeyObject): ChannelKeys => ({
  find: () => key,
  first: { serial: null, key },
});

export function pinnedKeys(
  first: { readonly serial: string; readonly key: KeyObject },
  ...others: readonly { readonly serial: string; readonly key: KeyObject }[]
): ChannelKeys {
  const bySerial = new Map([first, ...others].map(({ serial, key }) => [serial, key]));
  return { find: (serial) => (serial === null ? null : (bySerial.get(serial) ?? null)), first };
}
