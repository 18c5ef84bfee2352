import { expect } from 'chai';
import type { Services } from '../../src/composition/root.js';
import { createRecoup } from '../../src/index.js';
import { silentLog } from '../../src/log.js';
import { startEnvironment, type TestEnvironment } from '../support/environment.js';
import { recoupHere } from './recoup.js';

describe('recoup withdraw and recoup members', () => {
  let surroundings: TestEnvironment;
  let services: Services;
  const run = (...args: string[]) => recoupHere(surroundings.env, ...args);

  before(async () => {
    surroundings = await startEnvironment({ parties: ['accounts'] });
    services = await surroundings.compose();
  });
  after(async () => surroundings.close());

  const to = (word: string): string[] =>
    `--bank ICBC --token tok_${word}_cli_0001 --last4 4321 --json`.split(' ');
  const withdraw = async (member: string, key: string, amount: string, word = 'ok') =>
    await run('withdraw', '--member', member, '--key', key, '--amount', amount, ...to(word));

  it('open an account, deposit once, pay out, and show why the balance is what it is', async () => {
    await run('members', 'open', 'mb_cli_1');
    for (let twice = 0; twice < 2; twice += 1) {
      const args = ['members', 'deposit', 'mb_cli_1', '--amount', '800', '--id', 'dp_cli_1'];
      const made = await run(...args, '--json');
      expect(made.json['member']).to.include({ balance_minor: 80_000 });
    }
    const paid = await withdraw('mb_cli_1', 'w1', '500.00');
    expect(paid.code).to.equal(0);
    expect(paid.json['withdrawal']).to.include({ status: 'succeeded', amount_minor: 50_000 });
    expect(paid.out).to.not.include('tok_');
    const again = await withdraw('mb_cli_1', 'w1', '500.00');
    expect(again.json['withdrawal']).to.deep.equal(paid.json['withdrawal']);
    const other = await withdraw('mb_cli_1', 'w1', '1.00');
    expect(other.code).to.equal(2);
    expect(other.json['error']).to.include({ code: 'idempotency_key_reused' });
    const shown = await run('members', 'show', 'mb_cli_1');
    expect(shown.out).to.match(
      /mb_cli_1: 300\.00 CNY[^]*withdrawn +-500\.00[^]*deposited +800\.00/,
    );
    const { id } = paid.json['withdrawal'] as unknown as { id: string };
    const story = await run('show', id);
    expect(story.out).to.match(/withdrawal of 500\.00 accepted[^]*about to payout at[^]*settled/);
    const listed = await run('withdrawals', 'list', '--member', 'mb_cli_1', '--json');
    expect((listed.json['withdrawals'] as unknown as { id: string }[]).map((one) => one.id)).to.eql(
      [id],
    );
  });

  it('exit 3 when it was not paid out, and 2 when there is not so much', async () => {
    await run('members', 'open', 'mb_cli_2');
    await run('members', 'deposit', 'mb_cli_2', '--amount', '10', '--id', 'dp_cli_2');
    const failed = await withdraw('mb_cli_2', 'w2', '10.00', 'closed');
    expect(failed.code).to.equal(3);
    expect((await run('members', 'show', 'mb_cli_2')).out).to.include('given_back');
    const much = await withdraw('mb_cli_2', 'w3', '10.01');
    expect(much.code).to.equal(2);
    expect(much.json['error']).to.include({ code: 'balance_too_low' });
  });

  it('pay out of an account elsewhere', async () => {
    const from = ['--account-service', 'accounts', '--service-token', 'tok_ok_cli_from'];
    const args = ['withdraw', '--member', 'mb_cli_3', '--key', 'w4', '--amount', '20', ...from];
    const half = await run(...args, ...to('ok'));
    expect(half.json['error']).to.include({ code: 'bad_usage' });
    const paid = await run(...args, '--service-last4', '0001', ...to('ok'));
    expect(paid.json['withdrawal']).to.include({
      status: 'succeeded',
      account_service: 'accounts',
    });
  });

  it('the library does the same', async () => {
    const env = surroundings.env;
    const recoup = await createRecoup({ env, log: silentLog });
    try {
      await recoup.members.open('mb_lib_1');
      await recoup.members.deposit('mb_lib_1', { depositId: 'dp_lib_1', amountMinor: 5_000 });
      const account = { token: 'tok_ok_lib_0001', bankCode: 'ICBC', last4: '4321' };
      const request = { memberId: 'mb_lib_1', amountMinor: 5_000, account, key: 'k1' };
      const paid = await recoup.withdrawals.start(request, { waitMs: 10_000 });
      expect(paid.status).to.equal('succeeded');
      const story = await recoup.withdrawals.show(paid.id);
      expect(story?.attempts.map(({ operation }) => operation)).to.eql(['payout']);
      const { member } = await recoup.members.show('mb_lib_1');
      expect(member.balanceMinor).to.equal(0n);
      const bad = { ...request, key: 'k2', account: { ...account, token: '6222021234567890123' } };
      const refused = await recoup.withdrawals.start(bad).catch((error: { code: string }) => error);
      expect(refused).to.include({ code: 'invalid_request' });
      expect(await services.flows.withdrawals.findByRequest('embedded:k2')).to.equal(null);
    } finally {
      await recoup.close();
    }
  });
});
