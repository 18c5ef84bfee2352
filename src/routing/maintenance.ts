import { timeOfDayMs } from '../business-date.js';
import type { OperationTerms, MaintenanceWindow } from './terms.js';

const dayMs = 86_400_000;

/**
 * Kept free between the longest charge and the window: our clock and the channel's differ, and a
 * channel may stop taking orders a little early.
 */
const marginMs = 60_000;

/**
 * What maintenance means for an order placed now.
 *
 * `closed`: a window is open, or opens before the charge is sure to have been answered. Such an order
 * would most likely end as `unknown` and hold its repayment until the channel is back.
 *
 * `outlives`: the charge fits before the window but the order expires inside or after it. That is
 * allowed: most orders are answered long before they expire, and one that is not is merely asked
 * about after the window. It costs time, never money; refusing would close a channel with a TTL of
 * half an hour for half an hour more. The place's reason says so.
 */
export type MaintenanceVerdict =
  | { readonly kind: 'clear' }
  | { readonly kind: 'outlives'; readonly window: MaintenanceWindow }
  | { readonly kind: 'closed'; readonly window: MaintenanceWindow; readonly began: boolean };

const clear: MaintenanceVerdict = { kind: 'clear' };

export function maintenanceFor(terms: OperationTerms, nowMs: number): MaintenanceVerdict {
  let verdict = clear;
  for (const window of terms.maintenance) {
    const timeMs = timeOfDayMs(nowMs, window.zone);
    if (isInside(window, timeMs)) return { kind: 'closed', window, began: true };
    // By the wall clock: on the two days a year that a zone changes its clock this may be an hour
    // off, which moves the margin and never the window itself.
    const untilMs = (window.fromMs - timeMs + dayMs) % dayMs;
    if (untilMs < terms.chargeMs + marginMs) return { kind: 'closed', window, began: false };
    if (untilMs < terms.orderTtlMs) verdict = { kind: 'outlives', window };
  }
  return verdict;
}

/** A window whose ends are equal closes the whole day: the reading that cannot charge in doubt. */
function isInside(window: MaintenanceWindow, timeMs: number): boolean {
  const { fromMs, toMs } = window;
  if (fromMs < toMs) return timeMs >= fromMs && timeMs < toMs;
  return timeMs >= fromMs || timeMs < toMs;
}
