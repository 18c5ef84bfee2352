/**
 * Every coded error, in one table: what it is, its HTTP status and what the caller can do about it.
 * docs/http-api.md and the API print this table. Expected outcomes (a decline, `unknown`) are values and
 * never stand here.
 */
export const errorTable = {
  // The request itself
  malformed_body: [400, 'The body is not valid JSON.', 'Send a JSON object as UTF-8.'],
  body_too_large: [413, 'The body is larger than the limit.', 'Send less, or split the file.'],
  unsupported_media_type: [
    415,
    'The content type is not accepted here.',
    'Use the content type the documentation names.',
  ],
  invalid_request: [
    422,
    'A field is missing or has the wrong form.',
    'Correct the fields listed in `problems`.',
  ],
  malformed_request: [
    400,
    'The request is not valid HTTP.',
    'Correct the request line, the headers or the length.',
  ],
  headers_too_large: [
    431,
    'The headers are larger than the limit.',
    'Send fewer or shorter headers.',
  ],
  request_timeout: [
    408,
    'The request took too long to arrive.',
    'Repeat it; nothing was read of it.',
  ],
  method_not_allowed: [
    405,
    'This address does not know that method.',
    'Use a method named in `Allow`.',
  ],
  not_found: [404, 'There is nothing under this address.', 'Check the id and the path.'],
  // Who asks
  unauthorized: [
    401,
    'No valid API key came with the request.',
    'Send `Authorization: Bearer <key>`.',
  ],
  forbidden: [403, "This key's role may not do this.", 'Use a key of a role that may.'],
  rate_limited: [429, 'Too many requests of this kind.', 'Wait as long as `Retry-After` says.'],
  // Idempotency
  idempotency_key_missing: [
    400,
    'The header `Idempotency-Key` is required.',
    'Send a key of your own, a new one for each deduction you mean.',
  ],
  idempotency_key_invalid: [
    400,
    'The idempotency key has the wrong form.',
    'Use 1 to 128 printable ASCII characters without spaces.',
  ],
  idempotency_key_reused: [
    422,
    'This idempotency key was used with another body.',
    'Use a new key for a new request.',
  ],
  idempotency_in_progress: [
    409,
    'The first request with this key is still in progress.',
    'Read the deduction, or whatever else is named in the details, or repeat later.',
  ],
  // Deductions
  repayment_unknown: [
    404,
    'There is no such repayment.',
    'Register the repayment first, or check its id.',
  ],
  repayment_settled: [422, 'Nothing is due on this repayment.', 'Nothing: it is paid.'],
  repayment_mismatch: [
    409,
    'This repayment is registered with other details.',
    'Check amount, borrower and account against the registered repayment.',
  ],
  amount_not_positive: [
    422,
    'The amount must be above zero.',
    'Send the amount in minor units, above zero.',
  ],
  amount_exceeds_due: [
    422,
    'The amount is above what is due.',
    'Collect at most `outstanding_minor`.',
  ],
  request_repeated: [
    409,
    'This request was already accepted.',
    'Read the deduction, or whatever else is named in the details.',
  ],
  live_deduction_exists: [
    409,
    'Another deduction for this repayment is under way.',
    'Wait until the deduction named in `deduction_id` has ended.',
  ],
  bank_unknown: [
    422,
    'No channel knows this bank.',
    'Check the bank code, or import a channel that supports it.',
  ],
  no_eligible_channel: [
    422,
    'No channel can take this deduction now.',
    "See `rejected` for each channel's reason.",
  ],
  agent_reason_missing: [
    422,
    'A deduction by an agent needs a reason.',
    'Send `reason`, 4 to 500 characters.',
  ],
  deduction_ended: [409, 'The deduction has ended: nothing is left to ask.', 'Read the deduction.'],
  deduction_unknown: [404, 'There is no such deduction.', 'Check the id.'],
  deduction_not_ended: [
    409,
    'The deduction has not ended: what it took is not known yet.',
    'Repeat when it has ended.',
  ],
  nothing_credited: [
    409,
    'This deduction has credited nothing to its repayment.',
    'Read the deduction: what was captured besides is a case of its own.',
  ],
  // Refunds
  capture_unknown: [404, 'There is no such captured order.', 'Check the task and the attempt.'],
  capture_not_available: [
    409,
    'So much of this capture is not there to be given back or credited.',
    'Read what of it is credited and given back already.',
  ],
  member_unknown: [
    404,
    'There is no such member account in this currency.',
    'Open the account first, or check the id and the currency.',
  ],
  balance_too_low: [
    409,
    'The balance does not cover this withdrawal.',
    'Ask for no more than the balance, which withdrawals under way have been taken from.',
  ],
  deposit_differs: [
    409,
    'Another deposit was made under this id.',
    'Use a new id for a new deposit.',
  ],
  account_service_unknown: [
    404,
    'There is no such account service.',
    'Name a channel whose profile offers debits and restoring them.',
  ],
  withdrawal_unknown: [404, 'There is no such withdrawal.', 'Check the id.'],
  withdrawal_ended: [409, 'The withdrawal has ended.', 'Nothing: its outcome is final.'],
  top_up_unknown: [404, 'There is no such top-up.', 'Check the id.'],
  top_up_ended: [409, 'This top-up has ended.', 'Read it; there is nothing left to ask about.'],
  top_up_rule_unknown: [
    422,
    'There is no top-up rule of that name.',
    'Name one that is configured, or none.',
  ],
  top_up_not_allowed: [
    422,
    'No top-up rule allows this amount now.',
    'Read in `refusals` why each rule does not fit, and ask for another amount.',
  ],
  top_up_credit_differs: [
    409,
    'The card would not get what the customer was told.',
    'Show the customer `credit_minor` and ask again.',
  ],
  top_up_rules_invalid: [
    500,
    'The file of top-up rules cannot be used.',
    'Correct the fields listed in `problems`.',
  ],
  cards_unavailable: [
    503,
    'No card system can be topped up now, or it is not clear which.',
    'Name a card system that is open; `recoup channels list` shows them.',
  ],
  refund_not_offered: [
    409,
    'The channel that captured the money offers no refunds.',
    'Pay it back outside; where there is a case, write it off with the proof.',
  ],
  refund_unknown: [404, 'There is no such refund.', 'Check the id.'],
  // Ledger
  dead_letter_unknown: [404, 'There is no such dead letter.', 'See `recoup ledger dead`.'],
  dead_letter_closed: [409, 'This dead letter is closed: its message is in the books.', 'Nothing.'],
  // Outgoing notices
  notice_unknown: [404, 'There is no such notice.', 'See `GET /v1/notices`.'],
  destination_unknown: [404, 'There is no such destination.', 'See `GET /v1/notice-destinations`.'],
  destination_exists: [
    409,
    'There is or was a destination of this id.',
    'Choose another id: what was sent is kept under it.',
  ],
  // Batches
  batch_unknown: [404, 'There is no such batch.', 'Check the id.'],
  batch_state: [409, 'The batch is not in a state that allows this.', 'See `state`.'],
  csv_headers: [
    422,
    'The first line does not hold the expected columns.',
    'Use exactly the columns listed in `expected`.',
  ],
  csv_empty: [422, 'The file holds no rows.', 'Send a file with a header and at least one row.'],
  csv_not_utf8: [422, 'The text is not UTF-8 (GBK, perhaps).', 'Save the file as UTF-8.'],
  csv_malformed: [422, 'The line is not valid CSV.', 'Check quotes and the number of columns.'],
  csv_bom: [
    200,
    'The file starts with a byte order mark; it was ignored.',
    'Nothing; save without it to lose this note.',
  ],
  row_invalid: [422, 'A column has a value of the wrong form.', 'Correct the column named.'],
  row_duplicate: [
    422,
    'The repayment stands in the file twice.',
    'Leave one row for each repayment.',
  ],
  // Statements and reconciliation
  statement_unsupported: [
    422,
    "The channel's profile says nothing of a statement.",
    'Add `statement` to the profile, with the format of its files.',
  ],
  statement_head: [
    422,
    'The file does not begin as the statement of this channel, merchant and date.',
    'Check which file it is against `expected`.',
  ],
  statement_row: [
    422,
    'A row of the statement is not as its form demands.',
    'Get the file again; `line` and `rule` say what is wrong. Nothing was taken from it.',
  ],
  statement_encoding: [
    422,
    'A line of the statement is not in the encoding of its form.',
    'Get the file again, and open it in no editor. Nothing was taken from it.',
  ],
  statement_line_end: [
    422,
    'A line of the statement has another line end than its form.',
    'Get the file again, as bytes. Nothing was taken from it.',
  ],
  statement_truncated: [
    422,
    'The statement ends too soon: its trailer or the end of a line is missing.',
    'Get the file again. Nothing was taken from it.',
  ],
  statement_trailer: [
    422,
    "The statement's trailer is not as its form demands, or something follows it.",
    'Get the file again. Nothing was taken from it.',
  ],
  statement_totals: [
    422,
    "The rows of the statement do not add up to its trailer's totals.",
    'Get the file again, or ask the channel. Nothing was taken from it.',
  ],
  statement_digest: [
    422,
    'The statement is not what its digest says: it was changed or damaged.',
    'Get the file again. Nothing was taken from it.',
  ],
  statement_too_large: [
    413,
    'The statement has more rows or longer lines than any statement should.',
    'Check which file it is. Nothing was taken from it.',
  ],
  statement_differs: [
    409,
    'Another file is the statement of this channel and date already.',
    'Compare the two; if this one replaces it, say so: `--supersede`.',
  ],
  statement_missing: [
    404,
    'There is no statement of this channel and date yet.',
    'Bring the file: `recoup reconcile CHANNEL DATE --file FILE`.',
  ],
  reconciliation_unknown: [404, 'There is no such reconciliation.', 'Check the id.'],
  reconciliation_busy: [
    409,
    "Another reconciliation of this channel's days is under way.",
    'Repeat when it has ended.',
  ],
  // Cases
  case_unknown: [404, 'There is no such case.', 'See `GET /v1/cases`.'],
  case_closed: [409, 'The case is closed.', 'Read it: `resolution` says how it ended.'],
  resolution_not_possible: [
    422,
    'A case of this kind cannot be resolved like that.',
    'Propose one of those listed in `possible`.',
  ],
  refund_not_whole: [
    422,
    'A refund of a case gives back all that is at risk in it.',
    'Refund `at_risk_minor`.',
  ],
  proposal_unknown: [404, 'There is no such proposal.', 'Read the case.'],
  proposal_open: [
    409,
    'Another proposal for this case is under way.',
    'Have the one named in `proposal_no` approved or rejected first.',
  ],
  proposal_decided: [
    409,
    'This proposal has been decided.',
    'Read the case: `state` says how it ended.',
  ],
  proposal_expired: [409, 'Nobody approved this proposal in time.', 'Propose anew.'],
  same_person: [
    403,
    'Whoever proposed this may not approve it.',
    'Have another person approve it with a key of their own.',
  ],
  payload_changed: [
    409,
    'The digest is not that of what was proposed.',
    'Read the proposal again and send its `digest`.',
  ],
  // Configuration and surroundings
  config_invalid: [500, 'The configuration has problems.', 'Correct the variables listed.'],
  channels_invalid: [422, 'The channel file has problems.', 'Correct the lines listed.'],
  channel_unknown: [404, 'There is no such channel.', 'See `recoup channels list`.'],
  callback_rejected: [401, 'The callback is not genuine.', 'Check the signing key of the channel.'],
  callback_stale: [
    401,
    'The callback is too old, or its time lies ahead of ours.',
    'Say it anew, under the time of the sending; check both clocks.',
  ],
  callback_malformed: [400, 'The callback cannot be read.', "Check the channel's dialect."],
  order_unknown: [
    404,
    'The callback names no order that was placed at this channel.',
    'Check at the channel whose order it is.',
  ],
  overloaded: [
    503,
    'More is under way than this process takes on; nothing was started.',
    'Repeat after `Retry-After`, with the same idempotency key.',
  ],
  busy: [503, 'The record is in use.', 'Repeat in a few seconds.'],
  journal_unavailable: [
    503,
    'The database did not answer in time; what was asked may or may not be recorded.',
    'Repeat with the same idempotency key: nothing is done twice.',
  ],
  schema_outdated: [503, 'The database schema is not up to date.', 'Run `recoup migrate`.'],
  internal: [
    500,
    'Something went wrong on our side.',
    'Repeat with the same idempotency key; tell us the `request_id`.',
  ],
} as const satisfies Record<string, readonly [status: number, title: string, action: string]>;

export type ErrorCode = keyof typeof errorTable;

/** A coded error. `details` is for the caller and must hold no secret and no account token. */
export class RecoupError extends Error {
  override readonly name = 'RecoupError';

  constructor(
    readonly code: ErrorCode,
    readonly details: Readonly<Record<string, unknown>> = {},
    options?: ErrorOptions,
  ) {
    super(`${code}: ${errorTable[code][1]}`, options);
  }

  get status(): number {
    return errorTable[this.code][0];
  }

  get title(): string {
    return errorTable[this.code][1];
  }

  get action(): string {
    return errorTable[this.code][2];
  }
}

export const isCode = (error: unknown, code: ErrorCode): boolean =>
  error instanceof RecoupError && error.code === code;
