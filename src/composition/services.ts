import type { Clock } from '../clock.js';
import type { Compensator } from '../compensation/compensator.js';
import type { Config } from '../config.js';
import type { Executor, RunOutcome } from '../engine/executor.js';
import type { Task } from '../engine/tasks.js';
import type { HttpObserver } from '../http/ports.js';
import type { TaskId } from '../ids.js';
import type { Log } from '../log.js';
import type { connectRedis } from '../queue/redis.js';
import type { Reconciler } from '../reconciliation/reconciler.js';
import type { Database } from '../store/database.js';
import type { CaseServices } from './cases.js';
import type { Exchanges } from './exchanges.js';
import type { FlowServices } from './flows.js';
import type { Intake } from './intake.js';
import type { LedgerServices } from './ledger.js';
import type { MetricsServices } from './metrics.js';
import type { NoticeServices } from './notices.js';
import type { WorkQueues } from './queues.js';
import type { Routing } from './routing.js';
import type { Stores } from './stores.js';

/** Everything a process of Recoup is made of, opened and wired. `close` ends all of it. */
export interface Services extends Stores, Exchanges, Intake, Pick<Routing, 'directory' | 'router'> {
  readonly instanceId: string;
  readonly config: Config;
  readonly clock: Clock;
  readonly log: Log;
  readonly database: Database;
  readonly redis: ReturnType<typeof connectRedis>;
  readonly executor: Executor<Task>;
  readonly compensator: Compensator;
  readonly workQueues: WorkQueues;
  readonly ledger: LedgerServices;
  readonly cases: CaseServices;
  readonly notices: NoticeServices;
  /** Null unless a port is configured for them: then nothing is counted. */
  readonly metrics: MetricsServices | null;
  readonly httpObserver: HttpObserver | undefined;
  /** Withdrawals and top-ups. */
  readonly flows: FlowServices;
  readonly reconciler: Reconciler;
  /** The migrations that the database still lacks. */
  readonly pendingMigrations: () => Promise<readonly string[]>;
  /** Runs a task as far as it goes now: what every wake-up does. */
  readonly resume: (task: TaskId) => Promise<RunOutcome>;
  /** Starts the pool that carries wake-ups out. */
  readonly startPoller: () => void;
  /** Starts all that a worker does, in this process. */
  readonly startWork: () => void;
  readonly close: () => Promise<void>;
}
