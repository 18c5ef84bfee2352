/** Ends every switch over a union: a new member then does not compile until it is handled. */
export function assertNever(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`);
}

/** For what can only be a bug of ours. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (condition === false || condition === null || condition === undefined) {
    throw new Error(`invariant broken: ${message}`);
  }
}
