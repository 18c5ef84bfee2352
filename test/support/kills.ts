/** Which places to be killed at share a process, and what none of them may leave behind. */
import { selectRows } from '../../src/store/database.js';
import type { TestEnvironment } from './environment.js';

const inFlight = (place: string): boolean => place.startsWith('during ');

/**
 * One with a request in flight in each process, so that it is killed while the channel has that, and
 * the others spread over them.
 */
export function shareOut(places: readonly string[]): readonly (readonly string[])[] {
  const last = places.filter(inFlight);
  const others = places.filter((place) => !inFlight(place));
  const processes = Math.max(1, last.length);
  return Array.from({ length: processes }, (_, nth) => [
    ...others.filter((_place, at) => at % processes === nth),
    ...last.slice(nth, nth + 1),
  ]);
}

/** Orders that a party has booked and no log knows of: sent before the intent was committed (rule 1). */
export async function unannounced({
  owner,
  sandbox,
  parties,
}: TestEnvironment): Promise<readonly string[]> {
  const rows = await selectRows<{ no: string }>(owner, 'SELECT order_no AS no FROM attempt');
  const known = new Set(rows.map(({ no }) => no));
  const books = await Promise.all([sandbox, ...Object.values(parties)].map((one) => one.book()));
  return books.flat().flatMap(({ orderNo }) => (known.has(orderNo) ? [] : [orderNo]));
}
