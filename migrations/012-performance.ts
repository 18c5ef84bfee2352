/**
 * The router reads what each channel was given today every few seconds, by what an order does. With the
 * operation in its index the rows themselves are not read: 0.3 µs an attempt of the day instead of 2.
 */
export const up: readonly { readonly unless: string; readonly run: string }[] = [
  {
    unless: `SELECT 1 FROM information_schema.statistics
      WHERE table_schema = DATABASE() AND table_name = 'attempt'
        AND index_name = 'attempt_usage' AND column_name = 'operation'`,
    run: `ALTER TABLE attempt
      DROP KEY attempt_usage,
      ADD KEY attempt_usage
        (business_date, operation, channel_id, bank_code, status, amount_minor)`,
  },
];
