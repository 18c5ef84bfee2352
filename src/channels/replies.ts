import { assertNever } from '../assert.js';
import type { Order } from '../engine/order.js';
import type {
  ChargeAnswer,
  CloseAnswer,
  Mismatch,
  QueryAnswer,
  Reply,
  UnknownWhy,
} from '../engine/reply.js';
import type { Reading, ReplyFields } from './dialect.js';
import type { Exchange } from './exchange.js';
import { amountWords, reference, words } from '../personal.js';
import { natureOf, type ChannelProfile, type CodeMeaning } from './profile.js';

/**
 * From what came over the wire to what it means (rules 2 and 9). Pure. In this order: was there an
 * answer; is it the channel's own trouble (5xx); is it signed; is it about our order, amount,
 * currency and merchant; and only then what its code means. Whatever falls through is `unknown`.
 */

type Unknown = Extract<Reply, { kind: 'unknown' }>;

const unknown = (why: UnknownWhy, detail: string): Unknown => ({ kind: 'unknown', why, detail });

/** What can be believed of an exchange, before anybody looks at what it says. */
export type Heard =
  | { readonly kind: 'said'; readonly fields: ReplyFields; readonly throttled: boolean }
  | { readonly kind: 'not_sent'; readonly detail: string }
  | Unknown;

export function hear(
  exchange: Exchange,
  read: (answer: Extract<Exchange, { kind: 'answered' }>) => Reading,
): Heard {
  if (exchange.kind === 'not_sent') return exchange;
  if (exchange.kind === 'lost') return unknown(exchange.why, exchange.detail);
  const refusal = refusedByStatus(exchange.status);
  if (refusal !== null) return refusal;
  const throttled = exchange.status === 429;
  const reading = read(exchange);
  if (reading.kind === 'genuine') return { kind: 'said', fields: reading.fields, throttled };
  switch (reading.kind) {
    case 'forged':
      // A gateway that sheds load signs nothing; it is not an attack.
      return throttled
        ? unknown('throttled', 'HTTP 429')
        : unknown('bad_signature', `HTTP ${exchange.status}: ${reading.detail}`);
    case 'stale':
      // Well signed once, perhaps, and sent again by somebody: what it says is not believed.
      return unknown('bad_signature', `HTTP ${exchange.status}: ${reading.detail}`);
    case 'malformed':
      return unknown('bad_response', `HTTP ${exchange.status}: ${reading.detail}`);
    default:
      return assertNever(reading);
  }
}

/** A status under which nothing in the body is believed. */
export function refusedByStatus(status: number): Unknown | null {
  if (status >= 500) return unknown('server_error', `HTTP ${status}`);
  if (status >= 300 && status < 400) return unknown('bad_response', `HTTP ${status}`);
  return null;
}

export function chargeAnswer(profile: ChannelProfile, order: Order, heard: Heard): ChargeAnswer {
  if (heard.kind === 'not_sent') return { kind: 'not_executed', proof: 'not_sent' };
  const answer = orderAnswer(profile, order, heard);
  // A channel that has not heard of what it is being told says nothing.
  return answer.kind === 'not_found'
    ? unknown('unlisted_code', 'the answer to a charge is "not found"')
    : answer;
}

export function queryAnswer(profile: ChannelProfile, order: Order, heard: Heard): QueryAnswer {
  // That the question was not sent says nothing about the order.
  if (heard.kind === 'not_sent') return unknown('connection_lost', `not asked: ${heard.detail}`);
  return orderAnswer(profile, order, heard);
}

export function closeAnswer(profile: ChannelProfile, order: Order, heard: Heard): CloseAnswer {
  if (heard.kind === 'not_sent') return unknown('connection_lost', `not asked: ${heard.detail}`);
  if (heard.kind === 'unknown') return heard;
  const { fields } = heard;
  const wrong = mismatchOf(profile, order, fields);
  if (wrong !== null) {
    return unknown('bad_response', `${wrong.field}: ours ${wrong.ours}, theirs ${wrong.theirs}`);
  }
  const meaning = meaningOf(profile, fields.code);
  if (meaning === null || meaning.reply === 'unknown') return notUnderstood(heard, meaning);
  const missing = missingOf(fields, ['orderNo', 'merchant']);
  if (missing !== null) return incomplete(fields, missing);
  switch (meaning.reply) {
    case 'closed':
      return { kind: 'closed' };
    case 'not_found':
      return { kind: 'not_found' };
    default:
      // It names another state of the order: then it is not closed. Ask.
      return {
        kind: 'refused',
        detail: `${words(fields.code, 64)} ${words(fields.message, 200)}`.trim(),
      };
  }
}

/** Reads what a signed answer says about the order: the same for charge, query and callback. */
export function orderAnswer(
  profile: ChannelProfile,
  order: Order,
  heard: Extract<Heard, { kind: 'said' }> | Unknown,
): QueryAnswer {
  if (heard.kind === 'unknown') return heard;
  const { fields } = heard;
  const wrong = mismatchOf(profile, order, fields);
  if (wrong !== null) return wrong;
  const meaning = meaningOf(profile, fields.code);
  if (meaning === null || meaning.reply === 'unknown' || meaning.reply === 'close_refused') {
    return notUnderstood(heard, meaning);
  }
  const missing = missingOf(fields, echoed[meaning.reply]) ?? creditMissing(order, meaning, fields);
  if (missing !== null) return incomplete(fields, missing);
  const channelRef =
    fields.channelRef === null ? null : reference(fields.channelRef, profile.numeric_references);
  switch (meaning.reply) {
    case 'succeeded':
      return { kind: 'succeeded', channelRef: channelRef ?? '' };
    case 'pending':
      return { kind: 'pending', channelRef };
    case 'not_found': {
      const { saidAtMs } = fields;
      return { kind: 'not_found', ...(saidAtMs !== undefined && { saidAtMs }) };
    }
    case 'closed':
      return closeProofOf(profile, order) === 'refuses_unseen'
        ? { kind: 'not_executed', proof: 'closed' }
        : unknown('unlisted_code', `${fields.code}: closed, which proves nothing here`);
    case 'declined': {
      const { code, scope } = meaning;
      const channelCode = words(fields.code, 64);
      return { kind: 'declined', code, channelCode, message: words(fields.message, 200), scope };
    }
    default:
      return assertNever(meaning);
  }
}

/** A refund's number is of the charges' kind, though nobody relies on it; a payout's is its own. */
const closeProofOf = (profile: ChannelProfile, { operation }: Order) =>
  natureOf(profile, operation === 'payout' ? 'payout' : 'charge').closeProof;

/**
 * What an answer must repeat of the order to be believed. A refusal of the request alone (throttled,
 * malformed) echoes no amount, and so can never pass for the fate of an order that was sent before.
 */
const echoed = {
  succeeded: ['orderNo', 'merchant', 'amountText', 'currency', 'channelRef'],
  declined: ['orderNo', 'merchant', 'amountText', 'currency'],
  pending: ['orderNo', 'merchant'],
  not_found: ['orderNo', 'merchant'],
  closed: ['orderNo', 'merchant'],
} as const satisfies Record<string, readonly (keyof ReplyFields)[]>;

function missingOf(
  fields: ReplyFields,
  names: readonly (keyof ReplyFields)[],
): keyof ReplyFields | null {
  return names.find((name) => fields[name] === null) ?? null;
}

/** What the card gets is as much part of a pre-recharge and of a credit as what was paid. */
function creditMissing(
  { operation, topUp }: Order,
  { reply }: CodeMeaning,
  { creditText = null }: ReplyFields,
): 'creditText' | null {
  const says = (operation === 'pre_recharge' || operation === 'credit') && topUp !== undefined;
  return says && reply === 'succeeded' && creditText === null ? 'creditText' : null;
}

const incomplete = (fields: ReplyFields, missing: keyof ReplyFields): Unknown =>
  unknown('bad_response', `${words(fields.code, 64)}: the answer does not repeat ${missing}`);

function notUnderstood(
  { fields, throttled }: Extract<Heard, { kind: 'said' }>,
  meaning: CodeMeaning | null,
): Unknown {
  const text = `${words(fields.code, 64)} ${words(fields.message, 200)}`.trim();
  if (throttled) return unknown('throttled', text);
  return unknown('unlisted_code', meaning === null ? text : `${text} (listed as unknown)`);
}

function meaningOf(profile: ChannelProfile, code: string): CodeMeaning | null {
  return Object.hasOwn(profile.error_codes, code) ? (profile.error_codes[code] ?? null) : null;
}

function differs(
  field: Mismatch['field'],
  ours: string,
  theirs: string | null,
  same = theirs === ours,
): Mismatch | null {
  if (theirs === null || same) return null;
  return {
    kind: 'mismatch',
    field,
    ours,
    theirs: field === 'amount' ? amountWords(theirs) : words(theirs, 64),
  };
}

function creditDiffers(
  { topUp }: Order,
  { creditText = null, creditMinor = null }: ReplyFields,
): Mismatch | null {
  if (topUp === undefined) return null;
  const ours = topUp.creditMinor;
  return differs('amount', String(ours), creditText, creditMinor === ours);
}

function mismatchOf(profile: ChannelProfile, order: Order, fields: ReplyFields): Mismatch | null {
  const { amountMinor, amountText } = fields;
  return (
    differs('order_no', order.orderNo, fields.orderNo) ??
    differs(
      'amount',
      String(order.amountMinor),
      amountMinor === null ? amountText : String(amountMinor),
      amountMinor === order.amountMinor,
    ) ??
    creditDiffers(order, fields) ??
    differs('currency', order.currency, fields.currency) ??
    differs('merchant', profile.merchant_id, fields.merchant)
  );
}
