/**
 * The channels to practise on: what each promises (its nature), whom it serves, what it costs and
 * how it writes things down. The engine learns the same facts only from its own channel profiles.
 */

/** What can become of a request, in the sandbox's own words; each channel has its own codes. */
export const outcomes = [
  'succeeded',
  'processing',
  'not_found',
  'insufficient_funds',
  'account_closed',
  'account_invalid',
  'cancelled_by_borrower',
  'risk_refused',
  'limit_exceeded',
  'bank_unsupported',
  'bank_unavailable',
  'contract_missing',
  'channel_unavailable',
  'refund_refused',
  'duplicate_order',
  'order_conflict',
  'order_expired',
  'order_closed',
  'closed',
  'close_refused',
  'bad_signature',
  'bad_request',
  'throttled',
  'system_error',
] as const;

export type Outcome = (typeof outcomes)[number];

export const declineOutcomes = [
  'insufficient_funds',
  'account_closed',
  'account_invalid',
  'cancelled_by_borrower',
  'risk_refused',
  'limit_exceeded',
  'bank_unsupported',
  'bank_unavailable',
  'contract_missing',
  'channel_unavailable',
  /** Nothing was captured there, or not so much is left of it. */
  'refund_refused',
] as const satisfies readonly Outcome[];

export type DeclineOutcome = (typeof declineOutcomes)[number];

export const channelIds = ['swiftpay', 'unionlink', 'oldbank', 'voucherpay'] as const;
export type SandboxChannelId = (typeof channelIds)[number];

export type Range = readonly [min: number, max: number];

export interface ChannelSpec {
  readonly id: SandboxChannelId;
  readonly wire: 'json' | 'json_flat' | 'form';
  /** Answers with the final outcome, or accepts and decides later. */
  readonly sync: boolean;
  readonly idempotent: boolean;
  readonly honoursExpiry: boolean;
  /** Can close, and refuses a closed number for ever, seen or unseen. */
  readonly tombstones: boolean;
  /** Where an address is set for it. */
  readonly callsBack: boolean;
  /** Callbacks are encrypted with AES-256-GCM. */
  readonly sealsCallbacks?: boolean;
  /** 0: answers about one order at a time. */
  readonly queryManyMax: number;
  /** The longest that a started order stays invisible to a query. Its profile must promise more. */
  readonly visibilityMs: number;
  readonly answerMs: Range;
  readonly settleMs: Range;
  readonly declines: Readonly<Partial<Record<DeclineOutcome, number>>>;
  readonly amountMin: number;
  readonly amountMax: number;
  /** An account's limit in a day (Asia/Shanghai) at this channel. */
  readonly accountDailyMax: number;
  /** Bank code to the most a single order may take from an account there. */
  readonly banks: Readonly<Record<string, number>>;
  readonly fee: { readonly flat: number; readonly basisPoints: number; readonly max: number };
  readonly codes: Readonly<Record<Outcome, string>>;
}

const swiftpay: ChannelSpec = {
  id: 'swiftpay',
  wire: 'json',
  sync: true,
  idempotent: true,
  honoursExpiry: true,
  tombstones: false,
  callsBack: true,
  queryManyMax: 0,
  visibilityMs: 1_500,
  answerMs: [4, 40],
  settleMs: [0, 0],
  declines: {
    insufficient_funds: 0.06,
    account_closed: 0.005,
    cancelled_by_borrower: 0.005,
    risk_refused: 0.01,
    bank_unavailable: 0.02,
  },
  amountMin: 100,
  amountMax: 5_000_000,
  accountDailyMax: 10_000_000,
  banks: {
    ICBC: 5_000_000,
    CCB: 5_000_000,
    ABC: 2_000_000,
    BOC: 2_000_000,
    CMB: 5_000_000,
    BCM: 1_000_000,
  },
  fee: { flat: 0, basisPoints: 20, max: 2_000 },
  codes: {
    succeeded: 'OK',
    processing: 'PROCESSING',
    not_found: 'ORDER_NOT_FOUND',
    insufficient_funds: 'INSUFFICIENT_FUNDS',
    account_closed: 'ACCOUNT_CLOSED',
    account_invalid: 'ACCOUNT_INVALID',
    cancelled_by_borrower: 'PAYER_CANCELLED',
    risk_refused: 'RISK_REFUSED',
    limit_exceeded: 'LIMIT_EXCEEDED',
    bank_unsupported: 'BANK_NOT_SUPPORTED',
    bank_unavailable: 'BANK_UNAVAILABLE',
    contract_missing: 'NO_AGREEMENT',
    channel_unavailable: 'SERVICE_SUSPENDED',
    refund_refused: 'REFUND_REFUSED',
    duplicate_order: 'ORDER_CONFLICT',
    order_conflict: 'ORDER_CONFLICT',
    order_expired: 'ORDER_EXPIRED',
    order_closed: 'ORDER_CLOSED',
    closed: 'CLOSED',
    close_refused: 'CLOSE_REFUSED',
    bad_signature: 'SIGNATURE_INVALID',
    bad_request: 'REQUEST_INVALID',
    throttled: 'THROTTLED',
    system_error: 'SYSTEM_ERROR',
  },
};

const unionlink: ChannelSpec = {
  id: 'unionlink',
  wire: 'form',
  sync: false,
  idempotent: false,
  honoursExpiry: false,
  tombstones: true,
  callsBack: true,
  queryManyMax: 50,
  visibilityMs: 1_500,
  answerMs: [3, 30],
  settleMs: [150, 2_500],
  declines: {
    insufficient_funds: 0.07,
    account_invalid: 0.005,
    cancelled_by_borrower: 0.005,
    limit_exceeded: 0.01,
    bank_unavailable: 0.02,
    contract_missing: 0.005,
  },
  amountMin: 1,
  amountMax: 20_000_000,
  accountDailyMax: 50_000_000,
  banks: {
    ICBC: 20_000_000,
    CCB: 10_000_000,
    ABC: 10_000_000,
    BOC: 10_000_000,
    PSBC: 5_000_000,
    CITIC: 5_000_000,
    CEB: 5_000_000,
  },
  fee: { flat: 50, basisPoints: 15, max: 3_000 },
  codes: {
    succeeded: '0000',
    processing: '0001',
    not_found: '3404',
    insufficient_funds: '5101',
    account_closed: '5102',
    account_invalid: '5103',
    cancelled_by_borrower: '5104',
    risk_refused: '5105',
    limit_exceeded: '5106',
    bank_unsupported: '5107',
    bank_unavailable: '5201',
    contract_missing: '5108',
    channel_unavailable: '5202',
    refund_refused: '5301',
    duplicate_order: '4409',
    order_conflict: '4409',
    order_expired: '4410',
    order_closed: '4411',
    closed: '0002',
    close_refused: '4412',
    bad_signature: '4401',
    bad_request: '4400',
    throttled: '4429',
    system_error: '9999',
  },
};

const oldbank: ChannelSpec = {
  id: 'oldbank',
  wire: 'json_flat',
  sync: true,
  idempotent: false,
  honoursExpiry: true,
  tombstones: false,
  callsBack: false,
  queryManyMax: 0,
  visibilityMs: 1_500,
  answerMs: [60, 450],
  settleMs: [0, 0],
  declines: { insufficient_funds: 0.05, risk_refused: 0.01, bank_unavailable: 0.03 },
  amountMin: 100,
  amountMax: 1_000_000,
  accountDailyMax: 2_000_000,
  banks: {
    ICBC: 1_000_000,
    CCB: 1_000_000,
    ABC: 500_000,
    BOC: 500_000,
    CMB: 500_000,
    BCM: 500_000,
    PSBC: 500_000,
    CITIC: 500_000,
  },
  fee: { flat: 200, basisPoints: 45, max: 10_000 },
  codes: {
    succeeded: '00',
    processing: '09',
    not_found: '25',
    insufficient_funds: '51',
    account_closed: '78',
    account_invalid: '14',
    cancelled_by_borrower: '17',
    risk_refused: '59',
    limit_exceeded: '61',
    bank_unsupported: '15',
    bank_unavailable: '91',
    contract_missing: '57',
    channel_unavailable: '90',
    refund_refused: '62',
    duplicate_order: '94',
    order_conflict: '94',
    order_expired: '54',
    order_closed: '58',
    closed: '02',
    close_refused: '03',
    bad_signature: 'A0',
    bad_request: '30',
    throttled: '22',
    system_error: '96',
  },
};

/** Promises nothing: what it does not know may still come. Only a person can end such an order. */
const voucherpay: ChannelSpec = {
  ...swiftpay,
  id: 'voucherpay',
  sealsCallbacks: true,
  idempotent: false,
  honoursExpiry: false,
  declines: {},
  banks: { ICBC: 1_000_000, CCB: 1_000_000, PSBC: 1_000_000 },
  amountMax: 1_000_000,
  fee: { flat: 100, basisPoints: 60, max: 5_000 },
  codes: { ...swiftpay.codes, duplicate_order: 'DUPLICATE_ORDER' },
};

export const channelSpecs: Readonly<Record<SandboxChannelId, ChannelSpec>> = {
  swiftpay,
  unionlink,
  oldbank,
  voucherpay,
};
