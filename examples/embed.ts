/**
 * Recoup inside an application. In a checkout, with channels to practise on:
 *
 *   node dist/src/cli.js sandbox --write-env sandbox.env &
 *   . ./sandbox.env
 *   node scripts/run.mjs -- node dist/examples/embed.js     # with a private MariaDB and Redis
 *
 * or, with stores of your own in RECOUP_DATABASE_URL and RECOUP_REDIS_URL, only
 * `node dist/examples/embed.js`.
 */
import { readFile } from 'node:fs/promises';
import { amountMinor, createRecoup, formatDecimalAmount, RecoupError, repaymentId } from 'recoup';

// The configuration comes from RECOUP_… variables; what is given here wins over them. The log is
// yours: whatever has these four methods will do.
const recoup = await createRecoup({
  name: 'shop',
  config: { batchInFlight: 32 },
  log: {
    debug: () => undefined,
    info: (message, fields) => console.error('info', message, fields ?? ''),
    warn: (message, fields) => console.error('warn', message, fields ?? ''),
    error: (message, fields) => console.error('error', message, fields ?? ''),
  },
});

try {
  await recoup.migrate();
  await recoup.importChannels(await readFile('examples/channels.demo.yaml', 'utf8'));

  // What a borrower owes. Never a card number: a token, the bank and the last four digits.
  const id = repaymentId(`RP-${Date.now()}`);
  await recoup.registerRepayments([
    {
      id,
      borrowerId: 'B-1001',
      currency: 'CNY',
      dueMinor: amountMinor(128_050),
      dueDate: '2026-11-25',
      account: { token: `tok_ok_${Date.now()}`, bankCode: 'ICBC', last4: '6222' },
    },
  ]);

  // The key is yours. Asking again with it, after a crash too, finds the same deduction.
  const key = `order-${id}`;
  const deduction = await recoup.deduct({ repaymentId: id, key }, { waitMs: 10_000 });
  switch (deduction.status) {
    case 'succeeded':
      console.log(`${formatDecimalAmount(deduction.amountMinor)} collected`);
      break;
    case 'failed':
      console.log(`not collected: ${deduction.failureCode}`);
      break;
    default:
      // Not known yet, which is not failed: somebody else's worker goes on, or ours (below).
      console.log(`not known yet: ${deduction.status}`);
  }

  // Every step of it, from the execution log.
  const story = await recoup.show(deduction.id);
  for (const { seq, entry } of story?.log ?? []) console.log(`  ${seq} ${entry.kind}`);

  // A worker in this process: batches, polling, and whatever a crash has left.
  await recoup.startWorker();

  // Errors are coded, and each says what to do.
  try {
    await recoup.deduct({ repaymentId: id, key: `${key}-again` });
  } catch (error) {
    if (!(error instanceof RecoupError)) throw error;
    console.log(`refused: ${error.code}. ${error.action}`);
  }
} finally {
  await recoup.close();
}
