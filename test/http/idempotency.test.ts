import { expect } from 'chai';
import { Api, unionAccount } from './api.js';

describe('Idempotency-Key', () => {
  let api: Api;

  before(async () => {
    api = await Api.start();
  });
  after(async () => api.close());
  afterEach(async () => api.environment.sandbox.clearFaults());

  const capturesOf = async (token: string): Promise<number> => {
    const book = (await api.environment.sandbox.book()) as unknown as {
      accountToken: string;
      captures: unknown[];
    }[];
    return book
      .filter((order) => order.accountToken === token)
      .reduce((sum, order) => sum + order.captures.length, 0);
  };
  const wait = { headers: { prefer: 'wait=10' } };

  it('is required', async () => {
    const before = await api.counts();
    const { id } = await api.environment.repayment();
    const answer = await api.call('POST', '/v1/deductions', {
      as: 'app',
      body: { repayment_id: id },
    });
    expect(answer.status).to.equal(400);
    expect(answer.body).to.include({ code: 'idempotency_key_missing' });
    expect(await api.counts()).to.deep.equal({ ...before, repayment: before['repayment']! + 1 });
  });

  it('is 1 to 128 printable characters without spaces', async () => {
    const { id } = await api.environment.repayment();
    for (const key of ['two words', 'x'.repeat(129), 'k\u00fc', 'a, b']) {
      const answer = await api.deduct({ repayment_id: id }, { key });
      expect(answer.status, key).to.equal(400);
      expect(answer.body).to.include({ code: 'idempotency_key_invalid' });
    }
    const long = await api.deduct({ repayment_id: id }, { key: '~'.repeat(128), ...wait });
    expect(long.status).to.equal(200);
  });

  it('replays the final result, and charges once', async () => {
    const repayment = await api.environment.repayment();
    const body = { repayment_id: repayment.id, amount_minor: 50_000 };
    const first = await api.deduct(body, { key: 'replayed', ...wait });
    const before = await api.counts();
    // Spacing and order of the fields are not what was asked.
    const again = await api.call('POST', '/v1/deductions', {
      as: 'app',
      body: `{ "amount_minor" : 50000, "repayment_id":"${repayment.id}" }`,
      headers: { 'idempotency-key': 'replayed', 'content-type': 'application/json' },
    });
    expect(again.status).to.equal(200);
    expect(again.headers.get('idempotency-replayed')).to.equal('true');
    expect(first.headers.get('idempotency-replayed')).to.equal(null);
    expect(again.body).to.deep.equal(first.body);
    expect(again.headers.get('location')).to.equal(first.headers.get('location'));
    expect(await api.counts()).to.deep.equal(before);
    expect(await capturesOf(repayment.account.token)).to.equal(1);
  });

  it('replays while another deduction of the repayment is live', async () => {
    const repayment = await api.environment.repayment({ account: unionAccount });
    const part = { repayment_id: repayment.id, amount_minor: 10_000 };
    const first = await api.deduct(part, { key: 'part', ...wait });
    expect(first.body).to.include({ status: 'succeeded' });
    await api.holdBack();
    await api.deduct({ repayment_id: repayment.id }, { key: 'rest' });
    const again = await api.deduct(part, { key: 'part' });
    expect(again.status).to.equal(200);
    expect(again.body).to.deep.equal(first.body);
  });

  it('refuses another body under the same key', async () => {
    const repayment = await api.environment.repayment();
    const key = 'reused';
    await api.deduct({ repayment_id: repayment.id, amount_minor: 40_000 }, { key, ...wait });
    const before = await api.counts();
    for (const body of [
      { repayment_id: repayment.id, amount_minor: 40_001 },
      { repayment_id: repayment.id },
      { repayment_id: (await api.environment.repayment()).id, amount_minor: 40_000 },
    ]) {
      const answer = await api.deduct(body, { key });
      expect(answer.status).to.equal(422);
      expect(answer.body).to.include({ code: 'idempotency_key_reused' });
    }
    expect(await api.counts()).to.deep.equal({ ...before, repayment: before['repayment']! + 1 });
  });

  it('names the first while it is in progress', async () => {
    await api.holdBack();
    const repayment = await api.environment.repayment({ account: unionAccount });
    const first = await api.deduct({ repayment_id: repayment.id }, { key: 'in-progress' });
    expect(first.status).to.equal(202);
    const again = await api.deduct({ repayment_id: repayment.id }, { key: 'in-progress' });
    expect(again.status).to.equal(409);
    expect(again.body).to.include({
      code: 'idempotency_in_progress',
      deduction_id: first.body['id'],
    });
    expect(again.headers.get('location')).to.equal(first.headers.get('location'));
    expect(again.headers.get('retry-after')).to.match(/^\d+$/);
    // Nor is another body taken for the first while it is in progress.
    const other = await api.deduct(
      { repayment_id: repayment.id, amount_minor: 1 },
      { key: 'in-progress' },
    );
    expect(other.body).to.include({ code: 'idempotency_key_reused' });
  });

  it('charges once when the same request comes twice at the same time', async () => {
    for (let round = 0; round < 5; round += 1) {
      const repayment = await api.environment.repayment();
      const ask = () =>
        api.deduct({ repayment_id: repayment.id }, { key: `twice-${round}`, ...wait });
      const answers = await Promise.all([ask(), ask(), ask(), ask()]);
      const good = answers.filter(({ status }) => status === 200);
      expect(good.length).to.be.at.least(1);
      expect(new Set(good.map(({ body }) => body['id'])).size).to.equal(1);
      for (const { status, body } of answers.filter((one) => one.status !== 200)) {
        expect([status, body['code']]).to.be.deep.oneOf([
          [409, 'idempotency_in_progress'],
          [503, 'busy'],
        ]);
      }
      const rows = await api.rows('SELECT id FROM deduction WHERE repayment_id = ?', [
        repayment.id,
      ]);
      expect(rows).to.have.length(1);
      expect(await capturesOf(repayment.account.token)).to.equal(1);
    }
  });

  it('belongs to the key of the caller: two callers may use the same', async () => {
    await api.addKey('second', 'app');
    const [one, two] = [await api.environment.repayment(), await api.environment.repayment()];
    const first = await api.deduct({ repayment_id: one.id }, { key: 'shared', ...wait });
    const second = await api.call('POST', '/v1/deductions', {
      body: { repayment_id: two.id },
      headers: {
        authorization: 'Bearer secret-second',
        'idempotency-key': 'shared',
        prefer: 'wait=10',
      },
    });
    expect([first.status, second.status]).to.deep.equal([200, 200]);
    expect(second.body['id']).not.to.equal(first.body['id']);
  });

  it('remembers no refusal: the corrected state is what counts', async () => {
    const body = { repayment_id: 'rp_not_yet' };
    const refused = await api.deduct(body, { key: 'later' });
    expect(refused.body).to.include({ code: 'repayment_unknown' });
    await api.environment.repayment({ id: 'rp_not_yet' as never });
    const taken = await api.deduct(body, { key: 'later', ...wait });
    expect(taken.status).to.equal(200);
  });
});
