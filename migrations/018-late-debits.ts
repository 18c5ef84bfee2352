/**
 * A withdrawal that has ended may have a debit to give back that was found done too late. It is under way
 * until then, without being open: `gives_back` says so, for the active check, which finds by the business
 * tables what should be in flight. An earlier release never writes the column, and does not read such a log.
 */
export const up: readonly { readonly unless: string; readonly run: string }[] = [
  {
    unless: `SELECT 1 FROM information_schema.columns
      WHERE table_schema = DATABASE() AND table_name = 'withdrawal' AND column_name = 'gives_back'`,
    run: `ALTER TABLE withdrawal
      ADD COLUMN gives_back TINYINT NOT NULL DEFAULT 0,
      ADD KEY withdrawal_gives_back (gives_back, id)`,
  },
];
