/**
 * The report of a run, and its control totals: each side's sum is counted twice, in two ways, and must be
 * the sum of its kinds. A cent that no kind explains makes the run `unexplained`, never `complete`.
 */
import { agreeing, breakKinds, distance, type MatchKind, type Tally } from './difference.js';
import type { Matched } from './ports.js';
import { rowTypes, type RowType, type StatementTotals } from './statement.js';

export interface ReportLine {
  readonly kind: MatchKind;
  readonly type: RowType;
  readonly theirRows: number;
  readonly theirMinor: bigint;
  readonly theirFeeMinor: bigint;
  readonly ourRows: number;
  readonly ourMinor: bigint;
}

/** What a total is by one way of counting, and by the sum of the kinds. */
export interface Control {
  readonly total: string;
  readonly unit: 'rows' | 'minor';
  readonly stated: bigint;
  readonly counted: bigint;
}

export interface ReconciliationReport {
  readonly statement: { readonly digest: string; readonly rows: number };
  readonly lines: readonly ReportLine[];
  readonly theirMinor: {
    readonly captured: bigint;
    readonly refunded: bigint;
    /** Absent in reports of before payouts. */
    readonly paidOut?: bigint;
    readonly fees: bigint;
  };
  readonly ourMinor: {
    readonly captured: bigint;
    readonly refunded: bigint;
    readonly paidOut?: bigint;
  };
  readonly controls: readonly Control[];
  /** The sum of what the controls are off by; 0 or the run is not complete. */
  readonly unexplainedMinor: bigint;
  /** Orders whose success the statement proved, now in our books. */
  readonly mended: number;
}

export const isExplained = ({ controls }: ReconciliationReport): boolean =>
  controls.every(({ stated, counted }) => stated === counted);

export function reportOf(
  statement: { readonly digest: string; readonly totals: StatementTotals },
  matched: Matched,
  mended: number,
): ReconciliationReport {
  const controls = controlsOf(statement.totals, matched);
  const { totals } = statement;
  const counted = (type: RowType): bigint =>
    sum(matched.oursCounted.filter((one) => one.type === type));
  return {
    statement: { digest: statement.digest, rows: totals.rows },
    lines: linesOf(matched),
    theirMinor: {
      captured: totals.capturedMinor,
      refunded: totals.refundedMinor,
      paidOut: totals.paidOutMinor,
      fees: totals.feeMinor,
    },
    ourMinor: {
      captured: counted('capture'),
      refunded: counted('refund'),
      paidOut: counted('payout'),
    },
    controls,
    unexplainedMinor: controls
      .filter(({ unit }) => unit === 'minor')
      .reduce((all, one) => all + distance(one.stated, one.counted), 0n),
    mended,
  };
}

function linesOf({ theirs, ours }: Matched): ReportLine[] {
  return [...agreeing, ...breakKinds].flatMap((kind) =>
    rowTypes.flatMap((type) => {
      const isSame = (one: Tally): boolean => one.kind === kind && one.type === type;
      const their = theirs.filter(isSame);
      const our = ours.filter(isSame);
      if (their.length === 0 && our.length === 0) return [];
      return [
        {
          kind,
          type,
          theirRows: count(their),
          theirMinor: sum(their),
          theirFeeMinor: their.reduce((all, one) => all + one.feeMinor, 0n),
          ourRows: count(our),
          ourMinor: sum(our),
        },
      ];
    }),
  );
}

function controlsOf(totals: StatementTotals, { theirs, ours, oursCounted }: Matched): Control[] {
  const fees = theirs.reduce((all, one) => all + one.feeMinor, 0n);
  return [
    rows('their rows', totals.rows, count(theirs)),
    minor('their captures', totals.capturedMinor, sum(of(theirs, 'capture'))),
    minor('their refunds', totals.refundedMinor, sum(of(theirs, 'refund'))),
    minor('their payouts', totals.paidOutMinor, sum(of(theirs, 'payout'))),
    minor('their fees', totals.feeMinor, fees),
    rows('our orders', count(oursCounted), count(ours)),
    minor('our captures', sum(of(oursCounted, 'capture')), sum(of(ours, 'capture'))),
    minor('our refunds', sum(of(oursCounted, 'refund')), sum(of(ours, 'refund'))),
    minor('our payouts', sum(of(oursCounted, 'payout')), sum(of(ours, 'payout'))),
    minor('matched, theirs and ours', sum(agreed(theirs)), sum(agreed(ours))),
  ];
}

const of = <T extends { readonly type: RowType }>(all: readonly T[], type: RowType): T[] =>
  all.filter((one) => one.type === type);

const agreed = (all: readonly Tally[]): Tally[] => all.filter(({ kind }) => kind === 'matched');

const rows = (total: string, stated: number, counted: number): Control => ({
  total,
  unit: 'rows',
  stated: BigInt(stated),
  counted: BigInt(counted),
});

const minor = (total: string, stated: bigint, counted: bigint): Control => ({
  total,
  unit: 'minor',
  stated,
  counted,
});

const sum = (all: readonly { readonly amountMinor: bigint }[]): bigint =>
  all.reduce((total, one) => total + one.amountMinor, 0n);

const count = (all: readonly { readonly rows: number }[]): number =>
  all.reduce((total, one) => total + one.rows, 0);
