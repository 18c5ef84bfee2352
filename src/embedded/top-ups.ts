/** Top-ups of stored-value cards for an embedding application. */
import { outcomeOf, waitOf } from './await.js';
import { checkedAccount, invalid } from './checks.js';
import type { Embedding, WaitOptions } from './embedding.js';
import type { BankAccount } from '../engine/order.js';
import { RecoupError } from '../errors.js';
import { isChannelId, isTaskId } from '../ids.js';
import { isNewOwnId, ownIdRule } from '../intake/due-file.js';
import { storyOf, type TaskStory } from '../intake/task-story.js';
import type { TopUpRequest } from '../intake/top-up-desk.js';
import { cardBank, type TopUpRecord } from '../intake/top-up.js';
import { amountMinor, type Currency } from '../money.js';
import { digestOf, requestKeyOf } from '../request-key.js';

export interface TopUpStartRequest {
  readonly customerId: string;
  /** What the customer pays, minor units (fen). */
  readonly amountMinor: bigint | number;
  readonly currency?: Currency;
  /** Left out: the first configured rule that fits. */
  readonly rule?: string;
  /** What the customer was told the card gets; refused where it would get another sum. */
  readonly expectedCreditMinor?: bigint | number;
  /** Where it is paid from: a token, never an account number. */
  readonly payer: BankAccount;
  readonly card: { readonly token: string; readonly last4: string };
  /** The card system; left out: the one there is. */
  readonly cards?: string;
  /** Yours, 1 to 128 printable ASCII characters: the same key is the same top-up, for ever. */
  readonly key: string;
}

/** A top-up with all that is known of it. */
export interface TopUpStory extends TaskStory {
  readonly topUp: TopUpRecord;
}

export class TopUps {
  constructor(private readonly embedding: Embedding) {}

  /**
   * Records at the card system, takes the payment, credits the card. `succeeded` (credited) and
   * `failed` (not credited, and what was paid has gone back) are final; `processing` and
   * `needs_review` say that the outcome is not known yet: a credit that is not confirmed counts as
   * credited meanwhile (`stage`: `credit_unknown`).
   *
   * @throws RecoupError `amount_not_positive`, `top_up_rule_unknown`, `top_up_not_allowed`,
   *   `top_up_credit_differs`, `cards_unavailable`, `bank_unknown`, `no_eligible_channel`, `busy`,
   *   `invalid_request`, `idempotency_key_reused`, `idempotency_key_invalid`: nothing moved.
   *   `journal_unavailable`: repeat with the same key.
   */
  async start(request: TopUpStartRequest, options: WaitOptions = {}): Promise<TopUpRecord> {
    const { services, scope, openChannels, track } = this.embedding;
    const { flows, clock } = services;
    const asked = checked(request, scope);
    await openChannels();
    const wait = waitOf(options.waitMs, clock.monotonicMs());
    const { id, finished } = await flows.topUpDesk.start(asked);
    const firstRun = finished === null ? null : track(finished);
    const find = flows.topUps.find.bind(flows.topUps);
    return await outcomeOf(services, { id, firstRun, wait, find });
  }

  /** Null when there is no such top-up. */
  async show(id: string): Promise<TopUpStory | null> {
    const { flows, deductions: tasks } = this.embedding.services;
    const topUp = isTaskId(id) ? await flows.topUps.find(id) : null;
    return topUp && { topUp, ...(await storyOf(tasks, topUp.id)) };
  }
}

function checked(request: TopUpStartRequest, scope: string): TopUpRequest {
  const { key, customerId, currency = 'CNY', rule = null, cards = null } = request;
  const { expectedCreditMinor: told, amountMinor: amount } = request;
  const requestKey = requestKeyOf(scope, key);
  if (!isNewOwnId(customerId)) throw invalid('customerId', ownIdRule);
  if (amount <= 0 || (told !== undefined && told <= 0)) {
    throw new RecoupError('amount_not_positive');
  }
  if (cards !== null && !isChannelId(cards)) throw new RecoupError('cards_unavailable', { cards });
  const payer = checkedAccount(request.payer, 'payer');
  const card = checkedAccount({ ...request.card, bankCode: cardBank }, 'card');
  const says = [
    customerId,
    String(amount),
    currency,
    rule,
    told === undefined ? null : String(told),
  ];
  const accounts = [cards, payer.bankCode, payer.token, payer.last4, card.token, card.last4];
  return {
    customerId,
    amountMinor: amountMinor(amount),
    currency,
    rule,
    expectedCreditMinor: told === undefined ? null : amountMinor(told),
    payer,
    card,
    cards,
    requestKey,
    requestDigest: digestOf([...says, ...accounts]),
  };
}
