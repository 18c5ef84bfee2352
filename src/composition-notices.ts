/** What business systems are told, wired. */
import type { Log } from './log.js';
import { DestinationDirectory } from './notices/destinations.js';
import type { Database } from './store/database.js';
import { NoticeDestinationStore } from './store/notices-destinations.js';

export interface NoticeSurroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly database: Database;
  readonly log: Log;
}

export interface NoticeServices {
  readonly directory: DestinationDirectory;
  readonly close: () => Promise<void>;
}

export function openNotices({ env, database, log }: NoticeSurroundings): NoticeServices {
  const directory = new DestinationDirectory(new NoticeDestinationStore(database), env, log);
  return { directory, close: async () => directory.close() };
}
