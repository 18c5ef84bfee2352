import { expect } from 'chai';
import type { Services } from '../../src/composition-root.js';
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

describe('notices, as they are written', function () {
  this.timeout(30_000);
  let environment: TestEnvironment;
  let services: Services;

  before(async () => {
    environment = await startEnvironment();
    await environment.owner.raw(`INSERT INTO notice_destination
      (id, url, types, secret_envs, created_at)
      VALUES ('crm', 'https://crm.example.com/', '*', 'RECOUP_NOTICE_SECRET_CRM', NOW(3))`);
    services = await environment.compose();
  });
  after(async () => environment.close());

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
});
