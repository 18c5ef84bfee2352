/** Deductions through the HTTP API: this process is the client, the server is a child of it. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { Client } from 'undici';
import { loadConfig } from '../../src/config.js';
import { silentLog } from '../../src/log.js';
import { openDatabase } from '../../src/store/database.js';
import { RepaymentStore } from '../../src/store/repayments.js';
import { channelMs } from '../channels.js';
import { registered } from '../due.js';
import { cpuMsOf, lanes, serve, type Subject } from '../subject.js';

async function open(): Promise<Subject> {
  const server = fork(new URL('./api-server.js', import.meta.url));
  const [{ port, key }] = (await once(server, 'message')) as [{ port: number; key: string }];
  const database = openDatabase(loadConfig(process.env).databaseUrl, 2, silentLog);
  const repayments = new RepaymentStore(database);
  // A connection for each deduction in flight, kept: the client shares the processors with what is measured.
  const idle: Client[] = [];
  const post = async (repaymentId: string): Promise<void> => {
    const client = idle.pop() ?? new Client(`http://127.0.0.1:${port}`);
    const { statusCode, body } = await client.request({
      method: 'POST',
      path: '/v1/deductions',
      headers: {
        authorization: `Bearer ${key}`,
        'content-type': 'application/json',
        'idempotency-key': repaymentId,
        prefer: 'wait=60',
      },
      body: JSON.stringify({ repayment_id: repaymentId }),
    });
    const text = await body.text();
    idle.push(client);
    if (statusCode !== 200) throw new Error(`${statusCode}: ${text}`);
  };
  const pid = server.pid ?? 0;
  return {
    async prepare(load) {
      const due = await registered(repayments, load.count);
      return {
        pid,
        run: async () =>
          await lanes(load, async (index) => {
            const beganMs = performance.now();
            await post(due[index]?.id ?? '');
            return performance.now() - beganMs - channelMs;
          }),
        counters: async () => ({ server_cpu_ms: cpuMsOf(pid) }),
      };
    },
    async close() {
      await Promise.all(idle.map((client) => client.destroy()));
      await database.destroy();
      const exited = once(server, 'exit');
      server.disconnect();
      await exited;
    },
  };
}

await serve(open);
