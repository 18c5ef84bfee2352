/** Whoever asks for a withdrawal or a top-up. */
import { LockBusy, type RunResult } from '../engine/executor.js';
import type { Task } from '../engine/tasks.js';
import { RecoupError } from '../errors.js';
import type { TaskId } from '../ids.js';
import type { TopUpRequest } from '../intake/top-up-desk.js';
import type { WithdrawalRequest } from '../intake/withdrawal-desk.js';
import { again, onThrown, patienceMs, triesMax } from './callers.js';
import type { PlannedFlow } from './flow-plan.js';
import type { SimProcess } from './sim-process.js';
import type { World } from './world.js';

export function sendFlow(world: World, request: PlannedFlow, tries: number): void {
  let heard = false;
  const conclude = (repeat: boolean): void => {
    if (heard) return;
    heard = true;
    if (!repeat || tries >= triesMax) world.callers -= 1;
    else world.time.after(3_000, () => sendFlow(world, request, tries + 1));
  };
  const process = world.someProcess(0);
  if (process === null) return world.time.after(1_000, () => sendFlow(world, request, tries));
  world.time.after(patienceMs, () => conclude(true));
  start(process, request).then(
    () => conclude(false),
    (error: unknown) => {
      const busy = error instanceof LockBusy;
      if (!busy && !(error instanceof RecoupError)) {
        world.violated('exception', request.asked.requestKey, String(error));
      }
      conclude(busy || (error instanceof RecoupError && again.has(error.code)));
    },
  );
}

async function start(process: SimProcess, request: PlannedFlow): Promise<void> {
  const { world } = process;
  const { flows } = world.database;
  const { id, finished } =
    request.kind === 'withdrawal'
      ? await withdraw(process, request.asked)
      : await topUp(process, request.asked);
  if (world.database.entries(id) === null) {
    world.violated('told_too_early', id, 'accepted, and not in the log');
  }
  finished?.then(
    ({ state }) => {
      const row = flows.withdrawals.get(id) ?? flows.topUps.get(id);
      if ((state?.end ?? null) !== null && (row?.['ended_at'] ?? null) === null) {
        world.violated('told_too_early', id, 'ended, and not in the log');
      }
    },
    (error: unknown) => onThrown(world, id, error),
  );
}

interface Started {
  readonly id: TaskId;
  readonly finished: Promise<RunResult<Task>> | null;
}

async function withdraw(process: SimProcess, asked: WithdrawalRequest): Promise<Started> {
  const { id, finished } = await process.desks.withdrawals.start(asked);
  return { id, finished };
}

async function topUp(process: SimProcess, asked: TopUpRequest): Promise<Started> {
  const { id, finished } = await process.desks.topUps.start(asked);
  return { id, finished };
}
