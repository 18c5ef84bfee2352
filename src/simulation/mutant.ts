export interface Edit {
  /** Below `dist/`. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

/**
 * Seeded bugs: one safety rule or constraint each, broken in the compiled code of a private copy. A
 * `find` that does not stand in its file exactly once is an error, so that the list cannot rot.
 */
export interface Mutant extends Edit {
  readonly name: string;
  /** The rule (docs/ARCHITECTURE.md), or the table's constraint, that it breaks. */
  readonly rule: string;
  /** What would notice before the oracle can: the flow's own fence. */
  readonly also?: readonly Edit[];
  /** A test file below `dist/test/` where it takes the real stores; else the simulator. */
  readonly test?: string;
}
