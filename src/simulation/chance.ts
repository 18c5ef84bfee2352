/** All chance in a simulated world comes from its seed, through the functions of this file. */

/** The finaliser of MurmurHash3 over two words: every bit of both reaches every bit of the result. */
export function mix(a: number, b: number): number {
  let hash = Math.imul(a ^ Math.imul(b, 0x9e3779b1), 0x85ebca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2ae35);
  hash ^= hash >>> 16;
  hash = Math.imul(hash ^ b, 0x27d4eb2f);
  return (hash ^ (hash >>> 15)) >>> 0;
}

/** FNV-1a. */
export function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  }
  return hash >>> 0;
}

/** A stream of chance. Streams of different seeds have nothing to do with each other. */
export class Chance {
  #state: number;

  constructor(seed: number) {
    this.#state = mix(seed, 0x51ed270b);
  }

  /** 0 up to, not including, 1. */
  fraction(): number {
    this.#state = (this.#state + 0x9e3779b9) >>> 0;
    return mix(this.#state, 0x2545f491) / 2 ** 32;
  }

  yes(share: number): boolean {
    return this.fraction() < share;
  }

  /** Whole, both ends included. */
  between(min: number, max: number): number {
    return min + Math.floor(this.fraction() * (max - min + 1));
  }

  /** Each order of magnitude is as likely as the next. */
  spread(min: number, max: number): number {
    return Math.round(min * (max / min) ** this.fraction());
  }

  pick<T>(from: readonly [T, ...T[]]): T {
    return from[Math.floor(this.fraction() * from.length)] ?? from[0];
  }
}
