import { expect } from 'chai';
import { openDatabase, type Database } from '../../src/store/database.js';
import { silentLog } from '../../src/log.js';
import { startEnvironment, type TestEnvironment } from '../support/environment.js';
import { Books } from './books.js';

describe('the books', () => {
  let environment: TestEnvironment;
  let application: Database;
  let entry = '';

  before(async () => {
    environment = await startEnvironment();
    const books = new Books(environment);
    const services = await environment.compose();
    await services.ledger.consumer.handle([
      await books.tell({ key: 'd-1', amountMinor: '100' }),
      await books.tell({ key: 'd-2', amountMinor: '250', channelId: 'unionlink' }),
      await books.tell({ key: 'd-3', amountMinor: '7', topic: 'ledger.late_capture' }),
    ]);
    [{ id: entry } = { id: '' }] = await books.rows<{ id: string }>(
      `SELECT id FROM ledger_entry WHERE message_key = 'd-1'`,
    );
    application = openDatabase(environment.config.databaseUrl, 1, silentLog);
  });
  after(async () => {
    await application.destroy();
    await environment.close();
  });

  const refusal = async (database: Database, sql: string): Promise<string> => {
    try {
      await database.raw(sql);
      return 'accepted';
    } catch (error) {
      return (error as { sqlMessage?: string }).sqlMessage ?? String(error);
    }
  };

  const posting = (debit: string, credit: string, currency: string, amount: number): string =>
    `INSERT INTO ledger_posting
       (entry_id, line_no, debit_account, credit_account, currency, amount_minor)
     VALUES ('${entry}', 2, '${debit}', '${credit}', '${currency}', ${amount})`;

  const tables = ['ledger_account', 'ledger_entry', 'ledger_posting', 'ledger_inbox'] as const;

  for (const table of tables) {
    it(`${table} cannot be changed by the application, nor by its owner`, async () => {
      const statements = [`DELETE FROM ${table}`, `UPDATE ${table} SET ${changes[table]}`];
      for (const sql of statements) {
        expect(await refusal(application, sql)).to.match(/denied/);
        expect(await refusal(environment.owner, sql)).to.equal('the ledger is append-only');
      }
    });
  }

  const changes: Readonly<Record<(typeof tables)[number], string>> = {
    ledger_account: `class = 'income'`,
    ledger_entry: `order_no = 'R2'`,
    ledger_posting: 'amount_minor = 1',
    ledger_inbox: `digest = ''`,
  };

  it('take no amount of nothing, no transfer to itself, no account that is not open', async () => {
    const [clearing, receivable] = ['channel_clearing:swiftpay', 'borrower_receivable'];
    const refused = async (sql: string) => await refusal(environment.owner, sql);
    expect(await refused(posting(clearing, receivable, 'CNY', 0))).to.match(/_amount/);
    expect(await refused(posting(clearing, receivable, 'CNY', -1))).to.match(/_amount/);
    expect(await refused(posting(clearing, clearing, 'CNY', 1))).to.match(/_moves/);
    expect(await refused(posting('nowhere', receivable, 'CNY', 1))).to.match(/_debited/);
    expect(await refused(posting(clearing, 'nowhere', 'CNY', 1))).to.match(/_credited/);
    expect(await refused(posting(clearing, receivable, 'USD', 1))).to.match(/foreign key/);
  });

  it('take a source once', async () => {
    const again = `INSERT INTO ledger_entry (id, topic, message_key, deduction_id, channel_id,
        order_no, occurred_at, posted_at)
      SELECT UUID(), topic, message_key, deduction_id, channel_id, order_no, occurred_at, posted_at
      FROM ledger_entry LIMIT 1`;
    expect(await refusal(application, again)).to.match(/ledger_entry_source/);
  });

  it('add up: totals of each account, debits equal to credits', async () => {
    const services = await environment.compose();
    const balance = await services.ledger.reads.trialBalance();
    expect(balance.accounts).to.eql([
      account('borrower_receivable', 'asset', 0n, 350n),
      account('channel_clearing:swiftpay', 'asset', 107n, 0n),
      account('channel_clearing:unionlink', 'asset', 250n, 0n),
      account('owed_to_borrowers', 'liability', 0n, 7n),
    ]);
    expect(balance.totals).to.eql([{ currency: 'CNY', debitMinor: 357n, creditMinor: 357n }]);
    expect(balance).to.include({ balanced: true, deadLettersOpen: 0 });
    expect(balance.undelivered).to.eql({ messages: 0, oldestAt: null });
  });
});

const account = (code: string, kind: string, debitMinor: bigint, creditMinor: bigint) => ({
  account: code,
  class: kind,
  currency: 'CNY',
  debitMinor,
  creditMinor,
  balanceMinor: kind === 'asset' ? debitMinor - creditMinor : creditMinor - debitMinor,
});
