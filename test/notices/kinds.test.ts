import { expect } from 'chai';
import type { Entry, TaskKind } from '../../src/engine/entries.js';
import type { Append } from '../../src/engine/journal.js';
import type { Task } from '../../src/engine/tasks.js';
import { noticeTypes } from '../../src/notices/destination.js';
import { noticesOf } from '../../src/store/notice-rows.js';
import { declined, place, succeeded, unknown } from '../engine/flow-driver.js';
import { TopUpDriver } from '../engine/top-up-driver.js';
import { WithdrawalDriver } from '../withdrawals/withdrawal-driver.js';

interface Told {
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
}

const final = declined('final');
const everything = (): boolean => true;

/** What the last `tail` entries of a log tell. */
function told(
  { state, log }: { readonly state: Task; readonly log: readonly Entry[] },
  tail = log.length,
  before: Task | null = null,
): { readonly rows: readonly string[]; readonly bodies: readonly Told[] } {
  const append: Append<Task> = {
    taskId: state.taskId,
    kind: state.kind,
    afterSeq: log.length - tail,
    entries: log.slice(log.length - tail),
    before,
    state,
    wakeAtMs: null,
    writer: 'w',
  };
  const rows = noticesOf(append, everything);
  return {
    rows: rows.map((row) => String(row['message_id'])),
    bodies: rows.map((row) => JSON.parse(String(row['body'])) as Told),
  };
}

const paidOut = (): WithdrawalDriver => {
  const driver = new WithdrawalDriver([place('a')]);
  driver.answer('payout', succeeded);
  return driver;
};
const notPaidOut = (): WithdrawalDriver => {
  const driver = new WithdrawalDriver([place('a')]);
  driver.answer('payout', final);
  return driver;
};
const credited = (): TopUpDriver => {
  const driver = new TopUpDriver();
  for (const leg of ['pre_recharge', 'charge', 'credit'] as const) driver.answer(leg, succeeded);
  return driver;
};
const notPaid = (): TopUpDriver => {
  const driver = new TopUpDriver();
  driver.answer('pre_recharge', succeeded);
  driver.answer('charge', final);
  driver.answer('void', succeeded);
  return driver;
};

describe('what is told of withdrawals and top-ups', () => {
  for (const [driver, type] of [
    [paidOut(), 'withdrawal.succeeded'],
    [notPaidOut(), 'withdrawal.failed'],
    [credited(), 'top_up.succeeded'],
    [notPaid(), 'top_up.failed'],
  ] as const) {
    it(`${type}: once, at the end, without an account`, () => {
      const { bodies } = told(driver);
      expect(bodies.map((body) => body.type)).to.eql([type]);
      expect(noticeTypes).to.include(type);
      const { data } = bodies[0]!;
      const [, status] = type.split('.');
      expect(data).to.include({ id: driver.state.taskId, status, currency: 'CNY' });
      expect(data['failure_code'] === null).to.equal(status === 'succeeded');
      expect(data['order_no'] === null).to.equal(status === 'failed');
      expect(JSON.stringify(bodies)).to.not.match(/tok_|4321|0007/);
    });
  }

  it('the same event has the same id, whichever append tells of it', () => {
    const driver = paidOut();
    expect(told(driver, 1).rows).to.eql(told(driver).rows);
    expect(told(notPaidOut()).rows).to.not.eql(told(driver).rows);
  });

  it('nothing before the end', () => {
    const driver = new WithdrawalDriver([place('a')]);
    driver.begin('payout');
    expect(told(driver).rows).to.eql([]);
  });

  describe('a credit that is not confirmed', () => {
    /** What each of these moves of it tells, in turn. */
    const toldBy = (...moves: readonly ((driver: TopUpDriver) => unknown)[]) => {
      const driver = new TopUpDriver();
      for (const leg of ['pre_recharge', 'charge'] as const) driver.answer(leg, succeeded);
      return moves.map((move) => {
        const [length, before] = [driver.log.length, driver.state];
        move(driver);
        const { bodies } = told(driver, driver.log.length - length, before);
        return bodies.map(({ type }) => type);
      });
    };
    const unheard = (driver: TopUpDriver) => driver.answer('credit', unknown);
    const askedInVain = (driver: TopUpDriver) => {
      driver.wait();
      driver.answer('query', unknown);
    };

    it('is told once, and then its end, when it was credited after all', () => {
      const credited = (driver: TopUpDriver) => driver.hears('credit', succeeded);
      expect(toldBy(unheard, askedInVain, credited)).to.eql([
        ['top_up.credit_unknown'],
        [],
        ['top_up.succeeded'],
      ]);
    });

    it('is told once, and then its end, when it was given back', () => {
      const givenBack = (driver: TopUpDriver) => {
        driver.hears('credit', final);
        driver.answer('void', succeeded);
        driver.answer('refund', succeeded);
      };
      expect(toldBy(unheard, askedInVain, givenBack)).to.eql([
        ['top_up.credit_unknown'],
        [],
        ['top_up.failed'],
      ]);
    });

    it('is not told where it is confirmed at once', () => {
      const credited = (driver: TopUpDriver) => driver.answer('credit', succeeded);
      expect(toldBy(credited)).to.eql([['top_up.succeeded']]);
    });
  });

  it('there is a type for each end of every kind', () => {
    const kinds: Record<TaskKind, true> = {
      deduction: true,
      refund: true,
      withdrawal: true,
      top_up: true,
    };
    const ends = Object.keys(kinds).flatMap((kind) => [`${kind}.succeeded`, `${kind}.failed`]);
    expect(noticeTypes).to.include.members(ends);
  });
});
