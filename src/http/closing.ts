/**
 * Whether the server closes, and who is to be told so. Not an AbortSignal: with thousands who wait, each
 * would walk past all the others to listen, and again to leave.
 */
export class Closing {
  readonly #waiting = new Set<() => void>();
  #begun = false;

  get begun(): boolean {
    return this.#begun;
  }

  begin(): void {
    this.#begun = true;
    for (const tell of this.#waiting) tell();
    this.#waiting.clear();
  }

  /** @returns what to call when there is nobody to tell any more */
  listen(tell: () => void): () => void {
    this.#waiting.add(tell);
    return () => void this.#waiting.delete(tell);
  }
}
