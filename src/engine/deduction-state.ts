/** What the entries of a deduction's log add up to; orders and cases are in orders-state.ts. */
import { invariant } from '../assert.js';
import type { Deduction, Entry } from './entries.js';
import type { Routed } from './legs.js';
import { evolveIntent, evolveOrders, noOrders, type OrdersState } from './orders-state.js';

export interface DeductionState extends OrdersState, Routed {
  readonly kind: 'deduction';
  readonly deduction: Deduction;
  readonly acceptedAtMs: number;
}

export function evolve(state: DeductionState | null, entry: Entry): DeductionState {
  if (state === null) {
    invariant(entry.kind === 'accepted', `a deduction starts with accepted, not ${entry.kind}`);
    const { deduction, atMs: acceptedAtMs } = entry;
    const { id: taskId } = deduction;
    return { kind: 'deduction', taskId, seq: 1, deduction, acceptedAtMs, route: null, ...noOrders };
  }
  const moved = { ...state, seq: state.seq + 1 };
  switch (entry.kind) {
    case 'routed':
      return { ...moved, route: { plan: entry.route, atMs: entry.atMs } };
    case 'charge_intended':
      return evolveIntent(moved, entry);
    default:
      return evolveOrders(moved, entry);
  }
}
