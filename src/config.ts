import { z } from 'zod';
import { RecoupError } from './errors.js';

const url = (protocols: readonly string[]) =>
  z.string().refine(
    (text) => {
      try {
        return protocols.includes(new URL(text).protocol);
      } catch {
        return false;
      }
    },
    `a URL that starts with ${protocols.map((p) => `${p}//`).join(' or ')}`,
  );

const whole = (min: number, max: number) => z.coerce.number().int().min(min).max(max);

const durations = z
  .string()
  .regex(/^\d{1,12}(,\d{1,12}){0,49}$/, 'durations in ms, separated by commas')
  .transform((text) => text.split(',').map(Number));

/** 1, 5, 15 and 30 minutes, then hours: a service that is away over a weekend is waited for. */
const ledgerRetryMs = [1, 5, 15, 30, 60, 120, 240, 480, 720, 1_440, 1_440].map(
  (minutes) => minutes * 60_000,
);

/** 5 and 30 seconds, 2, 10 and 30 minutes, an hour, then every two hours. */
const noticeRetryMs = [5, 30, 120, 600, 1_800, 3_600, 7_200].map((seconds) => seconds * 1_000);

/** Every variable Recoup reads, with its default. Durations are in ms. */
const schema = z.object({
  RECOUP_DATABASE_URL: url(['mysql:', 'mariadb:']),
  /** The schema's owner, for `recoup migrate`; the application's own user may not change the log. */
  RECOUP_MIGRATION_URL: url(['mysql:', 'mariadb:']).optional(),
  RECOUP_REDIS_URL: url(['redis:', 'rediss:']),
  RECOUP_HTTP_HOST: z.string().min(1).default('127.0.0.1'),
  RECOUP_HTTP_PORT: whole(0, 65_535).default(8300),
  /** Metrics in Prometheus' form (docs/metrics.md). None: off; 0: any port that is free. */
  RECOUP_METRICS_PORT: whole(0, 65_535).optional(),
  RECOUP_METRICS_HOST: z.string().min(1).default('127.0.0.1'),
  RECOUP_LOG_LEVEL: z.enum(['error', 'warn', 'info', 'debug']).default('info'),
  /** Business dates are computed in this zone. */
  RECOUP_BUSINESS_ZONE: z.string().default('Asia/Shanghai'),
  RECOUP_DATABASE_POOL: whole(1, 200).default(10),
  RECOUP_LOCK_LEASE_MS: whole(1_000, 600_000).default(60_000),
  /**
   * Consumers of wake-ups, for each kind of task (docs/work-queues.md). Each mostly waits, for a channel
   * or a commit; what they read, ask and write goes together, so that many cost less each than few.
   */
  RECOUP_POLL_CONCURRENCY: whole(1, 1_000).default(64),
  /** Wake-ups of one kind that are due and wait for its own consumers; the rest goes to the global queue. */
  RECOUP_QUEUE_WAITING: whole(1, 100_000).default(100),
  /** Idle consumers of other kinds that may work for one kind from the global queue, at most. */
  RECOUP_QUEUE_HELPERS: whole(0, 1_000).default(32),
  /** Below what the channels allow at once (`concurrency_max`): more would only wait for a connection. */
  RECOUP_BATCH_IN_FLIGHT: whole(1, 5_000).default(128),
  /** A worker that dies keeps the rows it had claimed from the others for so long. */
  RECOUP_BATCH_CLAIM_MS: whole(1_000, 3_600_000).default(30_000),
  /** The compensator's sweep: how often, how old an unfinished task must be, how many of a kind at once. */
  RECOUP_COMPENSATOR_INTERVAL_MS: whole(100, 86_400_000).default(180_000),
  RECOUP_COMPENSATOR_AGE_MS: whole(100, 86_400_000).default(180_000),
  RECOUP_COMPENSATOR_CONCURRENCY: whole(1, 1_000).default(32),
  /** Receipts of callbacks, and the call journal, are purged after this. */
  RECOUP_CALLBACK_KEEP_MS: whole(3_600_000, 10_000_000_000).default(7 * 86_400_000),
  RECOUP_CALL_KEEP_MS: whole(3_600_000, 100_000_000_000).default(30 * 86_400_000),
  /** No new attempt starts this long after a deduction was accepted. */
  RECOUP_ATTEMPT_WINDOW_MS: whole(1_000, 10_000_000_000).default(86_400_000),
  /** What cards get for what is paid (docs/top-ups.md): the path of a file. None: what is paid. */
  RECOUP_TOP_UP_RULES: z.string().min(1).optional(),
  /** How long a customer has to pay for a top-up. */
  RECOUP_TOP_UP_PAY_WINDOW_MS: whole(1_000, 86_400_000).default(900_000),
  /** The settlement sweep of top-ups: how often, and how long after the payment. */
  RECOUP_SETTLEMENT_INTERVAL_MS: whole(100, 86_400_000).default(600_000),
  RECOUP_SETTLEMENT_AGE_MS: whole(100, 604_800_000).default(3_600_000),
  /** A proposal for a case that nobody has approved expires after this. */
  RECOUP_PROPOSAL_TTL_MS: whole(1_000, 2_592_000_000).default(86_400_000),
  /** How often approved proposals are looked for that their process did not carry out. */
  RECOUP_DECISION_INTERVAL_MS: whole(100, 86_400_000).default(15_000),
  /** The active check: how often, and how long a deduction may take before it is looked into. */
  RECOUP_ACTIVE_CHECK_INTERVAL_MS: whole(100, 86_400_000).default(300_000),
  RECOUP_ACTIVE_CHECK_AGE_MS: whole(100, 604_800_000).default(3_600_000),
  /** Deductions an agent may ask for, for one borrower, in an hour. */
  RECOUP_AGENT_PER_BORROWER_HOUR: whole(1, 1_000).default(5),
  /** A lender's own accounting service, instead of our tables (docs/ledger.md). */
  RECOUP_LEDGER_URL: url(['http:', 'https:']).optional(),
  RECOUP_LEDGER_TOKEN: z.string().min(1).optional(),
  RECOUP_LEDGER_TIMEOUT_MS: whole(100, 60_000).default(5_000),
  /** Messages that are posted in one transaction, at most. */
  RECOUP_LEDGER_BATCH: whole(1, 1_000).default(200),
  RECOUP_LEDGER_CONCURRENCY: whole(1, 64).default(2),
  /** How often the relay looks for messages when none was due. */
  RECOUP_LEDGER_IDLE_MS: whole(10, 60_000).default(500),
  /** A message dispatched and not confirmed within this is sent again. */
  RECOUP_LEDGER_CONFIRM_MS: whole(50, 3_600_000).default(120_000),
  /** Waits after each try in vain; a message that has used them up is a dead letter. */
  RECOUP_LEDGER_RETRY_MS: durations.default(ledgerRetryMs),
  /** Delivered ledger messages are purged from the outbox after this. */
  RECOUP_OUTBOX_KEEP_MS: whole(60_000, 100_000_000_000).default(30 * 86_400_000),
  /** Outgoing notices (docs/notices.md): requests under way to one destination, at most. */
  RECOUP_NOTICE_PER_DESTINATION: whole(1, 256).default(4),
  RECOUP_NOTICE_IDLE_MS: whole(10, 60_000).default(500),
  RECOUP_NOTICE_TIMEOUT_MS: whole(50, 60_000).default(10_000),
  /** A notice sent by a process that died is sent again after this. */
  RECOUP_NOTICE_CLAIM_MS: whole(100, 3_600_000).default(60_000),
  /** Waits after each try in vain, the last of them until the notice is given up. */
  RECOUP_NOTICE_RETRY_MS: durations.default(noticeRetryMs),
  RECOUP_NOTICE_GIVE_UP_MS: whole(50, 604_800_000).default(86_400_000),
  /** Notices that wait for nobody are purged after this. */
  RECOUP_NOTICE_KEEP_MS: whole(60_000, 100_000_000_000).default(30 * 86_400_000),
  /** Development only: destinations may be plain HTTP and internal addresses. */
  RECOUP_NOTICE_ALLOW_INTERNAL: z.enum(['yes', 'no']).default('no'),
  RECOUP_BODY_LIMIT_BYTES: whole(1_024, 1_000_000_000).default(65_536),
  RECOUP_UPLOAD_LIMIT_BYTES: whole(1_024, 10_000_000_000).default(200_000_000),
});

export interface Config {
  readonly databaseUrl: string;
  readonly migrationUrl: string;
  readonly redisUrl: string;
  readonly httpHost: string;
  readonly httpPort: number;
  readonly metricsPort: number | null;
  readonly metricsHost: string;
  readonly logLevel: 'error' | 'warn' | 'info' | 'debug';
  readonly businessZone: string;
  readonly databasePool: number;
  readonly lockLeaseMs: number;
  readonly pollConcurrency: number;
  readonly queueWaiting: number;
  readonly queueHelpers: number;
  readonly batchInFlight: number;
  readonly batchClaimMs: number;
  readonly compensatorIntervalMs: number;
  readonly compensatorAgeMs: number;
  readonly compensatorConcurrency: number;
  readonly callbackKeepMs: number;
  readonly callKeepMs: number;
  readonly attemptWindowMs: number;
  readonly topUpRules: string | null;
  readonly topUpPayWindowMs: number;
  readonly settlementIntervalMs: number;
  readonly settlementAgeMs: number;
  readonly proposalTtlMs: number;
  readonly decisionIntervalMs: number;
  readonly activeCheckIntervalMs: number;
  readonly activeCheckAgeMs: number;
  readonly agentPerBorrowerHour: number;
  readonly ledgerUrl: string | null;
  readonly ledgerToken: string | null;
  readonly ledgerTimeoutMs: number;
  readonly ledgerBatch: number;
  readonly ledgerConcurrency: number;
  readonly ledgerIdleMs: number;
  readonly ledgerConfirmMs: number;
  readonly ledgerRetryMs: readonly number[];
  readonly outboxKeepMs: number;
  readonly noticePerDestination: number;
  readonly noticeIdleMs: number;
  readonly noticeTimeoutMs: number;
  readonly noticeClaimMs: number;
  readonly noticeRetryMs: readonly number[];
  readonly noticeGiveUpMs: number;
  readonly noticeKeepMs: number;
  readonly noticeAllowInternal: boolean;
  readonly bodyLimitBytes: number;
  readonly uploadLimitBytes: number;
}

/**
 * @throws RecoupError `config_invalid` with every problem at once, each {variable, message}. No
 *   value is repeated in it: a URL may hold a password.
 */
export function loadConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
  const parsed = schema.safeParse(given);
  const problems = (parsed.error?.issues ?? []).map((issue) => ({
    variable: String(issue.path[0] ?? ''),
    message:
      given[String(issue.path[0])] === undefined ? 'it is required and not set' : issue.message,
  }));
  const unknown = Object.keys(given).filter((name) => !isVariable(name));
  for (const variable of unknown) problems.push({ variable, message: 'there is no such variable' });
  if (!isZone(parsed.data?.RECOUP_BUSINESS_ZONE ?? 'UTC')) {
    problems.push({ variable: 'RECOUP_BUSINESS_ZONE', message: 'not a time zone name' });
  }
  if (!parsed.success || problems.length > 0) throw new RecoupError('config_invalid', { problems });
  const { data } = parsed;
  return {
    databaseUrl: data.RECOUP_DATABASE_URL,
    migrationUrl: data.RECOUP_MIGRATION_URL ?? data.RECOUP_DATABASE_URL,
    redisUrl: data.RECOUP_REDIS_URL,
    httpHost: data.RECOUP_HTTP_HOST,
    httpPort: data.RECOUP_HTTP_PORT,
    metricsPort: data.RECOUP_METRICS_PORT ?? null,
    metricsHost: data.RECOUP_METRICS_HOST,
    logLevel: data.RECOUP_LOG_LEVEL,
    businessZone: data.RECOUP_BUSINESS_ZONE,
    databasePool: data.RECOUP_DATABASE_POOL,
    lockLeaseMs: data.RECOUP_LOCK_LEASE_MS,
    pollConcurrency: data.RECOUP_POLL_CONCURRENCY,
    queueWaiting: data.RECOUP_QUEUE_WAITING,
    queueHelpers: data.RECOUP_QUEUE_HELPERS,
    batchInFlight: data.RECOUP_BATCH_IN_FLIGHT,
    batchClaimMs: data.RECOUP_BATCH_CLAIM_MS,
    compensatorIntervalMs: data.RECOUP_COMPENSATOR_INTERVAL_MS,
    compensatorAgeMs: data.RECOUP_COMPENSATOR_AGE_MS,
    compensatorConcurrency: data.RECOUP_COMPENSATOR_CONCURRENCY,
    callbackKeepMs: data.RECOUP_CALLBACK_KEEP_MS,
    callKeepMs: data.RECOUP_CALL_KEEP_MS,
    attemptWindowMs: data.RECOUP_ATTEMPT_WINDOW_MS,
    topUpRules: data.RECOUP_TOP_UP_RULES ?? null,
    topUpPayWindowMs: data.RECOUP_TOP_UP_PAY_WINDOW_MS,
    settlementIntervalMs: data.RECOUP_SETTLEMENT_INTERVAL_MS,
    settlementAgeMs: data.RECOUP_SETTLEMENT_AGE_MS,
    proposalTtlMs: data.RECOUP_PROPOSAL_TTL_MS,
    decisionIntervalMs: data.RECOUP_DECISION_INTERVAL_MS,
    activeCheckIntervalMs: data.RECOUP_ACTIVE_CHECK_INTERVAL_MS,
    activeCheckAgeMs: data.RECOUP_ACTIVE_CHECK_AGE_MS,
    agentPerBorrowerHour: data.RECOUP_AGENT_PER_BORROWER_HOUR,
    ledgerUrl: data.RECOUP_LEDGER_URL ?? null,
    ledgerToken: data.RECOUP_LEDGER_TOKEN ?? null,
    ledgerTimeoutMs: data.RECOUP_LEDGER_TIMEOUT_MS,
    ledgerBatch: data.RECOUP_LEDGER_BATCH,
    ledgerConcurrency: data.RECOUP_LEDGER_CONCURRENCY,
    ledgerIdleMs: data.RECOUP_LEDGER_IDLE_MS,
    ledgerConfirmMs: data.RECOUP_LEDGER_CONFIRM_MS,
    ledgerRetryMs: data.RECOUP_LEDGER_RETRY_MS,
    outboxKeepMs: data.RECOUP_OUTBOX_KEEP_MS,
    noticePerDestination: data.RECOUP_NOTICE_PER_DESTINATION,
    noticeIdleMs: data.RECOUP_NOTICE_IDLE_MS,
    noticeTimeoutMs: data.RECOUP_NOTICE_TIMEOUT_MS,
    noticeClaimMs: data.RECOUP_NOTICE_CLAIM_MS,
    noticeRetryMs: data.RECOUP_NOTICE_RETRY_MS,
    noticeGiveUpMs: data.RECOUP_NOTICE_GIVE_UP_MS,
    noticeKeepMs: data.RECOUP_NOTICE_KEEP_MS,
    noticeAllowInternal: data.RECOUP_NOTICE_ALLOW_INTERNAL === 'yes',
    bodyLimitBytes: data.RECOUP_BODY_LIMIT_BYTES,
    uploadLimitBytes: data.RECOUP_UPLOAD_LIMIT_BYTES,
  };
}

/** Earlier releases had these. They do nothing, and do not keep anything from starting. */
const retired: readonly string[] = ['RECOUP_IN_FLIGHT_KEEP_MS'];

const isVariable = (name: string): boolean =>
  !name.startsWith('RECOUP_') ||
  name in schema.shape ||
  retired.includes(name) ||
  otherVariable(name);

/** Variables that channel profiles name, and those of the project's own scripts. */
const otherVariable = (name: string): boolean =>
  /^RECOUP_(SANDBOX|CHANNEL|RUN|TEST|DEMO|SETUP|NOTICE_SECRET)_|^RECOUP_(ALLOW_TYPE_ERRORS|SERVER_PATH|OPERATOR_KEY)$/.test(
    name,
  );

function isZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).format(0) !== '';
  } catch {
    return false;
  }
}
