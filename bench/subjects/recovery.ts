/**
 * `victim`: starts deductions at a channel that does not answer, to be killed meanwhile. `rescuer`: what
 * the compensator of another process does about them; the channel then says that all of them succeeded.
 */
import { selectRows } from '../../src/store/database.js';
import { answering, hangingBeside, inProcessProfiles, openRecoup } from '../channels.js';
import { registered, requestFor } from '../due.js';
import { lanes, serve, type Subject } from '../subject.js';

/** The usual age is three minutes; here what was left is looked for at once. */
const ageMs = 1_000;
/** Within that lease. */
const shortTimeouts = { charge_ms: 1_000, query_ms: 1_000, close_ms: 1_000 };
/** What the dead process had locked stays so for this long; usually far less than that age. */
const lockLeaseMs = 5_000;

async function open(): Promise<Subject> {
  const victim = process.argv[2] === 'victim';
  const services = await openRecoup(
    inProcessProfiles().map((one) => ({ ...one, timeouts: shortTimeouts })),
    { channels: victim ? hangingBeside(() => true) : answering() },
    { config: { compensatorAgeMs: ageMs, lockLeaseMs } },
  );
  return {
    async prepare(load) {
      const due = victim ? await registered(services.repayments, load.count) : [];
      return {
        run: async () => {
          if (!victim) return await rescue();
          return await lanes(load, async (index) => {
            const repayment = due[index];
            if (repayment === undefined) throw new Error('too few repayments');
            // Never resolves: the process is killed before.
            await (
              await services.desk.start(requestFor(repayment), repayment)
            ).finished;
            return 0;
          });
        },
      };
    },
    close: async () => await services.close(),
  };

  async function rescue(): Promise<Float64Array> {
    const beganMs = performance.now();
    for (;;) {
      await services.compensator.runOnce();
      const [left] = await selectRows<{ n: number }>(
        services.database,
        'SELECT COUNT(*) AS n FROM in_flight',
      );
      if (Number(left?.n) === 0) return Float64Array.of(performance.now() - beganMs);
      await services.clock.sleep(50);
    }
  }
}

await serve(open);
