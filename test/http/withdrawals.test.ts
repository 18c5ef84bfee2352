import { expect } from 'chai';
import { Api, type Answer, type Json } from './api.js';

let keys = 0;
let members = 0;

describe('POST and GET /v1/withdrawals, and members', () => {
  let api: Api;

  before(async () => {
    api = await Api.start({ environment: { sandbox: { latencyScale: 0.1 } } });
    await api.environment.sandbox.setCallbackUrl(`${api.base}/v1/callbacks/unionlink`);
  });
  after(async () => api.close());
  afterEach(async () => api.environment.sandbox.clearFaults());

  const newKey = (): string => `wd-${(keys += 1)}`;

  async function member(balance: number): Promise<string> {
    members += 1;
    const id = `mb_http_${members}`;
    await api.call('POST', '/v1/members', { as: 'operator', body: { id, currency: 'CNY' } });
    const body = { deposit_id: `dp_${id}`, amount_minor: balance, currency: 'CNY' };
    const made = await api.call('POST', `/v1/members/${id}/deposits`, { as: 'operator', body });
    expect(made.body).to.include({ id, balance_minor: balance });
    return id;
  }

  const bodyFor = (member_id: string, fields: object = {}) => ({
    member_id,
    amount_minor: 30_000,
    currency: 'CNY',
    bank_code: 'ICBC',
    account_token: 'tok_ok_http_0001',
    account_last4: '4321',
    ...fields,
  });

  const withdraw = async (
    body: object,
    { key = newKey(), wait = 20 }: { key?: string; wait?: number } = {},
  ): Promise<Answer> =>
    await api.call('POST', '/v1/withdrawals', {
      as: 'app',
      headers: { 'idempotency-key': key, ...(wait > 0 && { prefer: `wait=${wait}` }) },
      body,
    });

  const balanceOf = async (id: string): Promise<Json> =>
    (await api.call('GET', `/v1/members/${id}`, { as: 'app' })).body;

  it('pays out within the wait, and shows the order, the log and the money log', async () => {
    const id = await member(80_000);
    const paid = await withdraw(bodyFor(id));
    expect(paid.status).to.equal(200);
    expect(paid.body).to.include({ status: 'succeeded', member_id: id, amount_minor: 30_000 });
    const location = String(paid.headers.get('location'));
    const detail = await api.call('GET', location, { as: 'app' });
    const [attempt] = detail.body['attempts'] as Json[];
    expect(attempt).to.include({ operation: 'payout', status: 'succeeded' });
    expect(detail.text).not.to.include('tok_ok_http_0001');
    const log = (detail.body['log'] as Json[]).map(({ kind }) => kind);
    expect(log[0]).to.equal('withdrawal_accepted');
    const left = await balanceOf(id);
    expect(left).to.include({ balance_minor: 50_000 });
    expect(
      (left['money_log'] as Json[]).map(({ kind, amount_minor }) => [kind, amount_minor]),
    ).to.eql([
      ['withdrawn', -30_000],
      ['deposited', 80_000],
    ]);
  });

  it('is paid by a channel that answers later, by its callback', async () => {
    const id = await member(80_000);
    // Nothing polls here: only the callback can end it.
    const paid = await withdraw(bodyFor(id, { bank_code: 'PSBC' }));
    expect(paid.body).to.include({ status: 'succeeded', channel_id: 'unionlink' });
    expect(await balanceOf(id)).to.include({ balance_minor: 50_000 });
    const path = `/v1/withdrawals/${String(paid.body['id'])}`;
    const { body } = await api.call('GET', path, { as: 'app' });
    const via = (body['log'] as Json[]).flatMap((one) =>
      one['kind'] === 'replied' ? one['via'] : [],
    );
    expect(via).to.eql(['payout', 'callback']);
    const asked = await api.call('POST', `${path}/ask`, { as: 'operator' });
    expect(asked.body).to.include({ code: 'withdrawal_ended' });
  });

  it('the same key and body replay the result; another body is refused', async () => {
    const id = await member(80_000);
    const key = newKey();
    const first = await withdraw(bodyFor(id), { key });
    const second = await withdraw(bodyFor(id), { key });
    expect(second.body).to.eql(first.body);
    expect(second.headers.get('idempotency-replayed')).to.equal('true');
    const other = await withdraw(bodyFor(id, { amount_minor: 1_000 }), { key });
    expect(other.body).to.include({ code: 'idempotency_key_reused' });
    expect(await balanceOf(id)).to.include({ balance_minor: 50_000 });
  });

  it('fails, and has given back, when the account is closed', async () => {
    const id = await member(80_000);
    const failed = await withdraw(bodyFor(id, { account_token: 'tok_closed_http_1' }));
    expect(failed.body).to.include({ status: 'failed' });
    expect(failed.body['failure']).to.include({ code: 'account_closed' });
    expect(await balanceOf(id)).to.include({ balance_minor: 80_000 });
  });

  const refusals: readonly (readonly [string, object, string])[] = [
    ['more than there is', { amount_minor: 80_001 }, 'balance_too_low'],
    ['nothing', { amount_minor: 0 }, 'amount_not_positive'],
    ['less than nothing', { amount_minor: -1 }, 'amount_not_positive'],
    ['of a member that is not there', { member_id: 'mb_nobody' }, 'member_unknown'],
    ['to a bank that nobody knows', { bank_code: 'NOBANK' }, 'bank_unknown'],
    ['to an account number', { account_token: '6222021234567890123' }, 'invalid_request'],
    [
      'from a service that is a payment channel',
      { account_service: { id: 'swiftpay', account_token: 'tok_from_1', account_last4: '0001' } },
      'account_service_unknown',
    ],
  ];
  for (const [what, fields, code] of refusals) {
    it(`refuses ${what}: ${code}, and takes nothing`, async () => {
      const id = await member(80_000);
      expect((await withdraw(bodyFor(id, fields))).body).to.include({ code });
      expect(await balanceOf(id)).to.include({ balance_minor: 80_000 });
    });
  }

  it('lists newest first, page by page, of one member', async () => {
    const id = await member(80_000);
    const ids: unknown[] = [];
    for (let nth = 0; nth < 3; nth += 1) {
      ids.unshift((await withdraw(bodyFor(id, { amount_minor: 1_000 }))).body['id']);
    }
    const first = await api.call('GET', `/v1/withdrawals?member_id=${id}&limit=2`, { as: 'app' });
    const second = await api.call('GET', String(first.body['next']), { as: 'app' });
    const seen = [first, second].flatMap(({ body }) => body['withdrawals'] as Json[]);
    expect(seen.map((one) => one['id'])).to.eql(ids);
    expect(second.body['next']).to.equal(null);
  });

  it('a deposit is made once, and only by those who may say what there is', async () => {
    const id = await member(1_000);
    const body = { deposit_id: `dp_${id}`, amount_minor: 1_000, currency: 'CNY' };
    const path = `/v1/members/${id}/deposits`;
    const again = await api.call('POST', path, { as: 'operator', body });
    expect(again.body).to.include({ balance_minor: 1_000 });
    const other = await api.call('POST', path, { as: 'batch', body: { ...body, amount_minor: 5 } });
    expect(other.body).to.include({ code: 'deposit_differs' });
    const app = await api.call('POST', path, { as: 'app', body });
    expect(app.body).to.include({ code: 'forbidden' });
  });
});
