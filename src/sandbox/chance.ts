import { hash } from 'node:crypto';

/**
 * Chance that repeats: a number in [0, 1) that is a function of its parts alone, so that two runs
 * with the same seed draw the same numbers however the requests are interleaved.
 */
export function chance(...parts: readonly (string | number)[]): number {
  return Number.parseInt(hash('sha256', parts.join('\u0000'), 'hex').slice(0, 12), 16) / 2 ** 48;
}

/** A whole number between min and max, skewed towards min as latencies are. */
export function chanceBetween(
  [min, max]: readonly [number, number],
  ...parts: readonly (string | number)[]
): number {
  return Math.round(min + (max - min) * chance(...parts) ** 2);
}
