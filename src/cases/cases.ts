import type { Clock } from '../clock.js';
import { every, type Interval } from '../interval.js';
import type { Log } from '../log.js';
import type { CaseSource } from './case.js';
import { CaseDesk } from './case-desk.js';
import { Decisions } from './decisions.js';
import type { CaseBook, Carrier, ProposalBook } from './ports.js';

export interface CasesParts {
  readonly book: CaseBook;
  readonly proposals: ProposalBook;
  readonly carriers: Readonly<Record<CaseSource, Carrier>>;
  readonly clock: Clock;
  readonly log: Log;
}

export interface Cases {
  readonly desk: CaseDesk;
  readonly decisions: Decisions;
  /** Carries out what was approved and whose process died. */
  readonly sweep: Interval;
}

export function openCases(
  parts: CasesParts,
  settings: { readonly proposalTtlMs: number; readonly decisionIntervalMs: number },
): Cases {
  const { book, proposals, carriers, clock, log } = parts;
  const decisions = new Decisions(book, proposals, carriers, clock, log);
  const round = async (): Promise<void> => {
    const report = await decisions.runOnce();
    if (report.executed + report.void > 0) log.info('decisions carried out', { ...report });
  };
  return {
    desk: new CaseDesk(book, proposals, decisions, clock, settings),
    decisions,
    sweep: every(settings.decisionIntervalMs, 'the sweep of decisions', round, { clock, log }),
  };
}
