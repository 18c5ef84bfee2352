import type { Clock } from '../clock.js';
import { RecoupError } from '../errors.js';
import type { ChannelId, TaskId } from '../ids.js';
import type { AmountMinor, Currency } from '../money.js';
import type { CaseId, Person } from './case.js';
import type { NewProposal } from './proposal.js';
import { digestOf, encodeResolution } from './resolution.js';

/** One request, one refund: whichever of its proposals is carried out. */
export const refundKeyOf = (no: number): string => `refund-request:${no}`;

/** A refund that a person has asked for; its case is `refund:<no>`. */
export interface RefundRequestRecord {
  readonly no: number;
  readonly caseId: CaseId;
  readonly deductionId: TaskId;
  readonly attemptNo: number;
  readonly amountMinor: AmountMinor;
  readonly currency: Currency;
  readonly reason: string;
  readonly requestedBy: string;
  readonly requestDigest: string;
  readonly requestedAt: Date;
  readonly closedAt: Date | null;
  readonly resolution: string | null;
  /** The refund that it has become. */
  readonly refundId: TaskId | null;
}

export interface RefundAsked {
  readonly deductionId: TaskId;
  /** Null: all that is credited and that nobody else has asked for. */
  readonly amountMinor: AmountMinor | null;
  readonly reason: string;
  /** The same key is the same request. */
  readonly requestKey: string;
  readonly requestDigest: string;
}

/** What a deduction has credited to its repayment, and by which order. */
export interface Credit {
  readonly status: string;
  /** Null where nothing was credited. */
  readonly from: {
    readonly attemptNo: number;
    readonly channelId: ChannelId;
    readonly currency: Currency;
    /** Whether that channel gives back at all. */
    readonly refundable: boolean;
  } | null;
}

export interface NewRefundRequest extends RefundAsked {
  readonly attemptNo: number;
  readonly currency: Currency;
  readonly by: Person;
  readonly openedAt: Date;
  /** Its proposal, which is written with it or not at all. */
  readonly proposal: (id: CaseId, amountMinor: AmountMinor) => NewProposal;
}

/** `store/` provides it. */
export interface RefundRequestBook {
  byKey(requestKey: string): Promise<RefundRequestRecord | null>;
  /** Oldest first. */
  ofDeduction(id: TaskId): Promise<readonly RefundRequestRecord[]>;
  /**
   * The request, its case and its proposal, in one transaction. Null when the key was there before.
   *
   * @throws RecoupError `capture_not_available` with what is available: credited, and not asked for by
   *   another open request.
   */
  open(request: NewRefundRequest): Promise<RefundRequestRecord | null>;
}

/** Where people ask that a deduction be given back that was collected and credited as asked. */
export class RefundRequestDesk {
  constructor(
    private readonly credit: (deduction: TaskId) => Promise<Credit | null>,
    private readonly book: RefundRequestBook,
    private readonly clock: Clock,
    private readonly settings: { readonly proposalTtlMs: number },
  ) {}

  async ofDeduction(id: TaskId): Promise<readonly RefundRequestRecord[]> {
    return await this.book.ofDeduction(id);
  }

  /**
   * Resolves once the request is there, durably, for another person to approve.
   *
   * @throws RecoupError `deduction_unknown`, `deduction_not_ended`, `nothing_credited`,
   *   `refund_not_offered`, `capture_not_available`, `idempotency_key_reused`
   */
  async request(
    asked: RefundAsked,
    by: Person,
  ): Promise<{ readonly request: RefundRequestRecord; readonly repeated: boolean }> {
    const before = await this.#known(asked);
    if (before !== null) return { request: before, repeated: true };
    const from = await this.#creditOf(asked.deductionId);
    const opened = await this.book.open(this.#opening(asked, from, by));
    if (opened !== null) return { request: opened, repeated: false };
    // Two with the same key at once: the other was first.
    const first = await this.#known(asked);
    if (first === null) throw new Error('a request of a refund has disappeared');
    return { request: first, repeated: true };
  }

  async #known({ requestKey, requestDigest }: RefundAsked): Promise<RefundRequestRecord | null> {
    const known = await this.book.byKey(requestKey);
    if (known !== null && known.requestDigest !== requestDigest) {
      throw new RecoupError('idempotency_key_reused');
    }
    return known;
  }

  async #creditOf(deduction: TaskId): Promise<NonNullable<Credit['from']>> {
    const credit = await this.credit(deduction);
    if (credit === null) throw new RecoupError('deduction_unknown');
    const { status, from } = credit;
    if (status !== 'succeeded' && status !== 'failed') {
      throw new RecoupError('deduction_not_ended', { deduction_status: status });
    }
    if (status === 'failed' || from === null) {
      throw new RecoupError('nothing_credited', { deduction_status: status });
    }
    if (!from.refundable) {
      throw new RecoupError('refund_not_offered', { channel_id: from.channelId });
    }
    return from;
  }

  #opening(
    asked: RefundAsked,
    { attemptNo, currency }: NonNullable<Credit['from']>,
    by: Person,
  ): NewRefundRequest {
    const openedAt = new Date(this.clock.nowMs());
    const expiresAt = new Date(openedAt.getTime() + this.settings.proposalTtlMs);
    const { reason } = asked;
    return {
      ...asked,
      attemptNo,
      currency,
      by,
      openedAt,
      proposal(caseId, amountMinor) {
        const action = 'refund';
        const payload = encodeResolution({ action, amountMinor, reason });
        const what = { caseId, makerKey: by.keyId, madeAt: openedAt, payload };
        return { ...what, action, by, expiresAt, payloadDigest: digestOf(what) };
      },
    };
  }
}
