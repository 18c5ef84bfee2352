/** What business systems are told, wired. */
import type { Items } from '../cases/item-carrier.js';
import type { Clock } from '../clock.js';
import type { Aged } from '../compensation/purge.js';
import type { Config } from '../config.js';
import type { Log } from '../log.js';
import { NoticeDesk, type NoticeBook } from '../notices/desk.js';
import { DestinationDirectory } from '../notices/destinations.js';
import { HttpPoster } from '../notices/http-poster.js';
import type { DeliveryLog, Poster } from '../notices/ports.js';
import { NoticeRelay } from '../notices/relay.js';
import type { Database } from '../store/database.js';
import { SqlDeliveryLog } from '../store/notices.js';
import { SqlNoticeBook } from '../store/notices-book.js';
import { NoticeDestinationStore } from '../store/notices-destinations.js';

export interface NoticeWrappers {
  readonly deliveries?: (inner: DeliveryLog) => DeliveryLog;
  readonly poster?: (inner: Poster) => Poster;
}

export interface NoticeSurroundings {
  readonly config: Config;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly database: Database;
  readonly clock: Clock;
  readonly log: Log;
  readonly wrappers?: NoticeWrappers | undefined;
}

export interface NoticeServices {
  readonly directory: DestinationDirectory;
  readonly relay: NoticeRelay;
  readonly desk: NoticeDesk;
  /** The cases of destinations that notices do not reach. */
  readonly items: Items;
  readonly aged: Aged;
  /** Starts sending, until `close`. */
  readonly start: () => void;
  readonly close: () => Promise<void>;
}

export function openNotices(around: NoticeSurroundings): NoticeServices {
  const { config, env, database, clock, log, wrappers = {} } = around;
  const directory = new DestinationDirectory(new NoticeDestinationStore(database), env, log);
  const sqlDeliveries = new SqlDeliveryLog(database, clock, log);
  const deliveries = wrappers.deliveries?.(sqlDeliveries) ?? sqlDeliveries;
  const { noticeTimeoutMs: timeoutMs, noticeAllowInternal: allowInternal } = config;
  const httpPoster = new HttpPoster({ timeoutMs, allowInternal });
  const poster = wrappers.poster?.(httpPoster) ?? httpPoster;
  const relay = new NoticeRelay(
    deliveries,
    directory,
    poster,
    {
      perDestination: config.noticePerDestination,
      idleMs: config.noticeIdleMs,
      // Never while the first request may still be answered.
      claimMs: Math.max(config.noticeClaimMs, 2 * timeoutMs),
      retryMs: config.noticeRetryMs,
      giveUpMs: config.noticeGiveUpMs,
    },
    clock,
    log,
  );
  const book = new SqlNoticeBook(database);
  return {
    directory,
    relay,
    desk: new NoticeDesk(book, clock, { allowInternal }),
    items: itemsOf(book, clock),
    aged: {
      name: 'notices',
      keepMs: config.noticeKeepMs,
      purge: deliveries.purge.bind(deliveries),
    },
    start() {
      if (config.noticeAllowInternal) {
        log.warn('notices may be sent to internal addresses: RECOUP_NOTICE_ALLOW_INTERNAL');
      }
      relay.start();
    },
    async close() {
      directory.close();
      await relay.close();
      await poster.close();
    },
  };
}

function itemsOf(book: NoticeBook, clock: Clock): Items {
  return {
    async again(no, by) {
      const outage = await book.outage(no);
      if (outage === null) return 'closed';
      const { destinationId, kind } = outage;
      const nowMs = clock.nowMs();
      if (kind === 'notices_exhausted') {
        await book.redeliver({ exhaustedOf: destinationId }, by, nowMs);
      } else await book.change(destinationId, { kind: 'resume' }, by, nowMs);
      return 'done';
    },
    async close(no, _by, resolution) {
      const outage = await book.outage(no);
      // What was given up is purged from now on, when its time comes.
      if (outage?.kind === 'notices_exhausted') await book.drop(outage.destinationId);
      return await book.closeOutage(no, resolution, clock.nowMs());
    },
  };
}
