import { zoneOffsetMs } from '../business-date.js';

const dayMs = 86_400_000;

/** When a business date begins, ms since the epoch. */
export function dayBeginsMs(date: string, zone: string): number {
  const midnightMs = Date.parse(`${date}T00:00:00Z`);
  // The offset at that midnight, not at UTC's: they differ where the clock is changed.
  const guessMs = midnightMs - zoneOffsetMs(midnightMs, zone);
  return midnightMs - zoneOffsetMs(guessMs, zone);
}

export const dayAfter = (date: string, days = 1): string =>
  new Date(Date.parse(`${date}T00:00:00Z`) + days * dayMs).toISOString().slice(0, 10);
