/**
 * A whole process of Recoup that sends notices, and kills itself with SIGKILL at the boundary it is
 * told to. Nothing in the product knows of this: the parts are wrapped.
 */
import type { Services, Wrappers } from '../../src/composition/root.js';
import { aroundOutcome, collectOnce, type Told } from '../support/collect-once.js';

/** What lies before each is where the one above it has left off. */
export const boundaries = ['after outcome', 'after fan-out', 'after claim', 'after send'] as const;
export type Boundary = (typeof boundaries)[number];

export interface Doom extends Told {
  readonly killAt: Boundary;
}

function wrappers(doom: Doom): Wrappers {
  const around = async <T>(
    what: string,
    act: () => Promise<T>,
    counts: (result: T) => boolean = () => true,
  ): Promise<T> => {
    const result = await act();
    if (doom.killAt === `after ${what}` && counts(result)) process.kill(process.pid, 'SIGKILL');
    return result;
  };
  return {
    ...aroundOutcome((settle) => around('outcome', settle)),
    notices: {
      deliveries: (inner) => ({
        fanOut: (limit, nowMs) =>
          around(
            'fan-out',
            () => inner.fanOut(limit, nowMs),
            (found) => found > 0,
          ),
        claim: (claim) =>
          around(
            'claim',
            () => inner.claim(claim),
            (found) => found.length > 0,
          ),
        record: (...args) => around('mark', () => inner.record(...args)),
        purge: (beforeMs, limit) => inner.purge(beforeMs, limit),
      }),
      poster: (inner) => ({
        post: (request) => around('send', () => inner.post(request)),
        close: () => inner.close(),
      }),
    },
  };
}

async function send({ notices, clock }: Services): Promise<void> {
  for (let rounds = 0; rounds < 200; rounds += 1) {
    await notices.relay.tick();
    await notices.relay.idle();
    await clock.sleep(20);
  }
}

// Imported for its types and names, too.
if (process.argv[1] === import.meta.filename) await collectOnce(wrappers, send);
