/**
 * Every metric of our own, in one table: docs/metrics.md prints it, and a test compares the two.
 *
 * Labels hold codes and the ids of channels and destinations, which an operator chose: never what
 * names a task, an order, a borrower or an account. Node's own metrics come from prom-client.
 */
export interface Definition {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly labels: readonly string[];
  readonly help: string;
  /** When whoever is on call should worry. */
  readonly worry: string;
  readonly unit: string;
  /** Upper bounds, of a histogram. */
  readonly buckets?: readonly number[];
}

type Labels = readonly string[];

const unitOf = (name: string): string => {
  if (name.endsWith('_seconds')) return 'seconds';
  return /_(ok|paused|breaker_open)$/.test(name) ? '0 or 1' : 'count';
};

const counter = (name: string, labels: Labels, help: string, worry: string): Definition => {
  return { name, type: 'counter', labels, help, worry, unit: 'count' };
};
const gauge = (name: string, labels: Labels, help: string, worry: string): Definition => {
  return { name, type: 'gauge', labels, help, worry, unit: unitOf(name) };
};
const histogram = (
  name: string,
  labels: Labels,
  help: string,
  worry: string,
  buckets: readonly number[],
): Definition => {
  return { name, type: 'histogram', labels, help, worry, unit: unitOf(name), buckets };
};

const secondsOfCalls = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const secondsOfCommits = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5];

/** What the process has counted since it started. */
export const counted = {
  runs: counter(
    'recoup_runs_total',
    ['kind', 'outcome'],
    'Runs of tasks that ended, by what they left behind.',
    '`threw`: the database is away, or a bug. `lease_lost`: the event loop stalls. `busy`, `overtaken`: two ran one task; a few are usual.',
  ),
  runSeconds: histogram(
    'recoup_run_seconds',
    ['kind'],
    'How long runs of tasks took, lock and calls included.',
    'Higher than what the channels take: see locks and the journal.',
    secondsOfCalls,
  ),
  lockSeconds: histogram(
    'recoup_lock_wait_seconds',
    ['outcome'],
    'How long a run waited for its record: granted, or busy to the end.',
    '`busy` rises: somebody holds records for long, or wake-ups come twice.',
    secondsOfCommits,
  ),
  answers: counter(
    'recoup_channel_answers_total',
    ['channel', 'operation', 'reply'],
    'Answers of channels, and what came instead of one.',
    '`unknown` or `not_executed` above a few per cent; `mismatch` ever.',
  ),
  callSeconds: histogram(
    'recoup_channel_call_seconds',
    ['channel', 'operation'],
    'How long calls of channels took, time-outs included.',
    "A p99 near the profile's time-outs.",
    secondsOfCalls,
  ),
  callbacks: counter(
    'recoup_callbacks_total',
    ['channel', 'verdict'],
    'Callbacks of channels, by what became of them.',
    '`forged`, `mismatch` ever: look at who sends them. `put_off`: we cannot take them.',
  ),
  commitSeconds: histogram(
    'recoup_journal_transaction_seconds',
    ['outcome'],
    'Transactions of the journal: committed, or why not; what failed is tried again whole.',
    'A p99 above 0.5 s; `ambiguous` or `other` ever; `retry` beyond a few.',
    secondsOfCommits,
  ),
  commitWrites: histogram(
    'recoup_journal_transaction_writes',
    [],
    'Writes of tasks in one committed transaction of the journal.',
    'Nothing: it grows with the load, and that is what keeps up with it.',
    [1, 2, 4, 8, 16, 32, 64, 128, 256],
  ),
  unavailable: counter(
    'recoup_journal_unavailable_total',
    [],
    'Writes of tasks given up: the database took none of them for too long.',
    'Ever: the database takes no writes.',
  ),
  sweepSeconds: histogram(
    'recoup_sweep_seconds',
    ['kind'],
    "How long the compensator's sweeps took.",
    'No sweep for 15 minutes: no worker runs, or the database is away.',
    [0.01, 0.1, 0.5, 1, 5, 15, 60, 180],
  ),
  swept: counter(
    'recoup_sweep_claimed_total',
    ['kind'],
    'Overdue tasks that the compensator claimed.',
    'Rises while no process was killed: wake-ups are lost (Redis).',
  ),
  requests: counter(
    'recoup_http_requests_total',
    ['method', 'route', 'status'],
    'HTTP requests answered.',
    '5xx other than 503.',
  ),
  requestSeconds: histogram(
    'recoup_http_request_seconds',
    ['route'],
    'How long HTTP requests took; one with Prefer: wait takes as long as it waits.',
    'Higher than the runs.',
    secondsOfCalls,
  ),
  refusals: counter(
    'recoup_http_refusals_total',
    ['code'],
    'HTTP requests refused, by the code of the error; overloaded is the gate.',
    '`overloaded`: more is asked than one process takes at once. `journal_unavailable`.',
  ),
} as const satisfies Readonly<Record<string, Definition>>;

/** What is true now, and is asked for when somebody scrapes. */
export const seen = {
  tasks: gauge(
    'recoup_tasks',
    ['kind', 'status'],
    'Tasks that have not ended.',
    '`processing` grows and does not shrink; `needs_review` is work for people.',
  ),
  taskAge: gauge(
    'recoup_task_oldest_seconds',
    ['kind', 'status'],
    'Age of the oldest task that has not ended; 0: there is none.',
    'Older than the longest poll schedule.',
  ),
  wakeUps: gauge(
    'recoup_wake_ups_overdue',
    ['kind'],
    'Tasks whose wake-up is overdue, by the in-flight log.',
    'Hundreds for minutes: workers do not keep up.',
  ),
  wakeUpAge: gauge(
    'recoup_wake_up_overdue_seconds',
    ['kind'],
    'How overdue the longest overdue wake-up is; 0: there is none.',
    'Above 600: neither the queue nor the compensator moves it.',
  ),
  attempts: gauge(
    'recoup_attempts_live',
    ['channel', 'status'],
    'Orders at channels without a definite answer: sending, pending, unknown, or unasked: a case.',
    '`unknown` of one channel rises: it does not answer.',
  ),
  attemptAge: gauge(
    'recoup_attempt_oldest_seconds',
    ['channel', 'status'],
    'Age of the oldest order without a definite answer.',
    '`unknown` above an hour. `sending` above a minute or two.',
  ),
  cases: gauge(
    'recoup_cases_open',
    ['source', 'reason'],
    'Open cases: what waits for a person.',
    'More than people decide in a day; `captured_twice`, `contradiction`, `log_*` ever.',
  ),
  caseAge: gauge(
    'recoup_case_oldest_seconds',
    ['source', 'reason'],
    'Age of the oldest open case.',
    'Above a day.',
  ),
  outbox: gauge(
    'recoup_outbox_undelivered',
    [],
    'Messages that the ledger has not confirmed.',
    'Grows: the ledger, or its consumers, stand still.',
  ),
  outboxAge: gauge(
    'recoup_outbox_oldest_seconds',
    [],
    'Age of the oldest message that the ledger has not confirmed; 0: there is none.',
    'Above 900.',
  ),
  notices: gauge(
    'recoup_notices_unsent',
    ['destination'],
    'Notices that a destination has not taken yet.',
    'Grows: the destination does not take them.',
  ),
  noticeAge: gauge(
    'recoup_notice_oldest_seconds',
    ['destination'],
    'Age of the oldest notice that a destination has not taken; 0: there is none.',
    'Above an hour: after a day they are given up.',
  ),
  batches: gauge(
    'recoup_batches',
    ['state'],
    'Batches that have not ended.',
    '`loading` for long: its upload died. `paused` and forgotten.',
  ),
  batchRows: gauge(
    'recoup_batch_rows_waiting',
    [],
    'Rows of running batches not yet started.',
    'Does not fall while a batch runs.',
  ),
  databaseOk: gauge(
    'recoup_database_read_ok',
    [],
    'Whether the last look at the database succeeded; 0: the metrics read there are left out.',
    '0 for minutes: the database is away or slow, and no alert that reads it can fire.',
  ),
  databaseSeconds: gauge(
    'recoup_database_read_seconds',
    [],
    'How long the last look at the database took.',
    'Above 1: something else loads the database, or the tables have grown.',
  ),
  databaseAge: gauge(
    'recoup_database_read_age_seconds',
    [],
    'How long ago the last look at the database was.',
    'Nothing by itself: looks are shared for 10 seconds, or 20 times as long as one took.',
  ),
  queueDue: gauge(
    'recoup_queue_due',
    ['kind'],
    'Wake-ups in Redis whose time has come and that nobody has taken.',
    "Above `RECOUP_QUEUE_WAITING` for long: that kind's third party hangs.",
  ),
  queueLater: gauge(
    'recoup_queue_later',
    ['kind'],
    'Wake-ups in Redis whose time is to come.',
    'Nothing: it is tonight’s asking.',
  ),
  redisOk: gauge(
    'recoup_redis_read_ok',
    [],
    'Whether Redis said how long its queues are; 0: the metrics read there are left out.',
    '0 for minutes: wake-ups wait for the compensator, and come minutes late.',
  ),
  breakers: gauge(
    'recoup_channel_breaker_open',
    ['channel', 'operation'],
    'Whether this process keeps away from a channel that does not answer; half open counts.',
    '1 for ten minutes.',
  ),
  paused: gauge(
    'recoup_channel_paused',
    ['channel'],
    'Whether the channel is paused.',
    '1 and forgotten.',
  ),
} as const satisfies Readonly<Record<string, Definition>>;

export const catalogue: readonly Definition[] = [...Object.values(counted), ...Object.values(seen)];
