import { mix } from './chance.js';
import type { WorldResult } from './run-world.js';

export interface Failure {
  readonly seed: number;
  readonly violations: WorldResult['violations'];
  readonly unresolved: readonly string[];
}

/** What many worlds add up to. Plain values, so that child processes can report it. */
export interface Total {
  seeds: number;
  /** Deductions, withdrawals and top-ups. */
  tasks: number;
  tasks_hit: number;
  deductions: number;
  withdrawals: number;
  top_ups: number;
  refunds: number;
  faults: number;
  events: number;
  virtual_days: number;
  violations: number;
  unresolved: number;
  doubled_by_channel: number;
  digest: number;
  faults_by_kind: Record<string, number>;
  statuses: Record<string, number>;
  failures: Failure[];
}

export const nothing = (): Total => ({
  seeds: 0,
  tasks: 0,
  tasks_hit: 0,
  deductions: 0,
  withdrawals: 0,
  top_ups: 0,
  refunds: 0,
  faults: 0,
  events: 0,
  virtual_days: 0,
  violations: 0,
  unresolved: 0,
  doubled_by_channel: 0,
  digest: 0,
  faults_by_kind: {},
  statuses: {},
  failures: [],
});

const kinds = ['deductions', 'withdrawals', 'top_ups', 'refunds'] as const;

/** More failing worlds than anybody would read are only counted. */
const failuresMax = 20;

export function addWorld(total: Total, world: WorldResult): void {
  total.seeds += 1;
  const { deductions, withdrawals, top_ups: topUps } = world.tasks;
  total.tasks += deductions + withdrawals + topUps;
  total.tasks_hit += world.tasksHit;
  for (const kind of kinds) total[kind] += world.tasks[kind];
  total.faults += world.faults.length;
  total.events += world.events;
  total.virtual_days += world.virtualMs / 86_400_000;
  total.violations += world.violations.length;
  total.unresolved += world.unresolved.length;
  total.doubled_by_channel += world.doubledByChannel;
  // A sum: it does not depend on the order in which worlds are run, or on who runs them.
  total.digest = (total.digest + mix(world.seed, world.digest)) >>> 0;
  for (const id of world.faults) {
    const kind = id.slice(0, id.indexOf('/'));
    total.faults_by_kind[kind] = (total.faults_by_kind[kind] ?? 0) + 1;
  }
  for (const [status, count] of Object.entries(world.statuses)) {
    total.statuses[status] = (total.statuses[status] ?? 0) + count;
  }
  const { seed, violations, unresolved } = world;
  if (violations.length + unresolved.length > 0 && total.failures.length < failuresMax) {
    total.failures.push({ seed, violations, unresolved });
  }
}

export function addTotal(total: Total, part: Total): void {
  const summed = ['seeds', 'tasks', 'tasks_hit', ...kinds, 'faults', 'events'] as const;
  for (const key of summed) total[key] += part[key];
  total.virtual_days += part.virtual_days;
  total.violations += part.violations;
  total.unresolved += part.unresolved;
  total.doubled_by_channel += part.doubled_by_channel;
  total.digest = (total.digest + part.digest) >>> 0;
  for (const key of ['faults_by_kind', 'statuses'] as const) {
    for (const [name, count] of Object.entries(part[key])) {
      total[key][name] = (total[key][name] ?? 0) + count;
    }
  }
  total.failures = [...total.failures, ...part.failures]
    .toSorted((a, b) => a.seed - b.seed)
    .slice(0, failuresMax);
}

/** What a run lacks of what was asked of it: a proof of no worlds, or of fewer, is none. */
export function shortfall({ seeds, tasks }: Pick<Total, 'seeds' | 'tasks'>, asked: number) {
  if (tasks === 0) return 'nothing was simulated';
  if (Number.isFinite(asked) && seeds !== asked)
    return `${seeds} worlds of ${asked} were simulated`;
  return null;
}
