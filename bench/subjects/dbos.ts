/**
 * DBOS Transact on PostgreSQL with the durability both have by default: a workflow of the same four
 * steps (accept, route, charge, settle). The in-process channel is the third step. The pool is larger
 * than its default of ten connections (`systemDatabasePoolSize`), and its log is off; the size is
 * the argument.
 */
import { createRequire } from 'node:module';
import { channelMs } from '../channels.js';
import { ensurePeers, startPostgres } from '../peers.js';
import { cpuMsOf, lanes, serve, type Subject } from '../subject.js';

/** The part of DBOS used here: it is no dependency of Recoup, so its types are not there. */
interface Dbos {
  setConfig(config: {
    readonly name: string;
    readonly systemDatabaseUrl: string;
    readonly systemDatabasePoolSize: number;
    readonly logLevel: string;
  }): void;
  registerWorkflow<A, R>(
    work: (input: A) => Promise<R>,
    config: { readonly name: string },
  ): (input: A) => Promise<R>;
  runStep<R>(step: () => Promise<R>, config: { readonly name: string }): Promise<R>;
  launch(): Promise<void>;
  shutdown(): Promise<void>;
}

interface Deduction {
  readonly id: string;
  readonly repaymentId: string;
  readonly amountMinor: number;
  readonly account: { readonly token: string; readonly bank: string; readonly last4: string };
}

async function open(): Promise<Subject> {
  const { DBOS } = createRequire(await ensurePeers())('@dbos-inc/dbos-sdk') as { DBOS: Dbos };
  const postgres = await startPostgres();
  DBOS.setConfig({
    name: 'recoup-bench',
    systemDatabaseUrl: postgres.url,
    systemDatabasePoolSize: Number(process.argv[2] ?? 20),
    logLevel: 'error',
  });
  const step = async <R>(name: string, work: () => Promise<R>): Promise<R> =>
    await DBOS.runStep(work, { name });
  const deduct = DBOS.registerWorkflow(
    async (asked: Deduction) => {
      await step('accept', async () => ({ ...asked, status: 'processing' }));
      const place = await step('route', async () => ({ channel: 'bench_a', cost: 20 }));
      const answer = await step('charge', async () => {
        await new Promise((resolve) => setTimeout(resolve, channelMs));
        return { kind: 'succeeded', channelRef: `REF${asked.id}`, ...place };
      });
      return await step('settle', async () => ({ ...answer, amountMinor: asked.amountMinor }));
    },
    { name: 'deduct' },
  );
  await DBOS.launch();
  let started = 0;
  return {
    async prepare(load) {
      return {
        run: async () =>
          await lanes(load, async () => {
            started += 1;
            const id = `d${started}`;
            const account = { token: `tok_ok_${id}`, bank: 'ICBC', last4: '0000' };
            const beganMs = performance.now();
            await deduct({ id, repaymentId: `rp_${id}`, amountMinor: 10_000, account });
            return performance.now() - beganMs - channelMs;
          }),
        counters: async () => ({
          peer_commits: await postgres.commits(),
          peer_database_cpu_ms: postgres.pids().reduce((sum, pid) => sum + cpuMsOf(pid), 0),
        }),
      };
    },
    async close() {
      await DBOS.shutdown();
      await postgres.stop();
    },
  };
}

await serve(open);
