import { createHash } from 'node:crypto';
import type { AmountMinor, Currency } from '../money.js';
import type { Account } from './chart.js';

/** A message of the outbox: what happened, told once by the commit that made it true. */
export interface Message {
  /** The outbox's number of it, in decimal. */
  readonly id: string;
  readonly topic: string;
  /** With the topic: what the message is about. Unique, for ever. */
  readonly key: string;
  readonly body: string;
  readonly createdAtMs: number;
  /** How often posting it came to nothing. */
  readonly tries: number;
}

/** One account debited, another credited, one amount: balanced by its shape. */
export interface Transfer {
  readonly debit: Account;
  readonly credit: Account;
  readonly amountMinor: AmountMinor;
}

/** A journal entry: the transfers that one message means, posted together or not at all. */
export interface LedgerEntry {
  readonly topic: string;
  readonly key: string;
  /**
   * Of what the message says, not of its bytes, which may be written anew from the log, nor of what we
   * make of it: a later release may book the same message otherwise.
   */
  readonly digest: string;
  readonly currency: Currency;
  readonly occurredAtMs: number;
  readonly transfers: readonly [Transfer, ...Transfer[]];
  /** The task whose money it is, of whichever kind. */
  readonly deductionId: string;
  readonly repaymentId: string | null;
  /** Null: no channel had part in it. */
  readonly channelId: string | null;
  readonly orderNo: string | null;
}

/** @param says the body as it was read, its fields in the order of their schema. */
export const digestOf = ({ topic, key }: Pick<Message, 'topic' | 'key'>, says: object): string =>
  createHash('sha256')
    .update(`${topic}\n${key}\n${JSON.stringify(says)}`)
    .digest('hex');

export const amountOf = ({ transfers }: LedgerEntry): bigint =>
  transfers.reduce((sum, { amountMinor }) => sum + amountMinor, 0n);
