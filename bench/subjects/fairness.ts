/**
 * Deductions at one channel while another hangs. With the argument `hung` as many more deductions
 * stand before the hanging channel all the while; without it the other channel is alone.
 */
import { isChannelId } from '../../src/ids.js';
import { channelMs, hangingBeside, inProcessProfiles, openRecoup } from '../channels.js';
import { registered, requestFor } from '../due.js';
import { lanes, serve, type Subject } from '../subject.js';

const hungBank = 'ABC';

async function open(): Promise<Subject> {
  const hung = process.argv[2] === 'hung';
  // The hanging channel alone serves one bank, and serves no other.
  const [hanging, healthy] = inProcessProfiles();
  const services = await openRecoup(
    [
      { ...hanging, banks: { [hungBank]: {} } },
      { ...healthy, banks: { ICBC: {}, CCB: {}, BOC: {}, CMB: {}, BCM: {} } },
    ],
    { channels: hangingBeside((id) => isChannelId(id) && id === 'bench_a') },
  );
  let ending = false;
  const underWay = new Set<Promise<unknown>>();
  const keepHanging = async (count: number): Promise<void> => {
    const due = (await registered(services.repayments, count * 6))
      .filter(({ account }) => account.bankCode === hungBank)
      .slice(0, count);
    for (const repayment of due) {
      const { finished } = await services.desk.start(requestFor(repayment), repayment);
      const settled = finished.catch(() => undefined);
      underWay.add(settled);
      void settled.finally(() => underWay.delete(settled));
    }
  };
  return {
    async prepare(load) {
      if (hung && !ending && underWay.size === 0) await keepHanging(load.inFlight);
      const due = (await registered(services.repayments, Math.ceil(load.count * 1.3)))
        .filter(({ account }) => account.bankCode !== hungBank)
        .slice(0, load.count);
      return {
        run: async () =>
          await lanes({ ...load, count: due.length }, async (index) => {
            const repayment = due[index];
            if (repayment === undefined) throw new Error('too few repayments');
            const beganMs = performance.now();
            const { finished } = await services.desk.start(requestFor(repayment), repayment);
            await finished;
            return performance.now() - beganMs - channelMs;
          }),
        counters: async () => ({ hanging: 0 }),
      };
    },
    async close() {
      ending = true;
      await services.close();
    },
  };
}

await serve(open);
