/** How old, or how far ahead of our clock, a signed message may be. */
export const windowMsDefault = 300_000;

const digits = /^\d{1,16}$/;

/** A wire's timestamp in ms since the epoch; null when it is none. */
export function wireTimestamp(text: string, unit: 'ms' | 's'): number | null {
  return digits.test(text) ? Number(text) * (unit === 's' ? 1_000 : 1) : null;
}

/** Why a message of that time is refused; null when it is not. */
export function staleness(atMs: number, nowMs: number, windowMs: number): string | null {
  const awayMs = nowMs - atMs;
  if (Math.abs(awayMs) <= windowMs) return null;
  const seconds = Math.round(Math.abs(awayMs) / 1_000);
  return awayMs > 0 ? `it is ${seconds} s old` : `its time is ${seconds} s ahead of ours`;
}

export const isNonce = (text: string | null): text is string =>
  text !== null && /^[A-Za-z0-9_-]{8,64}$/.test(text);
