/**
 * What a message means in the books: the one place that decides which account is debited and which
 * credited. Pure: the same message always means the same entry.
 *
 *   repayment_collected       the channel holds it for us             Dr channel clearing
 *                             the borrower owes that much less        Cr borrower receivable
 *   … of what was owed back   it is kept after all                    Dr owed to borrowers
 *                             the borrower owes that much less        Cr borrower receivable
 *   late_capture              the channel holds it for us             Dr channel clearing
 *                             it was not owed: it goes back           Cr owed to borrowers
 *   refund_paid, of excess    what was to go back has gone            Dr owed to borrowers
 *                             the channel paid it from ours           Cr channel clearing
 *   refund_paid, of a         the borrower owes it again              Dr borrower receivable
 *   repayment                 the channel paid it from ours           Cr channel clearing
 *   top_up_paid               the channel holds it for us             Dr channel clearing
 *                             the customer has nothing for it yet     Cr customer prepayment
 *   top_up_credited           the customer has it on the card         Dr customer prepayment
 *                             and the bonus, if any, from us          Dr top-up bonus
 *                             the card may be spent from              Cr stored value
 *   top_up_refunded           the customer has it back                Dr customer prepayment
 *                             the channel paid it from ours           Cr channel clearing
 *   withdrawal_taken          the member has that much less           Dr member balances
 *                             it is on its way                        Cr payouts in transit
 *   … at an account service   the service took it for us              Dr channel clearing
 *   withdrawal_paid           it has arrived                          Dr payouts in transit
 *                             the channel paid it from ours           Cr channel clearing
 *   withdrawal_given_back     it is not on its way any more           Dr payouts in transit
 *                             the member has it again                 Cr member balances
 *   … at an account service   the service gave it back from ours      Cr channel clearing
 *
 * Each stands by itself, so messages may arrive in any order.
 */
import { z } from 'zod';
import { amountMinor, currencies } from '../money.js';
import {
  borrowerReceivable,
  channelClearing,
  customerPrepayment,
  memberBalances,
  owedToBorrowers,
  payoutsInTransit,
  storedValue,
  topUpBonus,
} from './chart.js';
import type { Account } from './chart.js';
import { digestOf, type LedgerEntry, type Message, type Transfer } from './entry.js';

export type Reading =
  | { readonly kind: 'entry'; readonly entry: LedgerEntry }
  /** A topic that this release does not know; perhaps the next one does. */
  | { readonly kind: 'unknown_topic' }
  | { readonly kind: 'malformed'; readonly why: string; readonly amountMinor: bigint };

/** 15 digits, as everywhere on the wire: a JSON number holds it. */
const amount = z.string().regex(/^[1-9]\d{0,14}$/, 'minor units, above zero, in decimal');
const id = z.string().regex(/^[\x21-\x7e]{1,64}$/, '1 to 64 printable characters');

/** Fields that a later release adds are left alone. */
const common = z.object({
  deduction_id: id,
  repayment_id: id.nullish(),
  amount_minor: amount,
  currency: z.enum(currencies),
  channel_id: z.string().regex(/^[a-z][a-z0-9_]{0,31}$/, 'a channel id'),
  order_no: id,
  /** When it happened, as far as we know. */
  settled_at: z.iso.datetime().optional(),
  found_at: z.iso.datetime().optional(),
});

/** Of a top-up. */
const ofTopUp = common.omit({ deduction_id: true, repayment_id: true }).extend({ top_up_id: id });

/** Of a withdrawal. */
const ofWithdrawal = common
  .omit({ deduction_id: true, repayment_id: true })
  .extend({ withdrawal_id: id });
/** Without a channel: of a balance of ours. */
const ofBalance = ofWithdrawal.partial({ channel_id: true, order_no: true });
type OfBalance = z.output<typeof ofBalance>;

const balanceOf = ({ channel_id: service }: Pick<OfBalance, 'channel_id'>): Account =>
  service === undefined ? memberBalances : channelClearing(service);

type Shared = Omit<
  z.output<typeof common>,
  'deduction_id' | 'repayment_id' | 'channel_id' | 'order_no'
>;

/** What all of them say, and whose task it is. */
type Common = Shared & {
  readonly channel_id?: string | undefined;
  readonly order_no?: string | undefined;
  readonly withdrawal_id?: string;
  readonly deduction_id?: string;
  readonly repayment_id?: string | null | undefined;
  readonly top_up_id?: string;
};
type Meant = Pick<Transfer, 'debit' | 'credit'>;

interface Meaning {
  readonly shape: z.ZodType<Common>;
  readonly transfers: (body: Common) => LedgerEntry['transfers'];
}

/** Ties what is read to how it is booked, and forgets the difference between the topics. */
const meaningOf = <T extends Common>(
  shape: z.ZodType<T>,
  transfers: (body: T) => LedgerEntry['transfers'],
): Meaning => ({ shape, transfers: transfers as Meaning['transfers'] });

/** All of it from one account to another. */
const meaning = <T extends Common>(shape: z.ZodType<T>, transfer: (body: T) => Meant): Meaning =>
  meaningOf(shape, (body) => [{ ...transfer(body), amountMinor: amountMinor(body.amount_minor) }]);

const meanings: Readonly<Record<string, Meaning>> = {
  'ledger.repayment_collected': meaning(
    common.extend({ was_owed_back: z.literal(true).optional() }),
    ({ channel_id: channel, was_owed_back: kept }) => ({
      debit: kept === true ? owedToBorrowers : channelClearing(channel),
      credit: borrowerReceivable,
    }),
  ),
  'ledger.late_capture': meaning(common, ({ channel_id: channel }) => ({
    debit: channelClearing(channel),
    credit: owedToBorrowers,
  })),
  'ledger.refund_paid': meaning(
    common.extend({ taken_from: z.enum(['excess', 'repayment']) }),
    ({ channel_id: channel, taken_from: from }) => ({
      debit: from === 'excess' ? owedToBorrowers : borrowerReceivable,
      credit: channelClearing(channel),
    }),
  ),
  'ledger.top_up_paid': meaning(ofTopUp, ({ channel_id: channel }) => ({
    debit: channelClearing(channel),
    credit: customerPrepayment,
  })),
  'ledger.top_up_credited': meaningOf(
    ofTopUp
      .extend({ credit_minor: amount })
      .refine(({ amount_minor: paid, credit_minor: got }) => BigInt(got) >= BigInt(paid), {
        path: ['credit_minor'],
        message: 'not less than was paid',
      }),
    ({ amount_minor: paid, credit_minor: got }) => {
      const bonus = BigInt(got) - BigInt(paid);
      const bought = { debit: customerPrepayment, credit: storedValue } as const;
      const given = { debit: topUpBonus, credit: storedValue, amountMinor: amountMinor(bonus) };
      return [{ ...bought, amountMinor: amountMinor(paid) }, ...(bonus > 0n ? [given] : [])];
    },
  ),
  'ledger.top_up_refunded': meaning(ofTopUp, ({ channel_id: channel }) => ({
    debit: customerPrepayment,
    credit: channelClearing(channel),
  })),
  'ledger.withdrawal_taken': meaning(ofBalance, (body) => ({
    debit: balanceOf(body),
    credit: payoutsInTransit,
  })),
  'ledger.withdrawal_paid': meaning(ofWithdrawal, ({ channel_id: channel }) => ({
    debit: payoutsInTransit,
    credit: channelClearing(channel),
  })),
  'ledger.withdrawal_given_back': meaning(ofBalance, (body) => ({
    debit: payoutsInTransit,
    credit: balanceOf(body),
  })),
};

export function entryFor(message: Message): Reading {
  const { topic, key } = message;
  const meant = Object.hasOwn(meanings, topic) ? meanings[topic] : undefined;
  if (meant === undefined) return { kind: 'unknown_topic' };
  const read = jsonOf(message.body);
  const parsed = meant.shape.safeParse(read);
  if (!parsed.success) {
    const why = parsed.error.issues
      .map(({ path, message: text }) => `${path.join('.') || 'body'}: ${text}`)
      .join('; ');
    return { kind: 'malformed', why, amountMinor: salvagedAmount(read) };
  }
  const { data } = parsed;
  const happenedAt = data.settled_at ?? data.found_at;
  const entry: LedgerEntry = {
    topic,
    key,
    digest: digestOf(message, data),
    currency: data.currency,
    occurredAtMs: happenedAt === undefined ? message.createdAtMs : Date.parse(happenedAt),
    transfers: meant.transfers(data),
    deductionId: data.deduction_id ?? data.top_up_id ?? data.withdrawal_id ?? '',
    repaymentId: data.repayment_id ?? null,
    channelId: data.channel_id ?? null,
    orderNo: data.order_no ?? null,
  };
  return { kind: 'entry', entry };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** What is at risk, when at least that can be read. */
function salvagedAmount(read: unknown): bigint {
  const fields = typeof read === 'object' && read !== null ? (read as Record<string, unknown>) : {};
  const parsed = amount.safeParse(fields['amount_minor']);
  return parsed.success ? BigInt(parsed.data) : 0n;
}
