/**
 * The sweep claims what is overdue a kind of task at a time, so that one kind whose third party hangs
 * does not fill every claim. With the kind in the index a claim reads rows of its kind alone, however
 * many of another are overdue. `kind` is written once, when the row is.
 */
export const up: readonly { readonly unless: string; readonly run: string }[] = [
  {
    unless: `SELECT 1 FROM information_schema.statistics
      WHERE table_schema = DATABASE() AND table_name = 'in_flight'
        AND index_name = 'in_flight_due' AND column_name = 'kind'`,
    run: `ALTER TABLE in_flight
      DROP KEY in_flight_due,
      ADD KEY in_flight_due (ended_at, kind, wake_at)`,
  },
];
