/** What the command and the API show of the ledger. */
import type { AccountClass } from './chart.js';
import type { DeadLetterKind } from './ports.js';

export interface AccountBalance {
  readonly account: string;
  readonly class: AccountClass;
  readonly currency: string;
  readonly debitMinor: bigint;
  readonly creditMinor: bigint;
  /** On the side where the account's class grows. */
  readonly balanceMinor: bigint;
}

export interface TrialBalance {
  /** `lender`: posted to the lender's own service, and no accounts are kept here. */
  readonly keptBy: 'recoup' | 'lender';
  readonly accounts: readonly AccountBalance[];
  readonly totals: readonly {
    readonly currency: string;
    readonly debitMinor: bigint;
    readonly creditMinor: bigint;
  }[];
  /** Debits equal credits in every currency. */
  readonly balanced: boolean;
  /** Told by the outbox and not yet in the books, dead letters included. */
  readonly undelivered: { readonly messages: number; readonly oldestAt: Date | null };
  readonly deadLettersOpen: number;
}

export interface DeadLetter {
  readonly id: string;
  readonly topic: string;
  readonly messageKey: string;
  readonly kind: DeadLetterKind;
  readonly amountMinor: bigint;
  readonly evidence: string;
  readonly tries: number;
  readonly replays: number;
  readonly openedAt: Date;
  readonly closedAt: Date | null;
  readonly resolution: string | null;
}

export interface LedgerReads {
  trialBalance(): Promise<TrialBalance>;
  deadLetters(filter: {
    readonly open?: boolean | undefined;
    readonly limit: number;
  }): Promise<readonly DeadLetter[]>;
  /**
   * Sends a dead letter's message again, with its schedule started anew. The dead letter closes when
   * the message is posted. Audited in the same transaction.
   */
  replay(id: string, actor: string, nowMs: number): Promise<'replayed' | 'unknown' | 'closed'>;
}
