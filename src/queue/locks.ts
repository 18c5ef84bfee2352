import type { Redis } from 'ioredis';
import Redlock, { type Lock } from 'redlock';
import type { Clock } from '../clock.js';
import type { Lease, Locks, Log } from '../engine/ports.js';

/** What a lease may be shorter by than we think: clock drift, as redlock reckons it. */
const driftFactor = 0.01;
const retryMs = 100;

/**
 * One redlock a record (rule 7). It saves calls; it does not keep money safe. So when Redis is away
 * a lease is granted by this process to itself: the log is the fence, and a lender whose Redis is
 * down can still collect.
 *
 * The connection must be its own and have a `commandTimeout`: a frozen Redis then looks like an
 * absent one instead of hanging the run.
 */
export class RedisLocks implements Locks {
  readonly #redlock: Redlock;
  readonly #releases = new Set<Promise<void>>();
  #clientErrors = 0;

  constructor(
    private readonly redis: Redis,
    private readonly leaseMs: number,
    private readonly clock: Clock,
    private readonly log: Log,
  ) {
    // We wait by ourselves, so that contention and absence can be told apart after each try.
    this.#redlock = new Redlock([redis], { retryCount: 0, driftFactor });
    this.#redlock.on('clientError', () => (this.#clientErrors += 1));
  }

  async acquire(key: string, waitMs: number): Promise<Lease | null> {
    const giveUpMs = this.clock.monotonicMs() + waitMs;
    for (;;) {
      const errorsBefore = this.#clientErrors;
      // Counted from before the request: the lease can only be longer than we think.
      const askedMs = this.clock.monotonicMs();
      try {
        const lock = await this.#redlock.lock(`recoup:lock:${key}`, this.leaseMs);
        return new RedisLease(lock, askedMs, this.leaseMs, this.clock, this.log, this.#releases);
      } catch {
        if (this.redis.status !== 'ready' || this.#clientErrors > errorsBefore) {
          this.log.debug('lock granted without redis', { key });
          return new OwnLease(askedMs, this.leaseMs, this.clock);
        }
      }
      if (this.clock.monotonicMs() + retryMs > giveUpMs) return null;
      await this.clock.sleep(retryMs);
    }
  }

  /** Once the releases under way are done: a lock that is left behind holds its record for a lease. */
  async close(): Promise<void> {
    await Promise.all(this.#releases);
    this.redis.disconnect();
  }
}

class RedisLease implements Lease {
  #expiresMs: number;

  constructor(
    private lock: Lock,
    askedMs: number,
    private readonly leaseMs: number,
    private readonly clock: Clock,
    private readonly log: Log,
    private readonly releases: Set<Promise<void>>,
  ) {
    this.#expiresMs = askedMs + leaseMs * (1 - driftFactor);
  }

  remainingMs(): number {
    return this.#expiresMs - this.clock.monotonicMs();
  }

  async extend(): Promise<void> {
    const askedMs = this.clock.monotonicMs();
    try {
      this.lock = await this.lock.extend(this.leaseMs);
      this.#expiresMs = askedMs + this.leaseMs * (1 - driftFactor);
    } catch (error) {
      // redlock releases a lock that it failed to extend: it is gone either way.
      this.#expiresMs = askedMs;
      this.log.debug('lease not extended', { why: String(error) });
    }
  }

  async release(): Promise<void> {
    if (this.remainingMs() <= 0) return;
    this.#expiresMs = this.clock.monotonicMs();
    // An expired or flushed lock cannot be unlocked; it will expire, or is gone.
    const released = this.lock.unlock().catch((error: unknown) => {
      this.log.debug('lock not released', { why: String(error) });
    });
    this.releases.add(released);
    await released;
    this.releases.delete(released);
  }
}

class OwnLease implements Lease {
  #expiresMs: number;

  constructor(
    askedMs: number,
    private readonly leaseMs: number,
    private readonly clock: Clock,
  ) {
    this.#expiresMs = askedMs + leaseMs;
  }

  remainingMs(): number {
    return this.#expiresMs - this.clock.monotonicMs();
  }

  async extend(): Promise<void> {
    this.#expiresMs = this.clock.monotonicMs() + this.leaseMs;
  }

  async release(): Promise<void> {
    this.#expiresMs = this.clock.monotonicMs();
  }
}
