/** Withdrawals and members' accounts for an embedding application. */
import { outcomeOf, waitOf } from './await.js';
import { checkedAccount, invalid } from './checks.js';
import type { Embedding, WaitOptions } from './embedding.js';
import type { BankAccount } from '../engine/order.js';
import { RecoupError } from '../errors.js';
import { isChannelId, isRepaymentId as isOwnId, isTaskId } from '../ids.js';
import type { Member, MemberEntry } from '../intake/member.js';
import { isNewOwnId, ownIdRule } from '../intake/due-file.js';
import { storyOf, type TaskStory } from '../intake/task-story.js';
import { balanceBank, type WithdrawalRecord } from '../intake/withdrawal.js';
import type { WithdrawalRequest } from '../intake/withdrawal-desk.js';
import { amountMinor, type Currency } from '../money.js';
import { digestOf, requestKeyOf } from '../request-key.js';

export interface WithdrawRequest {
  readonly memberId: string;
  /** Minor units (fen). */
  readonly amountMinor: bigint | number;
  readonly currency?: Currency;
  /** Where it is paid to: a token, never an account number. */
  readonly account: BankAccount;
  /** The remote service that keeps the balance; left out: a balance kept here. */
  readonly accountService?: { readonly id: string; readonly token: string; readonly last4: string };
  /** Yours, 1 to 128 printable ASCII characters: the same key is the same withdrawal, for ever. */
  readonly key: string;
}

/** A withdrawal with all that is known of it. */
export interface WithdrawalStory extends TaskStory {
  readonly withdrawal: WithdrawalRecord;
}

export interface MemberStory {
  readonly member: Member;
  /** The money log, newest first, 1,000 lines at most. */
  readonly entries: readonly MemberEntry[];
}

const entriesMax = 1_000;

export class Withdrawals {
  constructor(private readonly embedding: Embedding) {}

  /**
   * Takes the balance and pays it out. `succeeded` or `failed` (nothing was paid, and what was taken
   * was given back) are final; `processing` and `needs_review` say that the outcome is not known yet.
   *
   * @throws RecoupError `amount_not_positive`, `member_unknown`, `balance_too_low`,
   *   `account_service_unknown`, `bank_unknown`, `no_eligible_channel`, `busy`, `invalid_request`,
   *   `idempotency_key_reused`, `idempotency_key_invalid`: nothing moved. `journal_unavailable`:
   *   repeat with the same key.
   */
  async start(request: WithdrawRequest, options: WaitOptions = {}): Promise<WithdrawalRecord> {
    const { services, scope, openChannels, track } = this.embedding;
    const { flows, clock } = services;
    const asked = checked(request, scope);
    await openChannels();
    const wait = waitOf(options.waitMs, clock.monotonicMs());
    const { id, finished } = await flows.withdrawalDesk.start(asked);
    const firstRun = finished === null ? null : track(finished);
    const find = flows.withdrawals.find.bind(flows.withdrawals);
    return await outcomeOf(services, { id, firstRun, wait, find });
  }

  /** Null when there is no such withdrawal. */
  async show(id: string): Promise<WithdrawalStory | null> {
    const { flows, deductions: tasks } = this.embedding.services;
    const withdrawal = isTaskId(id) ? await flows.withdrawals.find(id) : null;
    return withdrawal && { withdrawal, ...(await storyOf(tasks, withdrawal.id)) };
  }
}

export class MemberAccounts {
  constructor(private readonly embedding: Pick<Embedding, 'services'>) {}

  /** Opens an account; one that is there is left as it is. */
  async open(id: string, currency: Currency = 'CNY'): Promise<Member> {
    const { flows, clock } = this.embedding.services;
    if (!isNewOwnId(id)) throw invalid('id', ownIdRule);
    await flows.members.open(id, currency, clock.nowMs());
    return (await this.show(id, currency)).member;
  }

  /**
   * Adds to a balance what was paid in elsewhere. The same `depositId` is the same deposit.
   *
   * @throws RecoupError `member_unknown`, `amount_not_positive`, `deposit_differs`; nothing moved.
   */
  async deposit(
    id: string,
    deposit: { readonly depositId: string; readonly amountMinor: bigint | number },
    currency: Currency = 'CNY',
  ): Promise<Member> {
    const { flows, clock } = this.embedding.services;
    const { depositId: causeId, amountMinor: amount } = deposit;
    if (!isNewOwnId(causeId)) throw invalid('depositId', ownIdRule);
    if (amount <= 0) throw new RecoupError('amount_not_positive');
    const { member } = await this.show(id, currency);
    const asked = { causeId, memberId: member.id, amountMinor: amountMinor(amount), currency };
    await flows.members.deposit(asked, clock.nowMs());
    return (await this.show(id, currency)).member;
  }

  /** @throws RecoupError `member_unknown` */
  async show(id: string, currency: Currency = 'CNY'): Promise<MemberStory> {
    const { members } = this.embedding.services.flows;
    const member = isOwnId(id) ? await members.find(id, currency) : null;
    if (member === null) throw new RecoupError('member_unknown', { member_id: id.slice(0, 80) });
    return { member, entries: await members.entries(id, currency, entriesMax) };
  }
}

function checked(request: WithdrawRequest, scope: string): WithdrawalRequest {
  const { key, memberId, account, accountService, currency = 'CNY' } = request;
  const requestKey = requestKeyOf(scope, key);
  if (!isNewOwnId(memberId)) throw invalid('memberId', ownIdRule);
  if (request.amountMinor <= 0) throw new RecoupError('amount_not_positive');
  const { token, bankCode, last4 } = checkedAccount(account, 'account');
  const service = accountService === undefined ? null : checkedService(accountService);
  const from = service === null ? [null] : [service.id, service.account.token];
  const amount = amountMinor(request.amountMinor);
  const says = [memberId, String(amount), currency, bankCode, token, last4, ...from];
  return {
    memberId,
    amountMinor: amount,
    currency,
    account: { token, bankCode, last4 },
    accountService: service,
    requestKey,
    requestDigest: digestOf(says),
  };
}

function checkedService(service: NonNullable<WithdrawRequest['accountService']>) {
  const { id, token, last4 } = service;
  if (!isChannelId(id)) throw new RecoupError('account_service_unknown');
  const account = checkedAccount({ token, last4, bankCode: balanceBank }, 'accountService');
  return { id, account };
}
