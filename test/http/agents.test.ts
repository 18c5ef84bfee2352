import { expect } from 'chai';
import { Api, type Json } from './api.js';

describe('deductions by agents', () => {
  let api: Api;

  before(async () => {
    api = await Api.start({ config: { agentPerBorrowerHour: 3 } });
  });
  after(async () => api.close());

  const wait = { headers: { prefer: 'wait=10' } };
  const reason = '客户电话同意部分还款';
  const audited = async (subject: string): Promise<Json[]> =>
    await api.rows('SELECT actor, action, detail FROM audit WHERE subject = ? ORDER BY id', [
      subject,
    ]);

  it('have a reason, and are written down before and after', async () => {
    const { id } = await api.environment.repayment();
    const answer = await api.deduct(
      { repayment_id: id, amount_minor: 30_000, reason },
      { as: 'agent', ...wait },
    );
    expect(answer.status).to.equal(200);
    expect(answer.body).to.include({ source: 'agent', status: 'succeeded' });
    expect(answer.body['agent']).to.deep.equal({ name: 'agent key', reason });
    const [requested] = await audited(id);
    expect(requested).to.include({
      actor: 'agent key (key_agent)',
      action: 'deduction_requested',
      detail: JSON.stringify({ amount_minor: 30_000, reason }),
    });
    const [accepted] = await audited(String(answer.body['id']));
    expect(accepted).to.include({ action: 'deduction_accepted' });
  });

  for (const bad of [undefined, 'abc', '   a  ', 'x'.repeat(501)]) {
    it(`are refused with a reason of ${bad?.trim().length ?? 'no'} characters`, async () => {
      const { id } = await api.environment.repayment();
      const before = await api.counts();
      const body = { repayment_id: id, ...(bad === undefined ? {} : { reason: bad }) };
      const answer = await api.deduct(body, { as: 'agent' });
      expect(answer.body).to.include({ code: 'agent_reason_missing', status: 422 });
      expect(await api.counts()).to.deep.equal(before);
    });
  }

  it('are refused with an account number for a reason', async () => {
    const { id } = await api.environment.repayment();
    const before = await api.counts();
    for (const number of [
      '6222021234567890123',
      '6222 0212 3456 7890',
      '6222-0212-3456-7890-123',
    ]) {
      const answer = await api.deduct(
        { repayment_id: id, reason: `charge card ${number} please` },
        { as: 'agent' },
      );
      expect(answer.body).to.include({ code: 'invalid_request' });
      expect(answer.text).not.to.include('6222');
    }
    expect(await api.counts()).to.deep.equal(before);
  });

  it('are refused for the same reasons as others, with the code written down', async () => {
    const { id } = await api.environment.repayment();
    const answer = await api.deduct(
      { repayment_id: id, amount_minor: 120_001, reason },
      { as: 'agent' },
    );
    expect(answer.body).to.include({ code: 'amount_exceeds_due' });
    expect((await audited(id)).map(({ action, detail }) => [action, detail])).to.deep.equal([
      ['deduction_requested', JSON.stringify({ amount_minor: 120_001, reason })],
      ['deduction_refused', JSON.stringify({ code: 'amount_exceeds_due' })],
    ]);
  });

  it('are bounded for each borrower in an hour, also when they come together', async () => {
    const borrowerId = 'bw_pressed';
    const repayments = await Promise.all(
      Array.from({ length: 6 }, () => api.environment.repayment({ borrowerId })),
    );
    const answers = await Promise.all(
      repayments.map(({ id }) =>
        api.deduct({ repayment_id: id, reason }, { as: 'agent', key: `pressed-${id}`, ...wait }),
      ),
    );
    const refused = answers.filter(({ status }) => status === 429);
    expect(answers.filter(({ status }) => status === 200)).to.have.length(3);
    expect(refused).to.have.length(3);
    for (const { body, headers } of refused) {
      expect(body).to.include({ code: 'rate_limited', limit: 3 });
      expect(Number(headers.get('retry-after'))).to.be.within(3_500, 3_600);
    }
    // What was accepted is replayed all the same; another borrower is not touched.
    const [first] = answers.flatMap(({ status }, n) => (status === 200 ? [repayments[n]!.id] : []));
    const again = await api.deduct(
      { repayment_id: first, reason },
      { as: 'agent', key: `pressed-${first!}` },
    );
    expect(again.headers.get('idempotency-replayed')).to.equal('true');
    const other = await api.environment.repayment();
    const free = await api.deduct({ repayment_id: other.id, reason }, { as: 'agent', ...wait });
    expect(free.status).to.equal(200);
    // Nor are the borrower's own payments bounded.
    const left = repayments.find(({ id }, n) => answers[n]?.status === 429 && id);
    const own = await api.deduct({ repayment_id: left?.id }, wait);
    expect(own.status).to.equal(200);
  });

  it('are not started when they cannot be written down', async () => {
    const { id } = await api.environment.repayment();
    const before = await api.counts();
    const { access } = api.services;
    const original = access.audit.bind(access);
    access.audit = async () => {
      throw Object.assign(new Error('gone'), { code: 'ECONNREFUSED' });
    };
    try {
      const answer = await api.deduct({ repayment_id: id, reason }, { as: 'agent' });
      expect(answer.body).to.include({ code: 'journal_unavailable', status: 503 });
    } finally {
      access.audit = original;
    }
    expect(await api.counts()).to.deep.equal(before);
  });
});
