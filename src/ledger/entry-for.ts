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
 *
 * Each stands by itself, so messages may arrive in any order.
 */
import { z } from 'zod';
import { amountMinor, currencies } from '../money.js';
import { borrowerReceivable, channelClearing, owedToBorrowers } from './chart.js';
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

type Common = z.output<typeof common>;
type Meant = Pick<Transfer, 'debit' | 'credit'>;

interface Meaning {
  readonly shape: z.ZodType<Common>;
  readonly transfer: (body: Common) => Meant;
}

/** Ties what is read to how it is booked, and forgets the difference between the topics. */
const meaning = <T extends Common>(shape: z.ZodType<T>, transfer: (body: T) => Meant): Meaning => ({
  shape,
  transfer: transfer as (body: Common) => Meant,
});

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
    transfers: [{ ...meant.transfer(data), amountMinor: amountMinor(data.amount_minor) }],
    deductionId: data.deduction_id,
    repaymentId: data.repayment_id ?? null,
    channelId: data.channel_id,
    orderNo: data.order_no,
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
