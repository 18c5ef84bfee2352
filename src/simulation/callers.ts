import type { Order } from '../engine/order.js';
import type { QueryAnswer } from '../engine/reply.js';
import { RecoupError, type ErrorCode } from '../errors.js';
import type { Started } from '../intake/deduction-desk.js';
import type { World } from './world.js';
import type { PlannedRequest } from './world-plan.js';

/** How long a caller waits for a word before asking again, under the same request key. */
export const patienceMs = 45_000;
export const triesMax = 4;
export const again: ReadonlySet<ErrorCode> = new Set(['busy', 'journal_unavailable']);

/** Whoever asks for a deduction: the app, the batch or an agent. */
export function sendRequest(world: World, request: PlannedRequest, tries: number): void {
  let heard = false;
  const giveUp = tries >= triesMax;
  const conclude = (repeat: boolean): void => {
    if (heard) return;
    heard = true;
    if (!repeat || giveUp) world.callers -= 1;
    else world.time.after(3_000, () => sendRequest(world, request, tries + 1));
  };
  const process = world.someProcess(0);
  if (process === null) return world.time.after(1_000, () => sendRequest(world, request, tries));
  world.time.after(patienceMs, () => conclude(true));
  const { repayment, source, amountMinor, requestKey } = request;
  process.desks.deductions
    .start({
      source,
      repaymentId: repayment.id,
      amountMinor,
      requestKey,
      requestDigest: 'd'.repeat(64),
      batchId: null,
      agent: source === 'agent' ? { name: 'agent', reason: 'promised on the phone' } : null,
    })
    .then(
      (started) => {
        follow(world, started);
        conclude(false);
      },
      (error: unknown) => {
        if (!(error instanceof RecoupError)) world.violated('exception', requestKey, String(error));
        conclude(error instanceof RecoupError && again.has(error.code));
      },
    );
}

/** What a caller was told must be in the log: a process may die the moment after. */
function follow(world: World, { deductionId, finished }: Started): void {
  if (world.database.entries(deductionId) === null) {
    world.violated('told_too_early', deductionId, 'accepted, and not in the log');
  }
  finished.then(
    ({ state }) => {
      const ended = state?.end ?? null;
      const logged = world.database.deductions.get(deductionId)?.['ended_at'] ?? null;
      if (ended !== null && logged === null) {
        world.violated('told_too_early', deductionId, `${ended.kind}, and not in the log`);
      }
    },
    (error: unknown) => onThrown(world, deductionId, error),
  );
}

/** @param expected refusals besides those that only mean "not now". */
export function onThrown(
  world: World,
  about: string,
  error: unknown,
  expected: readonly ErrorCode[] = [],
): void {
  const code = error instanceof RecoupError ? error.code : null;
  if (code !== null && (again.has(code) || expected.includes(code))) return;
  world.violated('exception', about, String(error));
}

/** A channel calls back until it is heard, or tired of it. */
export function callBackWith(world: World, order: Order, answer: QueryAnswer, tries: number): void {
  const id = world.database.taskOfOrder(order.orderNo);
  const task = id === null ? 0 : world.ordinalOf(id);
  let heard = false;
  const repeat = (): void => {
    if (heard) return;
    heard = true;
    if (tries < 6) world.outside(20_000, () => callBackWith(world, order, answer, tries + 1));
  };
  const process = world.someProcess(task);
  if (id === null || process === null) return repeat();
  world.note('callback', `${answer.kind} to ${process.name}`, task);
  world.outside(30_000, repeat);
  process.run(id, { kind: 'callback', orderNo: order.orderNo, read: () => answer }).then(
    ({ outcome }) => {
      if (outcome === 'busy' || outcome === 'overtaken') repeat();
      else heard = true;
    },
    (error: unknown) => {
      onThrown(world, id, error);
      repeat();
    },
  );
}
