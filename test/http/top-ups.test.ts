import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { until } from '../sandbox/sandbox-process.js';
import { Api, type Answer, type Json } from './api.js';

const rules = `
rules:
  - name: spring
    min_minor: 100000
    max_minor: 500000
    bonus: { kind: steps, steps: [{ from_minor: 100000, bonus_minor: 20000 }] }
`;

let keys = 0;

describe('POST and GET /v1/top-ups', () => {
  const folder = mkdtempSync(join(tmpdir(), 'recoup-rules-'));
  let api: Api;

  before(async () => {
    const topUpRules = join(folder, 'rules.yaml');
    writeFileSync(topUpRules, rules);
    const environment = { sandbox: { latencyScale: 0.1 }, parties: ['cards'] } as const;
    api = await Api.start({ environment, config: { topUpRules } });
    await api.environment.sandbox.setCallbackUrl(`${api.base}/v1/callbacks/unionlink`);
  });
  after(async () => {
    await api.close();
    rmSync(folder, { recursive: true });
  });
  afterEach(async () => api.environment.parties.cards?.clearFaults());

  const bodyFor = (fields: object = {}) => {
    keys += 1;
    return {
      customer_id: `cu_http_${keys}`,
      amount_minor: 100_000,
      currency: 'CNY',
      credit_minor: 120_000,
      bank_code: 'ICBC',
      account_token: `tok_ok_http_${keys}`,
      account_last4: '4321',
      card_token: `tok_ok_card_http_${keys}`,
      card_last4: '0007',
      ...fields,
    };
  };

  const topUp = async (
    body: object,
    { key = `tu-${(keys += 1)}`, wait = 20 }: { key?: string; wait?: number } = {},
  ): Promise<Answer> =>
    await api.call('POST', '/v1/top-ups', {
      as: 'app',
      headers: { 'idempotency-key': key, ...(wait > 0 && { prefer: `wait=${wait}` }) },
      body,
    });

  const onCard = async (body: { card_token: string }) =>
    await api.environment.parties.cards?.balance('cards', body.card_token);

  it('credits the card within the wait, bonus included, and replays the result', async () => {
    const body = bodyFor();
    const made = await topUp(body, { key: 'tu-happy' });
    expect(made.status).to.equal(200);
    expect(made.body).to.include({
      status: 'succeeded',
      stage: 'credited',
      rule: 'spring',
      credit_minor: 120_000,
      refunded_at: null,
    });
    const again = await topUp(body, { key: 'tu-happy' });
    expect(again.headers.get('idempotency-replayed')).to.equal('true');
    expect(again.body['id']).to.equal(made.body['id']);
    expect(await onCard(body)).to.equal(120_000);
    const detail = await api.call('GET', String(made.headers.get('location')), { as: 'app' });
    const attempts = (detail.body['attempts'] as Json[]).map((one) => one['operation']);
    expect(attempts).to.deep.equal(['pre_recharge', 'charge', 'credit']);
    expect(detail.text).to.not.include('tok_ok');
  });

  it('other content under the same key is refused, and so is what nobody was told', async () => {
    const body = bodyFor();
    await topUp(body, { key: 'tu-other' });
    const other = await topUp({ ...body, amount_minor: 200_000 }, { key: 'tu-other' });
    expect(other.body).to.include({ code: 'idempotency_key_reused' });
    const told = await topUp(bodyFor({ credit_minor: 150_000 }));
    expect(told.body).to.include({ code: 'top_up_credit_differs', credit_minor: 120_000 });
    const small = await topUp(bodyFor({ amount_minor: 99, credit_minor: undefined }));
    expect(small.body).to.include({ code: 'top_up_not_allowed' });
    const rule = await topUp(bodyFor({ rule: 'summer' }));
    expect(rule.body).to.include({ code: 'top_up_rule_unknown' });
    const cards = await topUp(bodyFor({ cards: 'swiftpay' }));
    expect(cards.body).to.include({ code: 'cards_unavailable' });
  });

  it("hears of the payment by the channel's callback", async () => {
    const body = bodyFor({ bank_code: 'PSBC', account_token: `tok_later_http_${(keys += 1)}` });
    const begun = await topUp(body, { wait: 0 });
    expect(begun.status).to.equal(202);
    const path = `/v1/top-ups/${String(begun.body['id'])}`;
    const ended = await until('it is credited', async () => {
      const { body: now } = await api.call('GET', path, { as: 'app' });
      return now['status'] === 'succeeded' ? now : null;
    });
    const log = ended['log'] as Json[];
    expect(log.some(({ via }) => via === 'callback')).to.equal(true);
    expect(await onCard(body)).to.equal(120_000);
  });

  it('lists those whose credit is not confirmed, and has them asked about', async () => {
    await api.environment.parties.cards?.setFaults([
      { channel: 'cards', operation: 'credit', fault: 'reset_before' },
    ]);
    const body = bodyFor();
    const begun = await topUp(body, { wait: 0 });
    const listed = await until('it is listed', async () => {
      const page = await api.call('GET', '/v1/top-ups?stage=credit_unknown', { as: 'operator' });
      const [one] = page.body['top_ups'] as Json[];
      return one?.['id'] === begun.body['id'] ? one : null;
    });
    expect(listed['credit_unknown_since']).to.be.a('string');
    expect(listed['settle_at']).to.be.a('string');
    await api.environment.parties.cards?.clearFaults();
    const path = `/v1/top-ups/${String(begun.body['id'])}/ask`;
    expect(await onCard(body)).to.equal(0);
    // Its first run may still hold the record's lock for a moment.
    const asked = await until('it is asked about', async () => {
      const answer = await api.call('POST', path, { as: 'operator' });
      return answer.status !== 503 && answer;
    });
    expect([asked.status, asked.body['status']]).to.deep.equal([202, 'succeeded']);
    expect(await onCard(body)).to.equal(120_000);
    const late = await api.call('POST', path, { as: 'operator' });
    expect([late.status, late.body['code']]).to.deep.equal([409, 'top_up_ended']);
  });
});
