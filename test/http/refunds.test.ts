import { expect } from 'chai';
import type { Role } from '../../src/http/ports.js';
import { newTaskId } from '../../src/ids.js';
import { Api, type Answer, type Json } from './api.js';

interface Asking {
  readonly key?: string;
  readonly id?: string;
  readonly as?: Role;
}

describe('refunds over HTTP', () => {
  let api: Api;
  let deduction = '';

  before(async () => {
    api = await Api.start();
    await api.addKey('checker', 'operator');
    const { id } = await api.environment.repayment();
    const made = await api.deduct({ repayment_id: id }, { headers: { prefer: 'wait=10' } });
    expect(made.body['status']).to.equal('succeeded');
    deduction = String(made.body['id']);
  });
  after(async () => api.close());

  const reason = 'the borrower complains';
  let keys = 0;
  const ask = async (
    body: object,
    { key = '', id = deduction, as = 'operator' }: Asking = {},
  ): Promise<Answer> => {
    keys += 1;
    return await api.call('POST', `/v1/deductions/${id}/refunds`, {
      as,
      headers: { 'idempotency-key': key === '' ? `refund-${keys}` : key },
      body,
    });
  };

  it('are asked for by one person, approved by another, and told of by the deduction', async () => {
    const made = await ask({ amount_minor: 50_000, reason }, { key: 'one' });
    expect(made.status).to.equal(201);
    expect(made.headers.get('location')).to.equal(`/v1/cases/${String(made.body['case_id'])}`);
    expect(made.body).to.include({
      deduction_id: deduction,
      amount_minor: 50_000,
      requested_by: 'operator key',
      refund_id: null,
    });
    const again = await ask({ amount_minor: 50_000, reason }, { key: 'one' });
    expect([again.status, again.headers.get('idempotency-replayed')]).to.eql([200, 'true']);
    expect(again.body).to.deep.equal(made.body);
    const other = await ask({ amount_minor: 50_001, reason }, { key: 'one' });
    expect(other.body).to.include({ code: 'idempotency_key_reused' });

    const address = String(made.headers.get('location'));
    const read = await api.call('GET', address, { as: 'operator' });
    const [proposal] = read.body['proposals'] as [Json];
    const { digest } = proposal;
    const approve = async (name: string): Promise<Answer> =>
      await api.call('POST', `${address}/proposals/1/approve`, {
        headers: { authorization: `Bearer secret-${name}` },
        body: { digest },
      });
    expect((await approve('operator')).body).to.include({ code: 'same_person' });
    expect((await approve('checker')).body).to.include({ state: 'executed' });

    const page = (await api.call('GET', `/v1/deductions/${deduction}`, { as: 'app' })).body;
    const [request] = page['refund_requests'] as [Json];
    const [refund] = page['refunds'] as [Json];
    expect(request).to.include({ case_id: made.body['case_id'], refund_id: refund['id'] });
    expect(refund).to.include({ amount_minor: 50_000, taken_from: 'repayment' });
    const audit = await api.rows('SELECT action FROM audit WHERE subject = ? ORDER BY id', [
      String(made.body['case_id']),
    ]);
    expect(audit.map(({ action }) => action)).to.deep.equal([
      'refund_requested',
      'proposal_made',
      'approval_refused',
      'proposal_approved',
      'proposal_executed',
    ]);
  });

  it('are not asked for by whoever collects', async () => {
    for (const as of ['app', 'agent'] as const) {
      expect((await ask({ reason }, { as })).body).to.include({ code: 'forbidden' });
    }
  });

  for (const [what, body, code, id] of [
    ['more than is credited', { amount_minor: 120_001, reason }, 'capture_not_available'],
    ['nothing', { amount_minor: 0, reason }, 'amount_not_positive'],
    ['no reason', { amount_minor: 1 }, 'invalid_request'],
    ['a card number', { reason: 'wants it on 6222 0212 3456 7890 123' }, 'invalid_request'],
    ['a deduction that is none', { reason }, 'deduction_unknown', 'x'],
    ['a deduction that is not there', { reason }, 'deduction_unknown', newTaskId()],
  ] as const) {
    it(`refuses ${what}, and writes nothing`, async () => {
      const rows = async () => (await api.rows('SELECT id FROM refund_request')).length;
      const before = await rows();
      const refused = await ask(body, id === undefined ? {} : { id });
      expect(refused.body).to.include({ code });
      expect(await rows()).to.equal(before);
    });
  }

  it('refuses a request without a key', async () => {
    const path = `/v1/deductions/${deduction}/refunds`;
    const refused = await api.call('POST', path, { as: 'operator', body: { reason } });
    expect(refused.body).to.include({ code: 'idempotency_key_missing' });
  });
});
