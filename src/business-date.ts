/**
 * Business dates and zone offsets. The database holds UTC and knows no named zones, so
 * "today" is computed here, and only here.
 */
const dayMs = 86_400_000;

/**
 * Every change of a zone's offset since 1973 falls on a whole quarter of an hour UTC, so an offset
 * holds for the quarter it was read in. Asking Intl costs about 10 µs; remembering costs nothing.
 */
const quarterMs = 900_000;

interface ZoneMemory {
  readonly format: Intl.DateTimeFormat;
  quarter: number;
  offsetMs: number;
  /** The day that was asked for last, by the wall clock, and its date. */
  day: number;
  date: string;
}

/** Bounded by the number of zone names that Intl accepts. */
const memories = new Map<string, ZoneMemory>();

const defaultZone = 'Asia/Shanghai';

/**
 * What must be added to UTC to get the zone's wall clock, ms. The result depends on nothing but the
 * arguments; what is remembered only saves time.
 *
 * @throws RangeError when the zone is not known.
 */
export function zoneOffsetMs(nowMs: number, zone: string): number {
  return offsetFrom(memoryOf(zone), nowMs);
}

function memoryOf(zone: string): ZoneMemory {
  let memory = memories.get(zone);
  if (memory === undefined) {
    const nothing = { quarter: Number.NaN, offsetMs: 0, day: Number.NaN, date: '' };
    memory = { format: wallClockFormat(zone), ...nothing };
    memories.set(zone, memory);
  }
  return memory;
}

function offsetFrom(memory: ZoneMemory, nowMs: number): number {
  const quarter = Math.floor(nowMs / quarterMs);
  if (memory.quarter !== quarter) {
    memory.offsetMs = readOffsetMs(memory.format, quarter * quarterMs);
    memory.quarter = quarter;
  }
  return memory.offsetMs;
}

/** Milliseconds since the zone's midnight by its wall clock, 0 to 86,399,999. */
export function timeOfDayMs(nowMs: number, zone: string): number {
  const wallMs = nowMs + zoneOffsetMs(nowMs, zone);
  return wallMs - Math.floor(wallMs / dayMs) * dayMs;
}

/**
 * The date of business at an instant, `2026-03-01`: what daily limits and due dates are counted by.
 *
 * @throws RangeError when the zone is not known.
 */
export function businessDate(nowMs: number, zone: string = defaultZone): string {
  const memory = memoryOf(zone);
  const day = Math.floor((nowMs + offsetFrom(memory, nowMs)) / dayMs);
  if (memory.day !== day) {
    memory.date = new Date(day * dayMs).toISOString().slice(0, 10);
    memory.day = day;
  }
  return memory.date;
}

function wallClockFormat(zone: string): Intl.DateTimeFormat {
  return new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    calendar: 'gregory',
    numberingSystem: 'latn',
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
}

function readOffsetMs(format: Intl.DateTimeFormat, atMs: number): number {
  const read: Partial<Record<Intl.DateTimeFormatPartTypes, number>> = {};
  for (const part of format.formatToParts(atMs)) read[part.type] = Number(part.value);
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = read;
  return Date.UTC(year, month - 1, day, hour, minute, second) - atMs;
}
