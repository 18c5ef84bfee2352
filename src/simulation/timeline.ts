import type { WorldResult } from './run-world.js';
import type { Happened } from './world.js';

/**
 * The story of a world, one line an event. With violations, only the events of the tasks they are
 * about and what happened to processes and stores.
 */
export function timelineOf(result: WorldResult): string {
  const about = tasksInQuestion(result);
  const [first] = result.story;
  if (first === undefined) return 'nothing happened\n';
  const lines = result.story
    .filter(({ task }) => about.size === 0 || task === 0 || about.has(task))
    .map((one) => lineOf(one, first.atMs));
  const findings = result.violations.map(
    ({ kind, about, detail }) => `! ${kind} ${about}: ${detail}`,
  );
  const stuck = result.unresolved.map((id) => `! unresolved ${id}`);
  return `${[...lines, ...findings, ...stuck].join('\n')}\n`;
}

function lineOf({ atMs, who, what, task }: Happened, startMs: number): string {
  const at = clockOf(atMs - startMs).padStart(14);
  return `${at}  ${task === 0 ? '    ' : `#${task}`.padEnd(4)} ${who.padEnd(10)} ${what}`;
}

const two = (n: number): string => String(n).padStart(2, '0');
const numberOf = (id: string): number => Number.parseInt(id.slice(-8), 16);

function clockOf(ms: number): string {
  const seconds = Math.floor(ms / 1_000);
  const [h, m, s] = [Math.floor(seconds / 3_600), Math.floor(seconds / 60) % 60, seconds % 60];
  return `${two(h)}:${two(m)}:${two(s)}.${String(Math.floor(ms % 1_000)).padStart(3, '0')}`;
}

/** The numbers of the deductions that a violation names, by themselves, an order or a repayment. */
function tasksInQuestion({ violations, unresolved, database }: WorldResult): Set<number> {
  const tasks = new Set<number>();
  for (const about of [...violations.map((one) => one.about), ...unresolved]) {
    const id = about.split(' ')[0] ?? '';
    if (database.deductions.has(id)) tasks.add(numberOf(id));
    const ofOrder = database.taskOfOrder(id);
    if (ofOrder !== null) tasks.add(numberOf(ofOrder));
    for (const [taskId, row] of database.deductions) {
      if (row['repayment_id'] === id) tasks.add(numberOf(taskId));
    }
  }
  return tasks;
}
