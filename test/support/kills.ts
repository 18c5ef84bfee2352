/** Which places to be killed at share a process. */

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
