/** What an embedding application brings, checked as the API checks it. */
import type { BankAccount } from '../engine/order.js';
import { RecoupError } from '../errors.js';
import { isAccountToken } from '../intake/due-file.js';
import { amountMinor, type AmountMinor } from '../money.js';
import { namesSomebody } from '../personal.js';

/** @throws RecoupError `invalid_request` */
export function checkedAccount(account: BankAccount, field: string): BankAccount {
  const { token, bankCode, last4 } = account;
  if (!isAccountToken(token)) throw invalid(`${field}.token`, 'a token of 8 to 128 characters');
  if (!/^[A-Z]{2,12}$/.test(bankCode)) throw invalid(`${field}.bankCode`, '2 to 12 capitals');
  if (!/^\d{4}$/.test(last4)) throw invalid(`${field}.last4`, 'four digits');
  return { token, bankCode, last4 };
}

/** @throws RecoupError `amount_not_positive`, `invalid_request`: a fraction would be lost on the way. */
export function checkedAmount(amount: bigint | number): AmountMinor {
  if (typeof amount === 'number' && !Number.isSafeInteger(amount)) {
    throw invalid('amountMinor', 'a whole number of minor units (fen)');
  }
  if (amount <= 0) throw new RecoupError('amount_not_positive');
  return amountMinor(amount);
}

export const invalid = (field: string, message: string): RecoupError =>
  new RecoupError('invalid_request', { problems: [{ field, message }] });

const tooPersonal = 'no text, too long, or an account or identity number';

/** @throws RecoupError `agent_reason_missing`, `invalid_request` */
export function checkedAgent({ name, reason }: Record<'name' | 'reason', string>) {
  const [who, why] = [name.trim(), reason.trim()];
  if (why.length < 4 || why.length > 500) throw new RecoupError('agent_reason_missing');
  if (who.length < 1 || who.length > 100 || namesSomebody(who))
    throw invalid('agent.name', tooPersonal);
  if (namesSomebody(why)) throw invalid('agent.reason', tooPersonal);
  return { name: who, reason: why };
}
