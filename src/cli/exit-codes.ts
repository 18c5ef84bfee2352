/**
 * What `recoup` tells a script. A code never claims more than is known: an outcome that is still open
 * has a code of its own, and is neither success nor failure.
 */
export const exitCodes = {
  /** Done; for a deduction: collected. */
  done: 0,
  /** A bug of ours or of the machine's. */
  internal: 1,
  /** The command line, the file or the request is wrong; nothing was done. */
  refused: 2,
  /** The deduction ended without the money having moved. */
  failed: 3,
  /** Not known yet: under way, waiting for a person, or interrupted. Ask again. */
  open: 4,
  /** The database, Redis or every channel is out of reach for now. Repeat. */
  unavailable: 5,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];
