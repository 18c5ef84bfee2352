/** Which fault comes when: drawn from a seed, before anything is started. Pure. */

export const faultKinds = [
  'worker_kill',
  'worker_stop',
  'database_kill',
  'redis_kill',
  'redis_flush',
  'cut_commit',
  'lost_commit',
  'cut_connections',
  'slow_connections',
  'half_close',
  'read_only',
  'redis_full',
  'disk_full',
] as const;

export type FaultKind = (typeof faultKinds)[number];

export interface PlannedFault {
  readonly kind: FaultKind;
  /** After the start of the faults. */
  readonly atMs: number;
  /** How long it lasts: stopped, down, slow, full; a commit cut waits at most so long for a commit. */
  readonly forMs: number;
  /** 0 up to 1: which worker, which form. */
  readonly draw: number;
}

interface Dose {
  /** In five minutes: fewer and the run proves too little. */
  readonly required: number;
  readonly planned: number;
  readonly forMs: readonly [min: number, max: number];
}

/** Of a stop: longer than the lease of the workers and a second more. */
export const stopMinMs = 6_500;

/**
 * What is minutes in production, for a run of minutes. The lease covers the longest call of
 * `examples/channels.demo.yaml` (2 s) and the executor's margin (2 s), with a hundredth for drift, and
 * no more. A sweep that comes while a dead worker's lease still holds waits for it and comes again.
 */
export const chaosTimes = {
  RECOUP_LOCK_LEASE_MS: '4100',
  RECOUP_COMPENSATOR_INTERVAL_MS: '500',
  RECOUP_COMPENSATOR_AGE_MS: '1000',
  RECOUP_BATCH_CLAIM_MS: '8000',
  RECOUP_LEDGER_CONFIRM_MS: '5000',
} as const;

const doses: Readonly<Record<FaultKind, Dose>> = {
  worker_kill: { required: 30, planned: 36, forMs: [100, 1_000] },
  worker_stop: { required: 20, planned: 24, forMs: [stopMinMs, 9_000] },
  database_kill: { required: 5, planned: 6, forMs: [100, 1_500] },
  redis_kill: { required: 5, planned: 6, forMs: [100, 3_000] },
  redis_flush: { required: 5, planned: 7, forMs: [0, 0] },
  cut_commit: { required: 20, planned: 32, forMs: [10_000, 10_000] },
  lost_commit: { required: 5, planned: 8, forMs: [10_000, 10_000] },
  cut_connections: { required: 5, planned: 10, forMs: [0, 0] },
  slow_connections: { required: 5, planned: 8, forMs: [2_000, 5_000] },
  half_close: { required: 5, planned: 8, forMs: [0, 0] },
  read_only: { required: 2, planned: 4, forMs: [500, 2_000] },
  redis_full: { required: 3, planned: 5, forMs: [1_000, 4_000] },
  // It strikes when the largest file of the server wants to grow; only a small load grows none in a minute.
  disk_full: { required: 1, planned: 3, forMs: [1_000, 3_000] },
};

const fiveMinutes = 300_000;

export type FaultCounts = Readonly<Record<FaultKind, number>>;

/** What a run of this length must have injected, at the least. */
export function required(durationMs: number, only: readonly FaultKind[] = faultKinds): FaultCounts {
  return counted((kind) =>
    only.includes(kind) ? Math.floor((doses[kind].required * durationMs) / fiveMinutes) : 0,
  );
}

/** One of each at least; spread over the time, at a drawn moment of each part of it. */
export function plan(
  seed: string,
  durationMs: number,
  only: readonly FaultKind[] = faultKinds,
): readonly PlannedFault[] {
  const draw = chance(seed);
  return only
    .flatMap((kind) => {
      const { planned, forMs: times } = doses[kind];
      const count = Math.max(1, Math.round((planned * durationMs) / fiveMinutes));
      const [min, max] = times;
      return Array.from({ length: count }, (_, at): PlannedFault => {
        const forMs = Math.round(min + (max - min) * draw());
        // What is begun must have its time before the faults end.
        const span = Math.max(0, durationMs - (kind === 'worker_stop' ? max : 0));
        return { kind, atMs: Math.round((span * (at + draw())) / count), forMs, draw: draw() };
      });
    })
    .sort((a, b) => a.atMs - b.atMs);
}

export function counted(count: (kind: FaultKind) => number): FaultCounts {
  return Object.fromEntries(
    faultKinds.map((kind) => [kind, count(kind)]),
  ) as unknown as FaultCounts;
}

/** A stream of numbers from 0 up to 1, the same for the same seed. */
export function chance(seed: string): () => number {
  let state = 0x811c9dc5;
  for (const sign of seed) state = Math.imul(state ^ (sign.codePointAt(0) ?? 0), 0x01000193);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
