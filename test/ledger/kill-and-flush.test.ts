import { expect } from 'chai';
import type { Services } from '../../src/composition/root.js';
import { Nursery } from '../support/nursery.js';
import { startEnvironment, type TestEnvironment } from '../support/environment.js';
import { Books, eventually } from './books.js';
import { boundaries, type Boundary, type Doom } from './doomed-bookkeeper.js';

/** Soon, so that what was lost is sent again while the test waits. */
const hurried = { RECOUP_LEDGER_IDLE_MS: '20', RECOUP_LEDGER_CONFIRM_MS: '300' };

describe('kill -9 and a flush of Redis between an outcome and the books', () => {
  let environment: TestEnvironment;
  let services: Services;
  let books: Books;
  // A start costs more than what is tested, and nothing lies between a posting and "before confirm".
  const apart = boundaries.filter((at) => at !== 'before confirm');
  /** Before it is dispatched a message is not in Redis. */
  const inRedis = apart.slice(2);
  const lives = apart.length + inRedis.length + 1;
  const script = new URL('./doomed-bookkeeper.js', import.meta.url);
  const nursery = new Nursery<Doom>(script, 2, lives);

  before(async () => {
    environment = await startEnvironment();
    services = await environment.compose({ config: { ledgerIdleMs: 20, ledgerConfirmMs: 300 } });
    books = new Books(environment);
  });
  after(async () => {
    await nursery.close();
    await environment.close();
  });

  // Each leaves what it has not finished to the next, who meets a fate of its own.
  it('postings equal captures, debits equal credits', async function () {
    this.timeout(180_000);
    const env = { ...environment.env, ...hurried };
    const repayments: string[] = [];
    const live = async (flushAt: readonly Boundary[], killAt: readonly Boundary[]) => {
      const { id: repayment } = await environment.repayment();
      repayments.push(repayment);
      const { lines, killed } = await nursery.run({ env, repayment, flushAt, killAt });
      expect(killed, lines.join()).to.equal(killAt.length > 0);
      expect(lines).to.include.members([...flushAt, ...killAt]);
    };
    for (const at of apart) await live([], [at]);
    for (const at of inRedis) await live([at], [at]);
    await live(boundaries, []);

    for (const repayment of repayments) await finish(repayment);
    services.ledger.start();
    await eventually(async () => {
      const { undelivered } = await services.ledger.reads.trialBalance();
      return undelivered.messages === 0;
    });
    for (const repayment of repayments) await compare(repayment);
    const { accounts, totals, balanced, deadLettersOpen } =
      await services.ledger.reads.trialBalance();
    const all = 120_000n * BigInt(repayments.length);
    expect(totals).to.eql([{ currency: 'CNY', debitMinor: all, creditMinor: all }]);
    expect({ balanced, deadLettersOpen, accounts: accounts.length }).to.eql({
      balanced: true,
      deadLettersOpen: 0,
      accounts: 2,
    });
  });

  /** A deduction whose process died before its outcome was written is taken over. */
  async function finish(repayment: string): Promise<void> {
    // The dead process's lock would expire by itself; the test need not wait for it.
    await services.redis.del(`recoup:lock:repayment:${repayment}`);
    const accepted = await services.deductions.findByRequest(`doomed:${repayment}`);
    if (accepted === null) throw new Error(`${repayment} was never accepted`);
    await eventually(async () => (await services.resume(accepted.id)) === 'ended');
  }

  async function compare(repayment: string): Promise<void> {
    const accepted = await services.deductions.findByRequest(`doomed:${repayment}`);
    if (accepted === null) throw new Error(`${repayment} was never accepted`);
    const attempts = await services.deductions.attempts(accepted.id);
    const numbers = new Set(attempts.map(({ orderNo }) => orderNo));
    const captures = (await environment.sandbox.book())
      .filter(({ orderNo }) => numbers.has(orderNo))
      .flatMap((order) => order.captures);
    expect(captures, repayment).to.have.length(1);
    expect(await books.transfers(accepted.id), repayment).to.eql([
      'channel_clearing:swiftpay > borrower_receivable 120000',
    ]);
  }
});
