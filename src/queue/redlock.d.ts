/** redlock 4 ships no types of its own that fit ioredis 6; this is the part we use. */
declare module 'redlock' {
  import type { EventEmitter } from 'node:events';

  export interface Lock {
    readonly resource: string | string[];
    extend(ttlMs: number): Promise<Lock>;
    unlock(): Promise<void>;
  }

  export default class Redlock extends EventEmitter {
    constructor(
      clients: readonly unknown[],
      options: {
        retryCount: number;
        retryDelay?: number;
        retryJitter?: number;
        driftFactor?: number;
      },
    );
    lock(resource: string, ttlMs: number): Promise<Lock>;
  }
}
