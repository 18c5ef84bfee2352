/**
 * Complete deductions as a batch starts them: desk, router, lock, executor, journal. The channel is in
 * this process and answers after a few milliseconds, or is the HTTP sandbox (`sandbox`).
 */
import type { Channels } from '../../src/engine/ports.js';
import { benchProfiles, channelMs, inProcess, inProcessProfiles, openRecoup } from '../channels.js';
import { registered, requestFor } from '../due.js';
import { lanes, serve, type Subject } from '../subject.js';
import { SandboxProcess } from '../../test/sandbox/sandbox-process.js';

async function open(): Promise<Subject> {
  const sandbox =
    process.argv[2] === 'sandbox' ? await SandboxProcess.start({ latencyScale: 0 }) : null;
  const timed = new TimedChannels();
  const services =
    sandbox === null
      ? await openRecoup(inProcessProfiles(), { channels: inProcess() })
      : await openRecoup(
          benchProfiles(),
          { channels: (inner) => timed.around(inner) },
          { env: { ...sandbox.ready.env } },
        );
  // Where a port is set for them: to see what they cost.
  await services.metrics?.listen();
  return {
    async prepare(load) {
      const due = await registered(services.repayments, load.count);
      return {
        run: async () =>
          await lanes(load, async (index) => {
            const repayment = due[index];
            if (repayment === undefined) throw new Error('too few repayments');
            const beganMs = performance.now();
            const { finished } = await services.desk.start(requestFor(repayment), repayment);
            const { state } = await finished;
            if (state?.end?.kind !== 'succeeded') throw new Error('a deduction did not succeed');
            const tookMs = performance.now() - beganMs;
            return tookMs - (sandbox === null ? channelMs : timed.take(repayment.account.token));
          }),
      };
    },
    async close() {
      await services.close();
      await sandbox?.stop();
    },
  };
}

/** Notes what each charge took, so that it can be left out of the engine's latency. */
class TimedChannels {
  readonly #tookMs = new Map<string, number>();

  around(inner: Channels): Channels {
    return {
      get: (id) => {
        const calls = inner.get(id);
        if (calls === undefined) return undefined;
        return {
          ...calls,
          charge: async (order) => {
            const beganMs = performance.now();
            const answer = await calls.charge(order);
            this.#tookMs.set(order.account.token, performance.now() - beganMs);
            return answer;
          },
        };
      },
    };
  }

  take(token: string): number {
    const tookMs = this.#tookMs.get(token) ?? 0;
    this.#tookMs.delete(token);
    return tookMs;
  }
}

await serve(open);
