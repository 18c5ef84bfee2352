import { expect } from 'chai';
import { recoupHere } from '../cli/recoup.js';
import { Api, type Json } from '../http/api.js';
import { Books } from './books.js';

describe('the ledger, for operators', () => {
  let api: Api;
  let books: Books;

  before(async () => {
    api = await Api.start();
    books = new Books(api.environment);
    const { consumer } = api.services.ledger;
    await consumer.handle([
      await books.tell({ key: 'd-1', amountMinor: '128050' }),
      await books.tell({ key: 'd-2', body: '{}' }),
    ]);
  });
  after(async () => api.close());

  it('API: the trial balance says what is not in it', async () => {
    const { status, body } = await api.call('GET', '/v1/ledger/balances', { as: 'operator' });
    expect(status).to.equal(200);
    expect(body).to.deep.include({
      kept_by: 'recoup',
      balanced: true,
      totals: [{ currency: 'CNY', debit_minor: 128_050, credit_minor: 128_050 }],
      dead_letters_open: 1,
    });
    expect(body['undelivered']).to.include({ messages: 1 });
  });

  it('CLI: the same', async () => {
    const { env } = api.environment;
    const { code, json } = await recoupHere(env, 'ledger', 'balance', '--json');
    expect(code).to.equal(0);
    expect(json).to.deep.include({
      totals: [{ currency: 'CNY', debit_minor: 128_050, credit_minor: 128_050 }],
    });
    const { out } = await recoupHere(env, 'ledger', 'balance');
    expect(out).to.match(/channel_clearing:swiftpay +asset +CNY +1280\.50 +0\.00 +1280\.50/);
    expect(out)
      .to.match(/not in the books yet: 1/)
      .and.to.match(/dead letters: 1/);
  });

  it('a dead letter is listed, corrected, replayed and closed', async () => {
    const listed = await api.call('GET', '/v1/ledger/dead-letters?open=true', { as: 'operator' });
    const [letter] = listed.body['dead_letters'] as Json[];
    expect(letter).to.include({ kind: 'malformed', message_key: 'd-2', closed_at: null });
    const id = String(letter?.['id']);
    const { env } = api.environment;
    const { json } = await recoupHere(env, 'ledger', 'dead', '--json');
    expect(json).to.deep.equal(listed.body);

    const replay = `/v1/ledger/dead-letters/${id}/replay`;
    expect((await api.call('POST', replay, { as: 'operator' })).status).to.equal(200);
    // As a release that reads it would.
    await api.environment.owner.raw(
      `UPDATE outbox SET body = REPLACE((SELECT body FROM (SELECT * FROM outbox) o
         WHERE message_key = 'd-1'), 'd-1', 'd-2') WHERE message_key = 'd-2'`,
    );
    const due = await books.rows<{ id: string }>('SELECT id FROM outbox WHERE send_at IS NOT NULL');
    await api.services.ledger.consumer.handle(due.map((row) => row.id));
    expect(await books.transfers('d-2')).to.have.length(1);
    expect((await recoupHere(env, 'ledger', 'dead', '--json')).json).to.eql({ dead_letters: [] });
    const again = await api.call('POST', replay, { as: 'operator' });
    expect(again.status).to.equal(409);
    expect(again.body).to.include({ code: 'dead_letter_closed' });
  });

  it('CLI: no such dead letter', async () => {
    const { code, err } = await recoupHere(api.environment.env, 'ledger', 'replay', '999');
    expect(code).to.equal(2);
    expect(err).to.include('[dead_letter_unknown]');
  });
});
