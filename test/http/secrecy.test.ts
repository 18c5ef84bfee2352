import { expect } from 'chai';
import { Api, type Call } from './api.js';

/** Planted where they may be, and where they may not. */
const token = 'tok_planted_9c1f77aa';
const card = '6222021234567890123';
const spaced = '6222 0212 3456 7890 123';
const idempotencyKey = 'planted-key-4b7e';

describe('no account token, card number or key leaves, or is logged', () => {
  let api: Api;
  const texts: string[] = [];

  before(async () => {
    api = await Api.start();
  });
  after(async () => api.close());

  const say = async (method: string, path: string, call: Call = {}): Promise<number> => {
    const answer = await api.call(method, path, call);
    texts.push(answer.text, JSON.stringify([...answer.headers]));
    return answer.status;
  };

  const wire = (fields: object = {}) => ({
    id: 'rp_secret',
    borrower_id: 'bw_secret',
    currency: 'CNY',
    due_minor: 90_000,
    due_date: '2026-11-22',
    bank_code: 'ICBC',
    account_token: token,
    account_last4: '0123',
    ...fields,
  });

  it('over everything the API does', async () => {
    const register = (fields: object) =>
      say('POST', '/v1/repayments', { as: 'operator', body: { repayments: [wire(fields)] } });
    expect(await register({})).to.equal(200);
    expect(await register({ due_minor: 1 })).to.equal(409);
    expect(await register({ id: 'rp_card', account_token: card })).to.equal(422);
    expect(await register({ id: 'rp_card', account_token: spaced })).to.equal(422);
    expect(await register({ id: 'rp_card', account_last4: card })).to.equal(422);
    expect(await register({ id: 'rp_card', [card]: 1 })).to.equal(422);

    const deduct = (body: object, headers = {}) =>
      say('POST', '/v1/deductions', {
        as: 'agent',
        body,
        headers: { 'idempotency-key': idempotencyKey, prefer: 'wait=10', ...headers },
      });
    const reason = 'she agreed by telephone';
    expect(await deduct({ repayment_id: 'rp_secret', reason: `card ${card}` })).to.equal(422);
    expect(await deduct({ repayment_id: 'rp_secret', reason, amount_minor: card })).to.equal(422);
    const part = { repayment_id: 'rp_secret', reason, amount_minor: 30_000 };
    expect(await deduct(part)).to.equal(200);
    expect(await deduct(part)).to.equal(200);
    expect(await deduct({ ...part, amount_minor: 30_001 })).to.equal(422);
    expect(await deduct(part, { 'idempotency-key': `${card} ${token}` })).to.equal(400);

    const header =
      'repayment_id,borrower_id,bank_code,account_token,account_last4,currency,amount_due,due_date';
    const rows = [
      `rp_csv,bw_csv,ICBC,${token}_2,0123,CNY,900.00,2026-11-22`,
      `rp_csv2,bw_csv,ICBC,${card},0123,CNY,900.00,2026-11-22`,
      `rp_csv3,bw_csv,${card},${token},0123,CNY,900.00,2026-11-22`,
      `${card},${card}`,
    ];
    const csv = { 'content-type': 'text/csv' };
    const upload = (body: string) =>
      say('POST', '/v1/batches?name=sweep', { as: 'batch', headers: csv, body });
    expect(await upload([header, ...rows, ''].join('\n'))).to.equal(202);
    expect(await upload(`${card},${token}\n1,2\n`)).to.equal(422);
    const [batch] = await api.rows('SELECT id FROM batch');
    await say('GET', `/v1/batches/${String(batch?.['id'])}`, { as: 'batch' });
    await say('GET', `/v1/batches/${String(batch?.['id'])}/rejected`, { as: 'batch' });

    for (const { id } of await api.rows('SELECT id FROM deduction')) {
      expect(await say('GET', `/v1/deductions/${String(id)}`, { as: 'operator' })).to.equal(200);
    }
    for (const path of [
      '/v1/deductions',
      '/v1/repayments/rp_secret',
      `/v1/repayments/${card}`,
      `/v1/deductions/${card}`,
      `/v1/deductions?cursor=${card}`,
      `/v1/deductions?${card}=${token}`,
      '/v1/cases',
      '/v1/channels',
      `/${card}/${token}`,
    ]) {
      await say('GET', path, { as: 'operator' });
    }
    await say('GET', '/v1/deductions', { headers: { authorization: `Bearer ${token}${card}` } });
    await say('POST', '/callbacks/unionlink', { body: `accNo=${card}&token=${token}` });
    await say('POST', `/callbacks/${card}`, { body: card });
    await say('GET', '/docs/json');

    const all = [...texts, ...api.lines.map((line) => JSON.stringify(line))];
    expect(all.length).to.be.above(60);
    const secrets = Object.entries(api.environment.env)
      .filter(([name]) => name.endsWith('KEY'))
      .map(([, value]) => value);
    expect(secrets.length).to.be.at.least(2);
    const planted = [token, card, spaced, idempotencyKey, 'secret-app', 'secret-agent', ...secrets];
    for (const needle of planted) {
      expect(all.filter((text) => text.includes(needle))).to.deep.equal([], needle);
    }
  });

  it('and no card number is in any table', async () => {
    const tables = await api.rows('SHOW FULL TABLES WHERE Table_type = "BASE TABLE"');
    let seen = 0;
    for (const table of tables.map((row) => String(Object.values(row)[0]))) {
      const rows = JSON.stringify(await api.rows(`SELECT * FROM ${table}`));
      seen += rows.length;
      expect(rows.includes(card) || rows.includes(spaced), table).to.equal(false);
    }
    expect(seen).to.be.above(2_000);
  });
});
