/**
 * The same rows as a careful engineer would write them by hand: two transactions a deduction, one
 * prepared statement a row, a pool of connections. The pool's size is the argument; the benchmark
 * tries several and keeps the best.
 */
import mysql from 'mysql2/promise';
import { loadConfig } from '../../src/config.js';
import type { Row } from '../../src/store/projections.js';
import { inProcess, inProcessProfiles, openRecoup } from '../channels.js';
import { registered } from '../due.js';
import { connectionOptions, deltas, keys } from '../raw-sql.js';
import { rowsOf, type Commit } from '../rows.js';
import { lanes, serve, type Subject } from '../subject.js';

async function open(): Promise<Subject> {
  const { databaseUrl } = loadConfig(process.env);
  const services = await openRecoup(inProcessProfiles(), { channels: inProcess() });
  const pools = new Map<number, mysql.Connection[]>();
  const connectionsFor = async (size: number): Promise<mysql.Connection[]> => {
    const known = pools.get(size);
    if (known !== undefined) return known;
    const options = connectionOptions(databaseUrl);
    const made = await Promise.all(
      Array.from({ length: size }, () => mysql.createConnection(options)),
    );
    for (const one of made) {
      await one.query('SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED');
    }
    pools.set(size, made);
    return made;
  };
  return {
    async prepare({ count, inFlight }) {
      const free = [...(await connectionsFor(inFlight))];
      const due = await registered(services.repayments, count);
      const all = await rowsOf(services.router, due);
      return {
        run: async () =>
          await lanes({ count, inFlight }, async (index) => {
            const connection = free.pop();
            if (connection === undefined) throw new Error('more lanes than connections');
            const beganMs = performance.now();
            for (const commit of all[index] ?? []) await write(connection, commit);
            free.push(connection);
            return performance.now() - beganMs;
          }),
      };
    },
    async close() {
      await Promise.all([...pools.values()].flat().map((connection) => connection.end()));
      await services.close();
    },
  };
}

async function write(
  connection: mysql.Connection,
  { inserts, updates, deletes }: Commit,
): Promise<void> {
  await connection.query('BEGIN');
  for (const [table, rows] of Object.entries(inserts)) {
    for (const row of rows) await connection.execute(insertSql(table, row), Object.values(row));
  }
  for (const [table, rows] of Object.entries(updates)) {
    for (const row of rows) {
      const { sql, values } = update(table, row);
      await connection.execute(sql, values);
    }
  }
  for (const [table, rows] of Object.entries(deletes)) {
    const where = (keys[table] ?? []).map((column) => `${column} = ?`).join(' AND ');
    for (const row of rows) {
      await connection.execute(`DELETE FROM ${table} WHERE ${where}`, Object.values(row));
    }
  }
  await connection.query('COMMIT');
}

const insertSql = (table: string, row: Row): string => {
  const columns = Object.keys(row);
  return `INSERT INTO ${table} (${columns.join()}) VALUES (${columns.map(() => '?').join()})`;
};

function update(table: string, row: Row): { sql: string; values: (string | number | null)[] } {
  const key = keys[table] ?? [];
  const columns = Object.keys(row).filter((column) => !key.includes(column));
  const values = [...columns, ...key].map((column) => row[column] ?? null);
  const where = key.map((column) => `${column} = ?`).join(' AND ');
  const set = columns
    .map((column) => {
      const sum = deltas[column];
      return sum === undefined ? `${column} = ?` : `${sum} = ${sum} + ?`;
    })
    .join();
  return { sql: `UPDATE ${table} SET ${set} WHERE ${where}`, values };
}

await serve(open);
