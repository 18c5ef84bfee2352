/**
 * The in-flight log holds exactly the tasks that have not ended: the transaction that ends one deletes
 * its row, which was updated before, and deleted by its age a week later. That update moved two index
 * entries and made a row that nobody reads; both together cost the database as much again as the delete.
 *
 * The rows of what has ended are deleted in one statement, of a week's tasks at the most: nothing else
 * is at work during a migration, nothing reads them, and one that is killed in it is rolled back by the
 * server and run again. No row of an open task is touched.
 */
const hasBeenRun = `SELECT 1 FROM DUAL WHERE NOT EXISTS (
  SELECT 1 FROM information_schema.columns
  WHERE table_schema = DATABASE() AND table_name = 'in_flight' AND column_name = 'ended_at')`;

export const up: readonly { readonly unless: string; readonly run: string }[] = [
  { unless: hasBeenRun, run: 'DELETE FROM in_flight WHERE ended_at IS NOT NULL' },
  {
    unless: hasBeenRun,
    run: `ALTER TABLE in_flight
      DROP CONSTRAINT in_flight_ended,
      DROP KEY in_flight_due,
      DROP COLUMN ended_at,
      ADD KEY in_flight_due (kind, wake_at)`,
  },
];
