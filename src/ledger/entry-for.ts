/**
 * What a message means in the books: the one place that decides which account is debited and which
 * credited. Pure: the same message always means the same entry.
 *
 *   repayment_collected  the channel holds it for us        Dr channel clearing
 *                        the borrower owes that much less   Cr borrower receivable
 *   late_capture         the channel holds it for us        Dr channel clearing
 *                        it was not owed: it goes back      Cr owed to borrowers
 *   refund_paid          what was to go back has gone       Dr owed to borrowers
 *                        the channel paid it from ours      Cr channel clearing
 *
 * Each stands by itself, so messages may arrive in any order.
 */
import { z } from 'zod';
import { amountMinor, currencies, type AmountMinor } from '../money.js';
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
const body = z.object({
  deduction_id: id,
  repayment_id: id.nullish(),
  amount_minor: amount,
  currency: z.enum(currencies),
  channel_id: z.string().regex(/^[a-z][a-z0-9_]{0,31}$/, 'a channel id'),
  order_no: id,
  /** When the money moved, as far as we know. */
  settled_at: z.iso.datetime().optional(),
});

type Body = z.output<typeof body>;
type Meaning = (body: Body, amountMinor: AmountMinor) => readonly [Transfer, ...Transfer[]];

const meanings: Readonly<Record<string, Meaning>> = {
  'ledger.repayment_collected': ({ channel_id: channel }, amountMinor) => [
    { debit: channelClearing(channel), credit: borrowerReceivable, amountMinor },
  ],
  'ledger.late_capture': ({ channel_id: channel }, amountMinor) => [
    { debit: channelClearing(channel), credit: owedToBorrowers, amountMinor },
  ],
  'ledger.refund_paid': ({ channel_id: channel }, amountMinor) => [
    { debit: owedToBorrowers, credit: channelClearing(channel), amountMinor },
  ],
};

export function entryFor(message: Message): Reading {
  const { topic, key } = message;
  const meaning = Object.hasOwn(meanings, topic) ? meanings[topic] : undefined;
  if (meaning === undefined) return { kind: 'unknown_topic' };
  const read = jsonOf(message.body);
  const parsed = body.safeParse(read);
  if (!parsed.success) {
    const why = parsed.error.issues
      .map(({ path, message: text }) => `${path.join('.') || 'body'}: ${text}`)
      .join('; ');
    return { kind: 'malformed', why, amountMinor: salvagedAmount(read) };
  }
  const { data } = parsed;
  const entry: LedgerEntry = {
    topic,
    key,
    digest: digestOf(message),
    currency: data.currency,
    occurredAtMs: data.settled_at === undefined ? message.createdAtMs : Date.parse(data.settled_at),
    transfers: meaning(data, amountMinor(data.amount_minor)),
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
