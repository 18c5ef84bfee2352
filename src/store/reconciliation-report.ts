import type { ReconciliationReport } from '../reconciliation/report.js';

/** Amounts are bigint: written as text with a mark that no text of a report has. */
const mark = 'minor:';

export const encodeReport = (report: ReconciliationReport): string =>
  JSON.stringify(report, (_key, value: unknown) =>
    typeof value === 'bigint' ? `${mark}${value}` : value,
  );

export const decodeReport = (text: string): ReconciliationReport =>
  JSON.parse(text, (_key, value: unknown) =>
    typeof value === 'string' && value.startsWith(mark) ? BigInt(value.slice(mark.length)) : value,
  ) as ReconciliationReport;
