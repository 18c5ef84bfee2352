import type { Clock } from '../clock.js';
import type { BankAccount } from '../engine/order.js';
import type { Executor } from '../engine/executor.js';
import type { Router } from '../engine/ports.js';
import type { Party, Withdrawal } from '../engine/requests.js';
import type { Task } from '../engine/tasks.js';
import { RecoupError } from '../errors.js';
import { newTaskId, type ChannelId, type TaskId } from '../ids.js';
import type { AmountMinor, Currency } from '../money.js';
import { noChannel } from './deduction-desk.js';
import type { Member } from './member.js';
import { once, type TaskStarted } from './once.js';
import type { WithdrawalRecord } from './withdrawal.js';

/** What the desk reads. `store/` and `channels/` provide it. */
export interface WithdrawalDeskReads {
  member(id: string, currency: Currency): Promise<Member | null>;
  byRequest(requestKey: string): Promise<WithdrawalRecord | null>;
  /** How debits and their restoring at a service are to be judged; null where it offers none. */
  accountService(id: ChannelId): (Party & { readonly paused: boolean }) | null;
}

export interface WithdrawalRequest {
  readonly memberId: string;
  readonly amountMinor: AmountMinor;
  readonly currency: Currency;
  /** Where the money goes. */
  readonly account: BankAccount;
  /** Null: the member's balance in our tables; else an account at a remote service. */
  readonly accountService: { readonly id: ChannelId; readonly account: BankAccount } | null;
  readonly requestKey: string;
  readonly requestDigest: string;
}

/**
 * Checks a request and starts the withdrawal. What is checked of the balance here is checked again by a
 * CHECK in the transaction that accepts the withdrawal and takes it; reading first serves the clear
 * answer, not the safety.
 */
export class WithdrawalDesk {
  constructor(
    private readonly reads: WithdrawalDeskReads,
    private readonly router: Router,
    private readonly executor: Pick<Executor<Task>, 'start'>,
    private readonly clock: Clock,
    private readonly settings: {
      readonly attemptWindowMs: number;
      /** For the simulator, where the same seed must give the same ids. */
      readonly newTaskId?: () => TaskId;
    },
  ) {}

  /**
   * Resolves once the withdrawal is accepted, durably, and the balance taken. The same request again is
   * the same withdrawal.
   *
   * @throws RecoupError `amount_not_positive`, `member_unknown`, `balance_too_low`,
   *   `account_service_unknown`, `bank_unknown`, `no_eligible_channel`, `idempotency_key_reused`,
   *   `busy` or `journal_unavailable`. Nothing was written, but for the last.
   */
  async start(request: WithdrawalRequest): Promise<TaskStarted> {
    return await once(
      async () => await this.#known(request),
      async () => await this.#start(request),
    );
  }

  /** @throws RecoupError `idempotency_key_reused` */
  async #known({ requestKey, requestDigest }: WithdrawalRequest): Promise<TaskStarted | null> {
    const known = await this.reads.byRequest(requestKey);
    if (known === null) return null;
    if (known.requestDigest !== requestDigest) {
      throw new RecoupError('idempotency_key_reused', { withdrawal_id: known.id });
    }
    return { id: known.id, finished: null };
  }

  async #start(request: WithdrawalRequest): Promise<TaskStarted> {
    const { amountMinor, currency, account } = request;
    if (amountMinor <= 0n) throw new RecoupError('amount_not_positive');
    const funding = this.#funding(request);
    if (funding === null) await this.#checkBalance(request);
    const withdrawal = this.#withdrawal(request, funding);
    const route = await this.router.plan({
      operation: 'payout',
      taskId: withdrawal.id,
      bankCode: account.bankCode,
      amountMinor,
      currency,
      exclude: [],
    });
    if (route.places.length === 0) throw noChannel(route, account.bankCode);

    const atMs = this.clock.nowMs();
    const { accepted, finished } = this.executor.start([
      { kind: 'withdrawal_accepted', atMs, withdrawal },
      { kind: 'routed', atMs, route },
    ]);
    await accepted;
    return { id: withdrawal.id, finished };
  }

  #funding({ accountService }: WithdrawalRequest): Withdrawal['funding'] {
    if (accountService === null) return null;
    const service = this.reads.accountService(accountService.id);
    if (service === null) {
      throw new RecoupError('account_service_unknown', { account_service: accountService.id });
    }
    const { channelId, nature, orderTtlMs, paused } = service;
    if (paused) {
      const rejected = [{ channel_id: channelId, code: 'paused', reason: 'paused by an operator' }];
      throw new RecoupError('no_eligible_channel', { rejected });
    }
    return { party: { channelId, nature, orderTtlMs }, account: accountService.account };
  }

  async #checkBalance({ memberId, currency, amountMinor }: WithdrawalRequest): Promise<void> {
    const member = await this.reads.member(memberId, currency);
    if (member === null) throw new RecoupError('member_unknown', { member_id: memberId });
    if (member.balanceMinor < amountMinor) throw new RecoupError('balance_too_low');
  }

  #withdrawal(request: WithdrawalRequest, funding: Withdrawal['funding']): Withdrawal {
    return {
      id: (this.settings.newTaskId ?? newTaskId)(),
      memberId: request.memberId,
      amountMinor: request.amountMinor,
      currency: request.currency,
      account: request.account,
      funding,
      requestKey: request.requestKey,
      requestDigest: request.requestDigest,
      attemptUntilMs: this.clock.nowMs() + this.settings.attemptWindowMs,
    };
  }
}
