import { v7 as uuidV7 } from 'uuid';

/** A string that only the functions of this file make. The brand exists for the compiler alone. */
type Id<Name extends string> = string & { readonly __brand: Name };

/** A task's id: UUID v7, so that rows of one time lie together in the tables. */
export type TaskId = Id<'TaskId'>;
export type RepaymentId = Id<'RepaymentId'>;
export type ChannelId = Id<'ChannelId'>;
/** Our order number at a channel: at most 32 letters and digits, a function of (task, attempt). */
export type OrderNo = Id<'OrderNo'>;

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const repaymentIdPattern = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/;
const channelIdPattern = /^[a-z][a-z0-9_]{0,31}$/;

export const newTaskId = (): TaskId => uuidV7() as TaskId;

/** Ids made at this time or later sort at or behind it, those made before it sort before it. */
export function earliestId(ms: number): string {
  const time = Math.min(Math.max(Math.floor(ms), 0), 2 ** 48 - 1)
    .toString(16)
    .padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-0000-0000-000000000000`;
}

export const isTaskId = (text: string): text is TaskId => uuidPattern.test(text);
export const isRepaymentId = (text: string): text is RepaymentId => repaymentIdPattern.test(text);
export const isChannelId = (text: string): text is ChannelId => channelIdPattern.test(text);

function checked<T extends string>(text: string, is: (t: string) => t is T, what: string): T {
  if (!is(text)) throw new RangeError(`not a ${what}: ${JSON.stringify(text.slice(0, 80))}`);
  return text;
}

export const taskId = (text: string): TaskId => checked(text, isTaskId, 'task id');
export const repaymentId = (text: string): RepaymentId =>
  checked(text, isRepaymentId, 'repayment id');
export const channelId = (text: string): ChannelId => checked(text, isChannelId, 'channel id');

const attemptsMax = 99;

/**
 * `R` + the task's 128 bits in base 36 (25 digits) + the attempt in two digits: 28 characters.
 * The same task and attempt always give the same number, so a crash can never make a second one.
 *
 * @throws RangeError when attemptNo is outside 1..99.
 */
export function orderNo(task: TaskId, attemptNo: number): OrderNo {
  if (!Number.isInteger(attemptNo) || attemptNo < 1 || attemptNo > attemptsMax) {
    throw new RangeError(`attempt number outside 1..${attemptsMax}: ${attemptNo}`);
  }
  const bits = BigInt(`0x${task.replaceAll('-', '')}`)
    .toString(36)
    .toUpperCase();
  return `R${bits.padStart(25, '0')}${String(attemptNo).padStart(2, '0')}` as OrderNo;
}
