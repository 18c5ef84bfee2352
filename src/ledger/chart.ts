/**
 * The accounts that Recoup posts to. One each currency; the currency stands in the posting.
 *
 * What borrowers owe is one control account: which repayment a posting belongs to stands in its
 * entry, as what a channel holds for us is one account a channel, since that is what its statement
 * and its payouts are compared with.
 */
import { invariant } from '../assert.js';

export type AccountClass = 'asset' | 'liability' | 'income' | 'expense';

/** A debit adds to an asset or an expense, a credit to a liability or to income. */
export interface Account {
  readonly code: string;
  readonly class: AccountClass;
}

const codeMax = 64;

/** What a channel has taken from borrowers, less refunds, and has not yet paid out to us (待清算). */
export function channelClearing(channelId: string): Account {
  const code = `channel_clearing:${channelId}`;
  invariant(code.length <= codeMax, `account code too long: ${code}`);
  return { code, class: 'asset' };
}

/** What borrowers owe on their repayments (应收还款), as far as Recoup moves it: collections credit it. */
export const borrowerReceivable: Account = { code: 'borrower_receivable', class: 'asset' };

/** What was taken beyond what was owed and must go back (多扣待退). */
export const owedToBorrowers: Account = { code: 'owed_to_borrowers', class: 'liability' };

/** What customers have paid and their cards have not got yet: credited, or given back (预收待充值). */
export const customerPrepayment: Account = { code: 'customer_prepayment', class: 'liability' };

/** What is on stored-value cards, as far as top-ups have put it there (储值卡余额). */
export const storedValue: Account = { code: 'stored_value', class: 'liability' };

/** What cards got beyond what was paid (充值赠送). */
export const topUpBonus: Account = { code: 'top_up_bonus', class: 'expense' };

/** What members have on their balances, as far as withdrawals move them (会员余额). */
export const memberBalances: Account = { code: 'member_balances', class: 'liability' };

/**
 * What was taken for withdrawals and is neither paid nor given back (提现在途). Below zero: paid out
 * without cover, which is a case.
 */
export const payoutsInTransit: Account = { code: 'payouts_in_transit', class: 'liability' };
