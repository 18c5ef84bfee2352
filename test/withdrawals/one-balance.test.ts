import { expect } from 'chai';
import type { Services } from '../../src/composition/root.js';
import { RecoupError } from '../../src/errors.js';
import type { ChargeAnswer } from '../../src/engine/reply.js';
import { amountMinor } from '../../src/money.js';
import { storeIsAway } from '../../src/store-away.js';
import { execute, selectRows } from '../../src/store/database.js';
import { startEnvironment, type TestEnvironment } from '../support/environment.js';
import { aMember, aWithdrawal, expectExplained, payoutsAnswer, withPayouts } from './practice.js';

/** By the order's own number: a third is paid, a third is refused for good, a third is not known. */
function answerOf(orderNo: string): ChargeAnswer {
  const kind = Buffer.from(orderNo).reduce((sum, byte) => sum + byte, 0) % 3;
  if (kind === 0) return { kind: 'succeeded', channelRef: `ref-${orderNo}` };
  if (kind === 1) return { kind: 'unknown', why: 'timeout', detail: '' };
  const declined = { kind: 'declined', code: 'account_closed', channelCode: 'E7' } as const;
  return { ...declined, message: 'no such account', scope: 'final' };
}

describe('one balance, and many who want it', () => {
  let environment: TestEnvironment;
  let services: Services;

  before(async () => {
    environment = await startEnvironment({ adjust: withPayouts });
  });
  after(async () => await environment.close());

  it('1,000 withdrawals at once leave exactly what the successes and the unknowns explain', async () => {
    const wrappers = payoutsAnswer(({ orderNo }) => answerOf(orderNo));
    // Two processes, so that several transactions meet at the account's row.
    services = await environment.compose({ wrappers });
    const other = await environment.compose({ wrappers });
    const each = 100;
    const memberId = await aMember(services, 600 * each);
    const withdraw = async (_: unknown, index: number): Promise<string> => {
      const { withdrawalDesk } = (index % 2 === 0 ? services : other).flows;
      const request = aWithdrawal(memberId, { amountMinor: amountMinor(each) });
      for (let tries = 1; ; tries += 1) {
        try {
          await (
            await withdrawalDesk.start(request)
          ).finished;
          return 'accepted';
        } catch (error) {
          if (error instanceof RecoupError) return error.code;
          // Where so many wait too long for a connection, the caller asks again under the same key.
          if (!storeIsAway(error) || tries === 100) throw error;
        }
      }
    };
    const asked = await Promise.all(Array.from({ length: 1_000 }, withdraw));
    expect([...new Set(asked)].toSorted()).to.eql(['accepted', 'balance_too_low']);

    const left = await expectExplained(environment.owner, memberId);
    const rows = await selectRows<{ status: string; n: number | string }>(
      environment.owner,
      'SELECT status, COUNT(*) AS n FROM withdrawal WHERE member_id = ? GROUP BY status',
      [memberId],
    );
    const count = (status: string): number =>
      Number(rows.find((row) => row.status === status)?.n ?? 0);
    const accepted = asked.filter((one) => one === 'accepted').length;
    expect(count('succeeded') + count('failed') + count('processing')).to.equal(accepted);
    expect(count('succeeded'), 'some are paid').to.be.above(50);
    expect(count('failed'), 'some are given back').to.be.above(50);
    expect(count('processing'), 'some are not known').to.be.above(50);
    // What is not known is not given back; what has failed is, once.
    const explained = 600 - count('succeeded') - count('processing');
    expect(left).to.equal(BigInt(explained * each));
    const [back] = await selectRows<{ n: number | string }>(
      environment.owner,
      `SELECT COUNT(*) AS n FROM member_entry WHERE member_id = ? AND kind = 'given_back'`,
      [memberId],
    );
    expect(Number(back?.n)).to.equal(count('failed'));
  });

  it('a balance below zero is refused by the database, whoever writes it', async () => {
    const memberId = await aMember(services, 100);
    const below = 'UPDATE member_account SET balance_minor = balance_minor - 101 WHERE id = ?';
    let refused = '';
    await execute(environment.owner, below, [memberId]).catch((error: Error) => {
      refused = error.message;
    });
    expect(refused).to.include('member_balance');
  });

  it('the money log takes each cause once, and cannot be changed', async () => {
    const memberId = await aMember(services, 100);
    const { database } = services;
    const again = `INSERT INTO member_entry (cause_id, kind, member_id, currency, amount_minor, at)
      SELECT cause_id, kind, member_id, currency, amount_minor, at FROM member_entry WHERE member_id = ?`;
    const refused: string[] = [];
    for (const [on, sql] of [
      [database, again],
      [database, 'UPDATE member_entry SET amount_minor = 1 WHERE member_id = ?'],
      [environment.owner, 'UPDATE member_entry SET amount_minor = 1 WHERE member_id = ?'],
      [environment.owner, 'DELETE FROM member_entry WHERE member_id = ?'],
    ] as const) {
      await execute(on, sql, [memberId]).catch((error: Error) => refused.push(error.message));
    }
    expect(refused).to.have.length(4);
    expect(refused[0]).to.include('member_entry_cause');
    expect(await expectExplained(environment.owner, memberId)).to.equal(100n);
  });

  it('the same deposit twice is one, and another under its id is refused', async () => {
    const memberId = await aMember(services, 0);
    const other = await aMember(services, 0);
    const { members } = services.flows;
    const deposit = { memberId, causeId: `dp_same_${memberId}`, currency: 'CNY' } as const;
    const of = async (amount: number, fields = {}): Promise<string> =>
      await members
        .deposit({ ...deposit, amountMinor: amountMinor(amount), ...fields }, Date.now())
        .catch((error: RecoupError) => error.code);
    const copies = await Promise.all(Array.from({ length: 20 }, () => of(500)));
    expect(copies.filter((one) => one === 'made')).to.have.length(1);
    expect(copies.filter((one) => one === 'known')).to.have.length(19);
    expect(await of(501)).to.equal('deposit_differs');
    expect(await of(500, { memberId: other })).to.equal('deposit_differs');
    expect(await of(500, { memberId: 'mb_nobody', causeId: 'dp_nobody' })).to.equal(
      'member_unknown',
    );
    expect(await expectExplained(environment.owner, memberId)).to.equal(500n);
  });

  it('the same request at once, twenty times, is one withdrawal; another under its key is refused', async () => {
    const memberId = await aMember(services, 1_000);
    const request = aWithdrawal(memberId);
    const { withdrawalDesk } = services.flows;
    const copies = await Promise.all(
      Array.from({ length: 20 }, async () => (await withdrawalDesk.start(request)).id),
    );
    expect(new Set(copies).size).to.equal(1);
    const other = await withdrawalDesk
      .start({ ...request, requestDigest: 'other' })
      .then(() => 'started')
      .catch((error: RecoupError) => error.code);
    expect(other).to.equal('idempotency_key_reused');
    const entries = await services.flows.members.entries(memberId, 'CNY', 10);
    expect(entries.filter(({ kind }) => kind === 'withdrawn')).to.have.length(1);
  });
});
