/** Notices as people see them. */
import type { Destination } from './destination.js';

export type DeliveryState = 'waiting' | 'delivered' | 'exhausted' | 'dropped';
export const deliveryStates: readonly DeliveryState[] = [
  'waiting',
  'delivered',
  'exhausted',
  'dropped',
];

export interface NoticeRecord {
  /** The `webhook-id` that receivers see. */
  readonly id: string;
  readonly type: string;
  readonly taskId: string | null;
  readonly createdAt: Date;
  /** How many deliveries are in each state; none yet until it has been fanned out. */
  readonly deliveries: Readonly<Record<DeliveryState, number>>;
}

export interface DeliveryRecord {
  readonly destinationId: string;
  readonly state: DeliveryState;
  readonly tries: number;
  /** When it is sent (again). */
  readonly nextAt: Date | null;
  readonly lastStatus: number | null;
  readonly lastError: string | null;
  readonly deliveredAt: Date | null;
}

export interface TryRecord {
  readonly destinationId: string;
  readonly at: Date;
  readonly durationMs: number;
  readonly httpStatus: number | null;
  readonly error: string | null;
}

/** A notice with all that became of it. */
export interface NoticeStory {
  readonly notice: NoticeRecord;
  /** Exactly what is sent. */
  readonly body: string;
  readonly deliveries: readonly DeliveryRecord[];
  /** The delivery log, oldest first. */
  readonly tries: readonly TryRecord[];
}

export interface DestinationRecord extends Destination {
  readonly waiting: number;
  readonly exhausted: number;
  /** The longest that a notice has been due and was not sent. */
  readonly overdueSince: Date | null;
}

export interface NoticeFilter {
  readonly type?: string | undefined;
  readonly taskId?: string | undefined;
  readonly state?: DeliveryState | undefined;
  readonly destinationId?: string | undefined;
  /** The last notice of the page before: newest come first. */
  readonly before?: string | undefined;
  readonly limit: number;
}
