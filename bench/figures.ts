/** Rounds -> medians with ranges, and the table for people. */
import type { Result } from './stage.js';

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  const low = sorted[Math.floor(middle)] ?? 0;
  const high = sorted[Math.ceil(middle)] ?? 0;
  return { median: (low + high) / 2, min: sorted[0] ?? 0, max: sorted.at(-1) ?? 0 };
}

/** What one deduction costs, by one round's figures. */
export interface Cost {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly commits: number;
  readonly statements: number;
  readonly redisCommands: number;
  readonly nodeCpuUs: number;
  readonly databaseCpuUs: number;
  readonly redisCpuUs: number;
  readonly peakMib: number;
}

export function costOf({
  count,
  seconds,
  p50Ms,
  p99Ms,
  cpuMs,
  peakMib,
  extra,
  stores,
}: Result): Cost {
  const each = (total: number): number => total / count;
  return {
    perSecond: count / seconds,
    p50Ms,
    p99Ms,
    commits: each(stores.commits + (extra['peer_commits'] ?? 0)),
    statements: each(stores.statements),
    redisCommands: each(stores.redisCommands),
    // Behind the API it is the server that counts, not its client.
    nodeCpuUs: each((extra['server_cpu_ms'] ?? cpuMs) * 1_000),
    databaseCpuUs: each((stores.databaseCpuMs + (extra['peer_database_cpu_ms'] ?? 0)) * 1_000),
    redisCpuUs: each(stores.redisCpuMs * 1_000),
    peakMib,
  };
}

export type CostSpread = { readonly [K in keyof Cost]: Spread };

export function costSpread(rounds: readonly Cost[]): CostSpread {
  const names = Object.keys(rounds[0] ?? {}) as (keyof Cost)[];
  return Object.fromEntries(
    names.map((name) => [name, spread(rounds.map((round) => round[name]))]),
  ) as CostSpread;
}

export function number(value: number): string {
  if (!Number.isFinite(value)) return '-';
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en');
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 2);
}

export const ranged = ({ median, min, max }: Spread): string =>
  `${number(median)} (${number(min)}–${number(max)})`;

/** Columns as wide as their widest cell; the first to the left, the others to the right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)));
  const line = (row: readonly string[]): string =>
    `| ${row
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join(' | ')} |`;
  const rule = widths.map((width, column) => (column === 0 ? '-' : ' -').padEnd(width, '-'));
  const ruled = `| ${rule.map((cell, column) => (column === 0 ? cell : `${cell.trim().padEnd((widths[column] ?? 1) - 1, '-')}:`)).join(' | ')} |`;
  return [line(head), ruled, ...rows.map(line)].join('\n');
}
