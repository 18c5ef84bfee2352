/** What passed between us and the channels: receipts and counts of callbacks, the call journal. */
import { Purger } from '../compensation/purge.js';
import type { Meters } from '../metrics/meters.js';
import { CallStore } from '../store/calls.js';
import { CallbackStore } from '../store/callbacks.js';
import type { Database } from '../store/database.js';
import type { NoticeServices } from './notices.js';
import type { Basics } from './surroundings.js';

export interface Exchanges {
  readonly callbacks: CallbackStore;
  /** The call journal. */
  readonly calls: CallStore;
}

export const openExchanges = (
  { clock, log }: Basics,
  database: Database,
  meters: Meters | null,
): Exchanges => ({
  callbacks: new CallbackStore(database, clock, log, meters?.callback),
  calls: new CallStore(database, log),
});

/** Deletes what has been kept for as long as it is kept. */
export function openPurger(
  { config, clock, log }: Basics,
  { callbacks, calls }: Exchanges,
  notices: NoticeServices,
): Purger {
  const aged = [
    { name: 'callbacks', keepMs: config.callbackKeepMs, purge: callbacks.purge.bind(callbacks) },
    { name: 'calls', keepMs: config.callKeepMs, purge: calls.purge.bind(calls) },
    notices.aged,
  ];
  return new Purger(aged, clock, log);
}
