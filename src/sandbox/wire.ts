import type { IncomingHttpHeaders } from 'node:http';
import type { RefundOf } from './book-order.js';
import type { ChannelSpec, Outcome, Placement } from './channel-spec.js';
import type { ChargeRequest, RefundRequest } from './order-desk.js';

/** How a channel writes requests and answers down, and signs them. */
export interface Wire {
  /** Never throws: what cannot be read is refused. */
  read(path: string, headers: IncomingHttpHeaders, body: Buffer): WireRequest;
  write(answer: WireAnswer, forged: boolean): WireMessage;
  /** A message of the channel's own accord: it bears a nonce, and may be sealed. */
  writeCallback(answer: WireAnswer, forged: boolean): WireMessage;
  writeMany?(answers: readonly WireAnswer[], merchant: string, forged: boolean): WireMessage;
}

export type WireRequest =
  | { readonly operation: 'charge'; readonly charge: ChargeRequest }
  | { readonly operation: 'refund'; readonly refund: RefundRequest }
  /** Any other operation: the order says which. */
  | { readonly operation: 'place'; readonly order: ChargeRequest }
  | {
      readonly operation: 'query' | 'close';
      /** What the number was placed as. */
      readonly as: Placement;
      readonly orderNo: string;
      readonly merchant: string;
      /** Of the close of a credit. */
      readonly regarding?: RefundOf;
    }
  | { readonly operation: 'query_many'; readonly orderNos: readonly string[]; merchant: string }
  | { readonly operation: 'refused'; readonly outcome: 'bad_signature' | 'bad_request' };

export interface WireAnswer {
  readonly outcome: Outcome;
  /** In place of the outcome's own code. */
  readonly code?: string;
  readonly orderNo: string;
  /** Absent where the answer is about the request and not about an order. */
  readonly order?: {
    readonly merchant: string;
    readonly amountMinor: number;
    readonly currency: string;
    readonly channelRef: string;
    /** Of a pre-recharge and its credit. */
    readonly creditMinor?: number;
  };
  readonly merchant: string;
}

export interface WireMessage {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** The keys a channel signs with have serials, so that they can be changed without a gap. */
export const keySerials = ['A', 'B'] as const;
export type KeySerial = (typeof keySerials)[number];

export function codeOf(spec: ChannelSpec, answer: WireAnswer): string {
  return answer.code ?? spec.codes[answer.outcome] ?? answer.outcome.toUpperCase();
}

export const orderNoPattern = /^[A-Za-z0-9]{1,32}$/;

/** "12.80" to 1280; null for anything else. */
export function minorFromDecimal(text: string): number | null {
  const match = /^(\d{1,12})\.(\d{2})$/.exec(text);
  return match === null ? null : Number(match[1]) * 100 + Number(match[2]);
}

export function decimalFromMinor(minor: number): string {
  const digits = String(minor).padStart(3, '0');
  return `${digits.slice(0, -2)}.${digits.slice(-2)}`;
}

/** "20250131235959" at UTC+8, in ms since the epoch; null for anything else. */
export function msFromCompactTime(text: string): number | null {
  const match = /^(\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})$/.exec(text);
  if (match === null) return null;
  const [, year, month, day, hour, minute, second] = match;
  const ms = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}+08:00`);
  return Number.isNaN(ms) ? null : ms;
}
