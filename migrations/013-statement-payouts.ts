/**
 * Statements list payouts as well: a type of row, of break and of what waits near midnight, and a sum of its
 * own in the trailer. A value added at the end of an ENUM, and a column with a default, rewrite no rows.
 */
const types = `ENUM('capture', 'refund', 'payout') CHARACTER SET ascii COLLATE ascii_bin NOT NULL`;

export const up: readonly string[] = [
  `ALTER TABLE channel_statement
    ADD COLUMN IF NOT EXISTS paid_out_minor BIGINT NOT NULL DEFAULT 0 AFTER refunded_minor`,
  ...['statement_row', 'reconciliation_break', 'reconciliation_held'].map(
    (table) => `ALTER TABLE ${table} MODIFY COLUMN type ${types}`,
  ),
];
