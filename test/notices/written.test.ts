import { expect } from 'chai';
import type { Services, Wrappers } from '../../src/composition/root.js';
import type { Log } from '../../src/engine/ports.js';
import { silentLog } from '../../src/log.js';
import { selectRows } from '../../src/store/database.js';
import { requestFor } from '../support/requests.js';
import { startEnvironment, type TestEnvironment } from '../support/environment.js';

interface NoticeRow {
  readonly message_id: string;
  readonly type: string;
  readonly task_id: string | null;
  readonly body: string;
}

interface Body {
  readonly type: string;
  readonly timestamp: string;
  readonly data: Readonly<Record<string, unknown>>;
}

describe('notices, as they are written', () => {
  let environment: TestEnvironment;
  let services: Services;

  before(async () => {
    environment = await startEnvironment({
      // It alone, which closes orders, may be asked so little.
      channels: ['unionlink'],
      adjust: (profile) => {
        const nature = profile['nature'] as Record<string, unknown>;
        nature['poll_schedule_ms'] = [10, 10, 10];
      },
    });
    await environment.owner.raw(`INSERT INTO notice_destination
      (id, url, types, secret_envs, created_at)
      VALUES ('crm', 'https://crm.example.com/', '*', 'RECOUP_NOTICE_SECRET_CRM', NOW(3))`);
    services = await environment.compose({ wrappers: nothingHeard, log });
  });
  after(async () => environment.close());

  /** The channels do what they are asked for and never say what came of it. */
  let mute = false;
  const pending = { kind: 'pending', channelRef: null } as const;
  const nothingHeard: Wrappers = {
    channels: (inner) => ({
      get: (id) => {
        const channel = inner.get(id);
        if (channel === undefined) return undefined;
        return {
          ...channel,
          charge: async (order) => {
            const answer = await channel.charge(order);
            return mute ? pending : answer;
          },
          query: async (order) => (mute ? pending : await channel.query(order)),
        };
      },
    }),
  };
  const warned: Readonly<Record<string, unknown>>[] = [];
  const log: Log = {
    ...silentLog,
    warn: (message, fields = {}) => void warned.push({ message, ...fields }),
  };

  const notices = async (taskId: string | null) =>
    await selectRows<NoticeRow>(
      environment.owner,
      'SELECT message_id, type, task_id, body FROM notice WHERE task_id <=> ? ORDER BY id',
      [taskId],
    );
  const bodyOf = ({ body }: NoticeRow): Body => JSON.parse(body) as Body;

  async function collect(fields: Parameters<TestEnvironment['repayment']>[0] = {}) {
    const repayment = await environment.repayment(fields);
    const { deductionId, finished } = await services.desk.start(requestFor(repayment));
    await finished;
    return { repayment, deductionId };
  }

  it('a deduction that ends is told once, with what it came to and nothing of the borrower', async () => {
    const { repayment, deductionId } = await collect();
    const told = await notices(deductionId);
    expect(told.map(({ type }) => type)).to.eql(['deduction.succeeded']);
    const [row] = told;
    const { type, timestamp, data } = bodyOf(row!);
    expect(type).to.equal('deduction.succeeded');
    const { endedAt } = (await services.deductions.find(deductionId))!;
    expect(timestamp).to.equal(endedAt!.toISOString());
    expect(data).to.include({
      id: deductionId,
      status: 'succeeded',
      repayment_id: repayment.id,
      amount_minor: 120_000,
      currency: 'CNY',
      failure_code: null,
    });
    expect(row!.message_id).to.match(/^msg_[0-9a-f]{32}$/);
    const { account, borrowerId } = repayment;
    for (const secret of [account.token, account.last4, borrowerId]) {
      expect(row!.body).to.not.include(secret);
    }
  });

  it('a decline is told with its code', async () => {
    const account = { token: 'tok_insufficient_funds_1', bankCode: 'ICBC', last4: '4321' };
    const { deductionId } = await collect({ account });
    const [row] = await notices(deductionId);
    const { failureCode } = (await services.deductions.find(deductionId))!;
    expect(failureCode).to.be.a('string');
    expect(bodyOf(row!)).to.deep.include({ type: 'deduction.failed' });
    expect(bodyOf(row!).data).to.include({ status: 'failed', failure_code: failureCode });
  });

  it('operators are told once when one ask is left, and of the case when none is', async () => {
    mute = true;
    const { deductionId } = await collect();
    const told = async () => (await notices(deductionId)).map(({ type }) => type);
    const asks: number[] = [];
    for (let runs = 0; runs < 100; runs += 1) {
      const [attempt] = await services.deductions.attempts(deductionId);
      asks.push(attempt!.asks);
      expect(await told(), `after ${attempt!.asks} asks`).to.eql(
        attempt!.asks < 2
          ? []
          : ['operators.schedule_ending', 'case.opened'].slice(0, attempt!.asks - 1),
      );
      if (attempt!.asks === 3) break;
      await services.clock.sleep(12);
      await services.executor.run(deductionId);
    }
    expect(asks).to.include.members([2, 3]);
    const [ending, opened] = await notices(deductionId);
    const [attempt] = await services.deductions.attempts(deductionId);
    expect(bodyOf(ending!).data).to.include({
      task_id: deductionId,
      order_no: attempt!.orderNo,
      channel_id: attempt!.channelId,
      asks: 2,
    });
    const [one] = await services.cases.desk.list({ taskId: deductionId, limit: 1 });
    expect(bodyOf(opened!).timestamp).to.equal(one!.openedAt.toISOString());
    expect(bodyOf(opened!).data).to.eql({
      id: one!.id,
      kind: 'outcome_unknown',
      task_id: deductionId,
      amount_minor: 120_000,
    });
    const about = (line: Readonly<Record<string, unknown>>): boolean =>
      line['order_no'] === attempt!.orderNo;
    expect(warned.filter(about).map(({ message }) => message)).to.eql([
      'one ask is left before the poll schedule ends',
    ]);

    // Asked again by hand the schedule starts anew and ends again: that is no news.
    await services.executor.run(deductionId, { kind: 'ask', by: 'Wang Fang' });
    for (let runs = 0; runs < 8; runs += 1) {
      await services.clock.sleep(12);
      await services.executor.run(deductionId);
    }
    const [again] = await services.deductions.attempts(deductionId);
    expect(again!.asks).to.equal(3);
    expect(await told()).to.eql(['operators.schedule_ending', 'case.opened']);
    mute = false;
    await services.executor.run(deductionId, { kind: 'ask', by: 'Wang Fang' });
    expect((await told()).at(-1)).to.equal('deduction.succeeded');
  });

  it('every case is told, whoever opens it, and again when it opens again', async () => {
    const at = '2026-11-22 08:00:00.123';
    const opened: readonly (readonly [table: string, sql: string])[] = [
      [
        'dead',
        `INSERT INTO dead_letter (outbox_id, topic, message_key, kind, amount_minor, evidence,
           tries, opened_at) VALUES (7, 'ledger.late_capture', 'k', 'refused', 5, 'x', 1, '${at}')`,
      ],
      [
        'break',
        `INSERT INTO reconciliation_break (channel_id, business_date, kind, type, order_no,
           occurrence, amount_minor, evidence, seen_by, opened_at)
         VALUES ('swiftpay', '2026-11-21', 'only_theirs', 'capture', 'R1', 0, 5, 'x', 'r', '${at}')`,
      ],
      [
        'check',
        `INSERT INTO active_check_finding (task_id, kind, amount_minor, evidence, opened_at, seen_at)
         VALUES (NULL, 'cannot_run', 5, 'x', '${at}', '${at}')`,
      ],
      [
        'notice',
        `INSERT INTO notice_outage (destination_id, kind, evidence, opened_at)
         VALUES ('crm', 'destination_gone', 'x', '${at}')`,
      ],
    ];
    for (const [, sql] of opened) await services.database.raw(sql);
    const told = (await notices(null)).map(bodyOf);
    expect(told.map(({ data }) => String(data['id']).split(':')[0])).to.eql(
      opened.map(([source]) => source),
    );
    expect(told.map(({ timestamp }) => timestamp)).to.eql(
      opened.map(() => '2026-11-22T08:00:00.123Z'),
    );
    expect(told.map(({ data }) => data['amount_minor'])).to.eql([5, 5, 5, 0]);

    await services.database.raw(`UPDATE reconciliation_break
      SET closed_at = '${at}', closed_by = 'x', resolution = 'x'`);
    expect(await notices(null)).to.have.length(4);
    await services.database.raw(`UPDATE reconciliation_break
      SET closed_at = NULL, closed_by = NULL, resolution = NULL, opened_at = '2026-11-23 08:00:00'`);
    expect((await notices(null)).map(bodyOf).at(-1)!.timestamp).to.equal(
      '2026-11-23T08:00:00.000Z',
    );
  });

  it('nothing is told of cases that nobody wants', async () => {
    await environment.owner.raw(`UPDATE notice_destination SET types = 'refund.failed'`);
    const before = (await notices(null)).length;
    await services.database.raw(`INSERT INTO active_check_finding
      (task_id, kind, amount_minor, evidence, opened_at, seen_at)
      VALUES (NULL, 'other', 5, 'x', NOW(3), NOW(3))`);
    expect(await notices(null)).to.have.length(before);
    await environment.owner.raw(`UPDATE notice_destination SET types = '*'`);
  });
});
