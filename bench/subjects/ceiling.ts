/**
 * The raw ceiling: a bare script that commits the rows of `bench/rows.ts` with the same durability and
 * does nothing else: no fold, no lock, no router, no channel. Two connections take groups of
 * deductions in turn; a group's first commits go together, then its second ones. At one in flight
 * it is two bare commits, with the channel's time between them: what has idled wakes up slowly, and that is
 * not Recoup's doing.
 */
import { setTimeout as delay } from 'node:timers/promises';
import mysql from 'mysql2/promise';
import { loadConfig } from '../../src/config.js';
import { channelMs, inProcess, inProcessProfiles, openRecoup } from '../channels.js';
import { registered } from '../due.js';
import { rowsOf, type Commit } from '../rows.js';
import { serve, type Subject } from '../subject.js';
import { connectionOptions, groupSql } from '../raw-sql.js';

const groupMax = 256;
const connectionsMax = 2;

async function open(): Promise<Subject> {
  const { databaseUrl } = loadConfig(process.env);
  const services = await openRecoup(inProcessProfiles(), { channels: inProcess() });
  const connections = await Promise.all(
    Array.from({ length: connectionsMax }, () =>
      mysql.createConnection(connectionOptions(databaseUrl)),
    ),
  );
  for (const connection of connections) {
    await connection.query('SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED');
  }
  return {
    async prepare({ count, inFlight }) {
      const due = await registered(services.repayments, count);
      const all = await rowsOf(services.router, due);
      const latencies = new Float64Array(count);
      const groupSize = Math.max(1, Math.min(groupMax, Math.floor(inFlight / connectionsMax)));
      const pauseMs = inFlight === 1 ? channelMs : 0;
      let next = 0;
      const lane = async (connection: mysql.Connection): Promise<void> => {
        while (next < count) {
          const at = next;
          const group = all.slice(at, at + groupSize);
          next += group.length;
          const beganMs = performance.now();
          await connection.query(groupSql(commits(group, 0)));
          if (pauseMs > 0) await delay(pauseMs);
          await connection.query(groupSql(commits(group, 1)));
          latencies.fill(performance.now() - beganMs - pauseMs, at, at + group.length);
        }
      };
      const used = inFlight === 1 ? connections.slice(0, 1) : connections;
      return {
        run: async () => {
          await Promise.all(used.map(lane));
          return latencies;
        },
      };
    },
    async close() {
      await Promise.all(connections.map((connection) => connection.end()));
      await services.close();
    },
  };
}

const commits = (group: readonly (readonly Commit[])[], which: 0 | 1): Commit[] =>
  group.map((one) => one[which]).filter((one) => one !== undefined);

await serve(open);
