/**
 * Recoup inside an application: `import { createRecoup } from 'recoup'`.
 *
 * The same engine that `recoup serve` and `recoup worker` run, on the same MariaDB and Redis; any
 * number of processes, embedding or not, may share them. docs/embedding.md has the whole story and
 * examples/embed.ts runs.
 */
import { basename } from 'node:path';
import { loadProfiles } from './channels/load-profiles.js';
import { compose, type Services } from './composition/root.js';
import { loadConfig, type Config } from './config.js';
import { outcomeOf, waitOf, type Wait } from './embedded/await.js';
import { checkedAgent, checkedAmount } from './embedded/checks.js';
import type { Embedding, WaitOptions } from './embedded/embedding.js';
import { TopUps } from './embedded/top-ups.js';
import { MemberAccounts, Withdrawals } from './embedded/withdrawals.js';
import type { Log } from './engine/ports.js';
import { isCode, RecoupError } from './errors.js';
import { AgentDesk } from './http/agent-desk.js';
import { isRepaymentId, isTaskId, type ChannelId, type TaskId } from './ids.js';
import type { Batch, BatchProgress } from './intake/batch.js';
import type { LoadedBatch } from './intake/batch-desk.js';
import type { DeductionRequest, Started } from './intake/deduction-desk.js';
import type { DeductionFilter, DeductionRecord } from './intake/records.js';
import type { NewRepayment } from './intake/repayment.js';
import { storyOf, type TaskStory } from './intake/task-story.js';
import type { TrialBalance } from './ledger/records.js';
import { createLog } from './log.js';
import { digestOf, requestKeyOf } from './request-key.js';
import { migrate, pendingMigrations } from './store/migrate.js';

export { type Config, loadConfig } from './config.js';
export { type ErrorCode, RecoupError, errorTable } from './errors.js';
export { type AmountMinor, amountMinor, formatDecimalAmount, parseDecimalAmount } from './money.js';
export { type RepaymentId, repaymentId, type TaskId, taskId } from './ids.js';
export type { Log } from './engine/ports.js';
export type { Batch, BatchProgress } from './intake/batch.js';
export type { LoadedBatch } from './intake/batch-desk.js';
export type {
  AttemptRecord,
  CaseRecord,
  DeductionFilter,
  DeductionRecord,
  LoggedEntry,
} from './intake/records.js';
export type { NewRepayment } from './intake/repayment.js';
export type { Member, MemberEntry } from './intake/member.js';
export type { TopUpRecord } from './intake/top-up.js';
export type { WithdrawalRecord } from './intake/withdrawal.js';
export type { WaitOptions } from './embedded/embedding.js';
export type { TopUpStory, TopUpStartRequest } from './embedded/top-ups.js';
export type { MemberStory, WithdrawalStory, WithdrawRequest } from './embedded/withdrawals.js';
export {
  type ReceivedHeaders,
  type Verified,
  verifyNotice,
  type VerifyOptions,
} from './notices/signature.js';
export type { AccountBalance, TrialBalance } from './ledger/records.js';

type Environment = Readonly<Record<string, string | undefined>>;

export interface RecoupOptions {
  /** Wins over `env`. Durations in ms; see `loadConfig` for the defaults. */
  readonly config?: Partial<Config>;
  /** `RECOUP_…` variables, and whatever the channels' profiles name. `process.env` unless given. */
  readonly env?: Environment;
  /** Your own log. Recoup hands it ids and codes, never tokens or secrets. */
  readonly log?: Log;
  /** Names this process in the execution log. */
  readonly name?: string;
}

export interface DeductRequest {
  readonly repaymentId: string;
  /** Minor units (fen); left out: all that is outstanding. */
  readonly amountMinor?: bigint | number;
  /** Yours, 1 to 128 printable ASCII characters: the same key is the same deduction, for ever. */
  readonly key: string;
  /** A person asks: their name and why, 4 to 500 characters. It is kept for the audit. */
  readonly agent?: { readonly name: string; readonly reason: string };
}

/** A deduction with all that is known of it. */
export interface DeductionStory extends TaskStory {
  readonly deduction: DeductionRecord;
}

export interface BatchStory {
  readonly batch: Batch;
  readonly progress: BatchProgress;
}

export interface Recoup {
  /** Names this process in the log. */
  readonly instanceId: string;
  /**
   * Collects. Resolves with the deduction as it stands: `succeeded` or `failed` are final;
   * `processing` and `needs_review` say that the outcome is not known yet, never that it failed.
   * The same key with the same content finds the same deduction.
   *
   * @throws RecoupError `repayment_unknown`, `repayment_settled`, `amount_not_positive`,
   *   `amount_exceeds_due`, `live_deduction_exists`, `bank_unknown`, `no_eligible_channel`, `busy`,
   *   `idempotency_key_reused`, `idempotency_key_invalid`, `agent_reason_missing`, `rate_limited`,
   *   `invalid_request`: nothing was charged. `journal_unavailable`: repeat with the same key.
   */
  deduct(request: DeductRequest, options?: WaitOptions): Promise<DeductionRecord>;
  /** Balances that are paid out, and the accounts they are taken from. */
  readonly withdrawals: Withdrawals;
  /** Stored-value cards that customers pay for. */
  readonly topUps: TopUps;
  readonly members: MemberAccounts;
  /** Null when there is no such deduction. */
  show(id: string): Promise<DeductionStory | null>;
  /** Deductions, newest first, 50 unless `limit` says otherwise; `before` the last one's id: the next page. */
  list(filter?: Partial<DeductionFilter>): Promise<readonly DeductionRecord[]>;
  /** Registers repayments; one that is registered already is left as it is. */
  registerRepayments(repayments: readonly NewRepayment[]): Promise<void>;
  /**
   * Adds or replaces channels from a YAML or JSON text.
   *
   * @throws RecoupError `channels_invalid` with every problem by line; nothing was written.
   */
  importChannels(text: string): Promise<readonly ChannelId[]>;
  /**
   * Loads a CSV of due repayments and sets the batch running; workers (see `startWorker`) collect
   * it. The same file is the same batch, unless `again` says otherwise.
   *
   * @throws RecoupError `csv_headers`, `csv_empty`.
   */
  loadBatch(path: string, options?: { name?: string; again?: string }): Promise<LoadedBatch>;
  /** @throws RecoupError `batch_unknown`. */
  batch(id: string): Promise<BatchStory>;
  /**
   * Starts collecting batches, asking channels, resuming what was left, posting to the ledger and
   * sending notices, in this process, until `close`.
   *
   * @throws RecoupError `schema_outdated`.
   */
  startWorker(): Promise<void>;
  /** The books: totals of every account, and what is not in them yet. */
  trialBalance(): Promise<TrialBalance>;
  /** Brings the schema up to date; returns what was applied. */
  migrate(): Promise<readonly string[]>;
  /** Resolves when no run that `deduct` started is under way in this process. */
  settle(): Promise<void>;
  /** Waits for what is under way, and lets every connection go. */
  close(): Promise<void>;
}

/**
 * Opens Recoup in this process.
 *
 * @throws RecoupError `config_invalid` with every problem at once.
 */
export async function createRecoup(options: RecoupOptions = {}): Promise<Recoup> {
  const env = options.env ?? process.env;
  const config = loadConfig({ ...env, ...asVariables(options.config ?? {}) });
  const log = options.log ?? createLog(config.logLevel, { part: 'recoup' });
  const { name } = options;
  const services = compose({ config, env, log, ...(name === undefined ? {} : { name }) });
  try {
    await services.metrics?.listen();
    return embed(services);
  } catch (error) {
    await services.close();
    throw error;
  }
}

/** A configuration by object takes the way of the environment: one schema, one set of messages. */
function asVariables(config: Partial<Config>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(config)
      .filter(([, value]) => value !== undefined && value !== null)
      .map(([name, value]) => [
        `RECOUP_${name.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`,
        String(value),
      ]),
  );
}

/** The same over services that are open already. `scope` keeps the callers' keys apart. */
export function embed(services: Services, scope = 'embedded'): Recoup {
  return new EmbeddedRecoup(services, scope);
}

const rowsPerStatement = 500;

class EmbeddedRecoup implements Recoup {
  readonly #underWay = new Set<Promise<unknown>>();
  readonly withdrawals: Withdrawals;
  readonly topUps: TopUps;
  readonly members: MemberAccounts;
  readonly #agentDesk: AgentDesk;
  #channelsRead: Promise<void> | null = null;

  constructor(
    private readonly services: Services,
    private readonly scope: string,
  ) {
    const audit = (by: { name: string }, action: string, subject: string, detail: object) =>
      services.access.audit(
        { actor: `${by.name} (${scope})`, action, subject, detail: JSON.stringify(detail) },
        services.clock.nowMs(),
      );
    const embedding: Embedding = {
      services,
      scope,
      openChannels: async () => await this.#openChannels(),
      track: (finished) => this.#track(finished),
    };
    this.withdrawals = new Withdrawals(embedding);
    this.topUps = new TopUps(embedding);
    this.members = new MemberAccounts({ services });
    this.#agentDesk = new AgentDesk({ ...services, audit }, services.config.agentPerBorrowerHour);
  }

  get instanceId(): string {
    return this.services.instanceId;
  }

  async deduct(request: DeductRequest, options: WaitOptions = {}): Promise<DeductionRecord> {
    const { clock } = this.services;
    const requestKey = requestKeyOf(this.scope, request.key);
    const agent = request.agent === undefined ? null : checkedAgent(request.agent);
    const { repaymentId: repayment, amountMinor: amount } = request;
    if (!isRepaymentId(repayment)) {
      throw new RecoupError('repayment_unknown', { repayment_id: repayment.slice(0, 80) });
    }
    const whole = amount === undefined ? null : checkedAmount(amount);
    const sum = whole === null ? 'all' : String(whole);
    const { name = null, reason = null } = request.agent ?? {};
    const requestDigest = digestOf([repayment, sum, name, reason]);
    await this.#openChannels();
    const wait = waitOf(options.waitMs, clock.monotonicMs());
    const known = await this.#known(requestKey, requestDigest);
    if (known !== null) return await this.#await(known, null, wait);
    try {
      const { deductionId, finished } = await this.#start({
        source: agent === null ? 'app' : 'agent',
        repaymentId: repayment,
        amountMinor: whole,
        requestKey,
        requestDigest,
        batchId: null,
        agent,
      });
      return await this.#await(deductionId, this.#track(finished), wait);
    } catch (error) {
      // Somebody else was quicker with the same key: theirs is the deduction.
      const same = isCode(error, 'request_repeated')
        ? await this.#known(requestKey, requestDigest)
        : null;
      if (same === null) throw error;
      return await this.#await(same, null, wait);
    }
  }

  async show(id: string): Promise<DeductionStory | null> {
    const { deductions } = this.services;
    const deduction = isTaskId(id) ? await deductions.find(id) : null;
    return deduction && { deduction, ...(await storyOf(deductions, deduction.id)) };
  }

  async list(filter: Partial<DeductionFilter> = {}): Promise<readonly DeductionRecord[]> {
    return await this.services.deductions.list({ limit: 50, ...filter });
  }

  async registerRepayments(repayments: readonly NewRepayment[]): Promise<void> {
    for (let from = 0; from < repayments.length; from += rowsPerStatement) {
      const some = repayments.slice(from, from + rowsPerStatement);
      await this.services.repayments.register(some, this.services.clock.nowMs());
    }
  }

  async importChannels(text: string): Promise<readonly ChannelId[]> {
    const loaded = loadProfiles(text);
    await this.services.channelStore.save(
      loaded.map(({ profile, document }) => ({
        channelId: profile.id,
        profileJson: JSON.stringify(document),
      })),
      this.services.clock.nowMs(),
    );
    this.#channelsRead = null;
    return loaded.map(({ profile }) => profile.id);
  }

  async loadBatch(
    path: string,
    { name = basename(path), again = '' }: { name?: string; again?: string } = {},
  ): Promise<LoadedBatch> {
    return await this.services.batchDesk.load(path, name, again);
  }

  async batch(id: string): Promise<BatchStory> {
    if (!isTaskId(id)) throw new RecoupError('batch_unknown', { batch_id: id.slice(0, 80) });
    const batch = await this.services.batchDesk.find(id);
    return { batch, progress: await this.services.batches.progress(batch.id) };
  }

  async startWorker(): Promise<void> {
    await this.#openChannels();
    this.services.startWork();
  }

  async trialBalance(): Promise<TrialBalance> {
    return await this.services.ledger.reads.trialBalance();
  }

  async migrate(): Promise<readonly string[]> {
    const { config, log } = this.services;
    return await migrate(config.migrationUrl, config.databaseUrl, log);
  }

  async settle(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.allSettled(this.#underWay);
  }

  async close(): Promise<void> {
    await this.settle();
    await this.services.close();
  }

  /** The directory reads itself again every few seconds; only the first time must be waited for. */
  async #openChannels(): Promise<void> {
    this.#channelsRead ??= this.#readChannels().catch((error: unknown) => {
      this.#channelsRead = null;
      throw error;
    });
    await this.#channelsRead;
  }

  async #readChannels(): Promise<void> {
    const pending = await pendingMigrations(this.services.database);
    if (pending.length > 0) throw new RecoupError('schema_outdated', { pending });
    await this.services.directory.refresh();
  }

  /** By hand: with a reason, audited, and only so often for one borrower. */
  async #start(request: DeductionRequest): Promise<Started> {
    const { agent } = request;
    if (agent === null) return await this.services.desk.start(request);
    return await this.#agentDesk.start(request, {
      id: this.scope,
      name: agent.name,
      role: 'agent',
    });
  }

  async #known(requestKey: string, requestDigest: string): Promise<TaskId | null> {
    const known = await this.services.deductions.findByRequest(requestKey);
    if (known === null) return null;
    if (known.requestDigest !== requestDigest) {
      throw new RecoupError('idempotency_key_reused', { deduction_id: known.id });
    }
    return known.id;
  }

  #track(finished: Promise<unknown>): Promise<unknown> {
    const settled = finished.catch((error: unknown) => {
      // It is accepted and in the in-flight log: the compensator goes on with it.
      this.services.log.warn('run interrupted', { why: String(error) });
    });
    this.#underWay.add(settled);
    void settled.finally(() => this.#underWay.delete(settled));
    return settled;
  }

  async #await(
    id: TaskId,
    firstRun: Promise<unknown> | null,
    wait: Wait,
  ): Promise<DeductionRecord> {
    const { deductions } = this.services;
    const find = deductions.find.bind(deductions);
    return await outcomeOf(this.services, { id, firstRun, wait, find });
  }
}
