import type { Clock } from '../clock.js';
import type { Executor } from '../engine/executor.js';
import type { BankAccount } from '../engine/order.js';
import type { Party, TopUp } from '../engine/requests.js';
import type { Route, RouteRequest } from '../engine/route.js';
import type { Task } from '../engine/tasks.js';
import { RecoupError } from '../errors.js';
import { newTaskId, type ChannelId, type TaskId } from '../ids.js';
import type { AmountMinor, Currency } from '../money.js';
import { noChannel } from './deduction-desk.js';
import { once, type TaskStarted } from './once.js';
import { creditFor, type TopUpRule } from './top-up-rules.js';
import type { TopUpRecord } from './top-up.js';

/** What the desk reads. `store/`, `routing/` and `channels/` provide it. */
export interface TopUpDeskReads {
  byRequest(requestKey: string): Promise<TopUpRecord | null>;
  /** The card systems that are open: how their orders are to be judged. */
  cards(): readonly (Party & { readonly paused: boolean })[];
  /** The plan that a payment would get now; changes nothing. */
  preview(request: RouteRequest): Promise<Route>;
}

export interface TopUpRequest {
  readonly customerId: string;
  readonly amountMinor: AmountMinor;
  readonly currency: Currency;
  /** Null: the first rule that fits. */
  readonly rule: string | null;
  /** What the customer was told the card gets; null: nothing. */
  readonly expectedCreditMinor: AmountMinor | null;
  readonly payer: BankAccount;
  readonly card: BankAccount;
  /** Null: the one card system there is. */
  readonly cards: ChannelId | null;
  readonly requestKey: string;
  readonly requestDigest: string;
}

export interface TopUpSettings {
  readonly rules: readonly TopUpRule[];
  /** How long a customer has to pay, from acceptance. */
  readonly payWindowMs: number;
  /** How long after the payment a credit is insisted on. */
  readonly settleAfterMs: number;
  /** For the simulator, where the same seed must give the same ids. */
  readonly newTaskId?: () => TaskId;
}

/**
 * Checks what a customer asks for, freezes the rule and the amounts, and starts the top-up. The card
 * system judges the card itself, by the pre-recharge, before anyone pays.
 */
export class TopUpDesk {
  constructor(
    private readonly reads: TopUpDeskReads,
    private readonly executor: Pick<Executor<Task>, 'start'>,
    private readonly clock: Clock,
    private readonly settings: TopUpSettings,
  ) {}

  /**
   * Resolves once the top-up is accepted, durably. The same request again is the same top-up.
   *
   * @throws RecoupError `amount_not_positive`, `top_up_rule_unknown`, `top_up_not_allowed`,
   *   `top_up_credit_differs`, `cards_unavailable`, `bank_unknown`, `no_eligible_channel`,
   *   `idempotency_key_reused`, `busy` or `journal_unavailable`. Nothing was written, but for the last.
   */
  async start(request: TopUpRequest): Promise<TaskStarted> {
    return await once(
      async () => await this.#known(request),
      async () => await this.#start(request),
    );
  }

  /** @throws RecoupError `idempotency_key_reused` */
  async #known({ requestKey, requestDigest }: TopUpRequest): Promise<TaskStarted | null> {
    const known = await this.reads.byRequest(requestKey);
    if (known === null) return null;
    if (known.requestDigest !== requestDigest) {
      throw new RecoupError('idempotency_key_reused', { top_up_id: known.id });
    }
    return { id: known.id, finished: null };
  }

  async #start(request: TopUpRequest): Promise<TaskStarted> {
    const topUp = this.#topUp(request);
    const { id: taskId, amountMinor, currency, payer } = topUp;
    const { bankCode } = payer;
    const payment = { taskId, refundable: true, bankCode, amountMinor, currency } as const;
    const route = await this.reads.preview({ ...payment, exclude: [] });
    if (route.places.length === 0) throw noChannel(route, bankCode);
    const atMs = this.clock.nowMs();
    const { accepted, finished } = this.executor.start([{ kind: 'top_up_accepted', atMs, topUp }]);
    await accepted;
    return { id: taskId, finished };
  }

  #topUp(request: TopUpRequest): TopUp {
    const { amountMinor, currency, expectedCreditMinor: expected } = request;
    if (amountMinor <= 0n) throw new RecoupError('amount_not_positive');
    const nowMs = this.clock.nowMs();
    const { rule, creditMinor } = creditFor(this.settings.rules, request, nowMs);
    if (expected !== null && expected !== creditMinor) {
      throw new RecoupError('top_up_credit_differs', { rule, credit_minor: Number(creditMinor) });
    }
    return {
      id: (this.settings.newTaskId ?? newTaskId)(),
      customerId: request.customerId,
      amountMinor,
      creditMinor,
      rule,
      currency,
      payer: request.payer,
      card: request.card,
      cards: this.#cards(request.cards),
      requestKey: request.requestKey,
      requestDigest: request.requestDigest,
      attemptUntilMs: nowMs + this.settings.payWindowMs,
      settleAfterMs: this.settings.settleAfterMs,
    };
  }

  /** Only a card system that can void for ever: without that no payment could ever go back safely. */
  #cards(wanted: ChannelId | null): Party {
    const open = this.reads.cards().filter(({ channelId }) => (wanted ?? channelId) === channelId);
    const [party, other] = open.filter(
      ({ paused, nature }) => !paused && nature.closeProof === 'refuses_unseen',
    );
    if (party === undefined || other !== undefined) {
      throw new RecoupError('cards_unavailable', {
        cards: wanted,
        why:
          other !== undefined
            ? 'there are several: name one'
            : open.some(({ paused }) => paused)
              ? 'paused by an operator'
              : 'none is open that can record, credit and void, and promises to refuse what is voided',
      });
    }
    const { channelId, nature, orderTtlMs } = party;
    return { channelId, nature, orderTtlMs };
  }
}
