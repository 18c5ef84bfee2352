import { expect } from 'chai';
import { startEnvironment, type TestEnvironment } from '../support/environment.js';
import { recoupHere } from './recoup.js';

interface Listed {
  readonly id: string;
  readonly stage: string;
}

describe('recoup top-up and recoup top-ups', () => {
  let surroundings: TestEnvironment;
  const run = (...args: string[]) => recoupHere(surroundings.env, ...args);

  before(async () => (surroundings = await startEnvironment({ parties: ['cards'] })));
  after(async () => surroundings.close());
  afterEach(async () => surroundings.parties.cards?.clearFaults());

  const card = (key: string): string => `tok_ok_card_cli_${key}`;
  const topUp = async (key: string, amount = '1000.00', payer = 'ok') => {
    const what = `--customer cu_cli_${key} --key ${key} --amount ${amount} --bank ICBC`;
    const whose = `--token tok_${payer}_cli_${key} --last4 4321 --card-token ${card(key)}`;
    return await run('top-up', ...`${what} ${whose} --card-last4 0007 --json`.split(' '));
  };
  const onCard = async (key: string) =>
    await surroundings.parties.cards?.balance('cards', card(key));
  const listed = async (...args: string[]): Promise<readonly Listed[]> =>
    (await run('top-ups', 'list', ...args, '--json')).json['top_ups'] as unknown as Listed[];

  it('credits the card once, however often it is said, and tells its story', async () => {
    const made = await topUp('t1');
    expect(made.code).to.equal(0);
    expect(made.json['top_up']).to.include({ status: 'succeeded', stage: 'credited' });
    expect(made.out).to.not.include('tok_');
    const again = await topUp('t1');
    expect(again.json['top_up']).to.deep.equal(made.json['top_up']);
    expect(await onCard('t1')).to.equal(100_000);
    const other = await topUp('t1', '999.00');
    expect(other.code).to.equal(2);
    expect(other.json['error']).to.include({ code: 'idempotency_key_reused' });
    const { id } = made.json['top_up'] as unknown as Listed;
    const story = await run('top-ups', 'show', id);
    expect(story.out).to.match(/1000\.00 CNY paid, 1000\.00 CNY credited[^]*about to credit at/);
    expect(story.out).to.not.include('tok_');
    expect((await listed('--customer', 'cu_cli_t1')).map((one) => one.id)).to.eql([id]);
    expect((await run('top-ups', 'show', `d_${'0'.repeat(8)}`)).code).to.equal(2);
  });

  it('exit 3 when it was not paid, and the card has nothing', async () => {
    const refused = await topUp('t2', '1000.00', 'insufficient');
    expect(refused.code).to.equal(3);
    expect(refused.json['top_up']).to.include({ status: 'failed', paid_at: null });
    expect(await onCard('t2')).to.equal(0);
  });

  it('a credit that is not confirmed is under way, and on the list of those', async () => {
    await surroundings.parties.cards?.setFaults([
      { channel: 'cards', operation: 'credit', fault: 'reset_before' },
      { channel: 'cards', operation: 'query', fault: 'http_5xx_before' },
    ]);
    const begun = await topUp('t3');
    expect(begun.code).to.equal(4);
    expect(begun.json['top_up']).to.include({ status: 'processing', stage: 'credit_unknown' });
    const { id } = begun.json['top_up'] as unknown as Listed;
    expect((await listed('--stage', 'credit_unknown')).map((one) => one.id)).to.eql([id]);
    expect((await run('top-ups', 'show', id)).out).to.include('it counted as credited');
  });
});
