import { expect } from 'chai';
import {
  loadProfiles,
  parseProfile,
  type ChannelFileProblem,
} from '../../src/channels/load-profiles.js';
import { RecoupError } from '../../src/errors.js';
import { channelSpecs } from '../../src/sandbox/specs.js';
import { channelFile, practiceProfiles } from './practice.js';

const good = channelFile('examples/channels.yaml');

function problemsOf(text: string): readonly ChannelFileProblem[] {
  try {
    loadProfiles(text);
  } catch (error) {
    if (!(error instanceof RecoupError) || error.code !== 'channels_invalid') throw error;
    return error.details['problems'] as ChannelFileProblem[];
  }
  return [];
}

/** The example with the first `find` put otherwise. */
function changed(find: string, replace: string): string {
  const at = good.indexOf(find);
  expect(at, `the example holds ${find}`).to.be.above(-1);
  return good.slice(0, at) + replace + good.slice(at + find.length);
}

describe('A channel file', () => {
  it('is read from YAML and from JSON alike', () => {
    const loaded = loadProfiles(good);
    expect(loaded.map(({ profile }) => profile.id)).to.deep.equal([
      'swiftpay',
      'unionlink',
      'oldbank',
    ]);
    const json = JSON.stringify({ channels: loaded.map(({ document }) => document) });
    expect(loadProfiles(json).map(({ profile }) => profile)).to.deep.equal(
      loaded.map(({ profile }) => profile),
    );
    const [first] = loaded;
    expect(parseProfile(JSON.parse(JSON.stringify(first!.document)))).to.deep.equal(first!.profile);
  });

  const single: readonly [
    what: string,
    find: string,
    replace: string,
    path: string,
    says: RegExp,
    on?: string,
  ][] = [
    ['a field nobody knows', 'tier: 1', 'teir: 1', 'channels.0.teir', /no field teir/],
    ['a value of the wrong kind', 'tier: 1', 'tier: first', 'channels.0.tier', /number/],
    [
      'a negative fee',
      'basis_points: 20',
      'basis_points: -20',
      'channels.0.fees.basis_points',
      />=0|0/,
    ],
    [
      'a fraction of a fen',
      'per_transaction_min_minor: 100',
      'per_transaction_min_minor: 0.5',
      'channels.0.limits.per_transaction_min_minor',
      /int/,
    ],
    [
      'an adapter there is not',
      'adapter: json_hmac',
      'adapter: soap',
      'channels.0.adapter',
      /json_hmac/,
    ],
    [
      'a bank that is no bank code',
      '      ICBC: {',
      '      icbc: {',
      'channels.0.banks.icbc',
      /capital letters/,
    ],
    [
      'a decline without its scope',
      'ACCOUNT_CLOSED: { reply: declined, code: account_closed, scope: final }',
      'ACCOUNT_CLOSED: { reply: declined, code: account_closed }',
      'channels.0.error_codes.ACCOUNT_CLOSED.scope',
      /final/,
      'ACCOUNT_CLOSED',
    ],
    [
      'a time-out that means declined',
      '      RISK_REFUSED:',
      '      TIMEOUT: { reply: declined, code: declined_other, scope: other_channel }\n      RISK_REFUSED:',
      'channels.0.error_codes.TIMEOUT',
      /time-out is not an answer/,
    ],
    [
      "a bank's time-out that means not found",
      '      RISK_REFUSED:',
      '      BANK_TIMED_OUT: { reply: not_found }\n      RISK_REFUSED:',
      'channels.0.error_codes.BANK_TIMED_OUT',
      /time-out/,
    ],
    [
      'a lost connection that means another channel',
      '      RISK_REFUSED:',
      '      connection_lost: { reply: declined, code: channel_unavailable, scope: other_channel }\n      RISK_REFUSED:',
      'channels.0.error_codes.connection_lost',
      /always means unknown/,
    ],
    [
      'a 5xx that means declined',
      '      RISK_REFUSED:',
      '      http_5xx: { reply: declined, code: channel_unavailable, scope: other_channel }\n      RISK_REFUSED:',
      'channels.0.error_codes.http_5xx',
      /always means unknown/,
    ],
    [
      'a duplicate that means declined',
      '      RISK_REFUSED:',
      '      DUPLICATE_ORDER: { reply: declined, code: declined_other, scope: other_channel }\n      RISK_REFUSED:',
      'channels.0.error_codes.DUPLICATE_ORDER',
      /map it to unknown/,
    ],
    [
      'no code for success',
      '      OK: { reply: succeeded }\n',
      '',
      'channels.0.error_codes',
      /no code means succeeded/,
    ],
    [
      'no code for not found',
      '      ORDER_NOT_FOUND: { reply: not_found }\n',
      '',
      'channels.0.error_codes',
      /not_found/,
    ],
    [
      'orders that expire within the call',
      'order_ttl_ms: 300000',
      'order_ttl_ms: 7999',
      'channels.0.nature.order_ttl_ms',
      /expire before the call/,
    ],
    [
      'asking that ends too early',
      'visibility_ms: 120000',
      'visibility_ms: 999999999',
      'channels.0.nature.poll_schedule_ms',
      /before a "not found" proves anything/,
      '[',
    ],
    [
      'a secret in place of its name',
      'hmac_key_env: RECOUP_SANDBOX_SWIFTPAY_HMAC_KEY',
      'hmac_key_env: 9f86d081884c7d65',
      'channels.0.secrets.hmac_key_env',
      /never the secret/,
    ],
    [
      'a missing secret',
      'hmac_key_env: RECOUP_SANDBOX_SWIFTPAY_HMAC_KEY',
      '{}',
      'channels.0.secrets',
      /needs secrets.hmac_key_env/,
    ],
    [
      'a minimum above the maximum',
      'per_transaction_min_minor: 100\n',
      'per_transaction_min_minor: 5000001\n',
      'channels.0.limits.per_transaction_min_minor',
      /above per_transaction_max_minor/,
    ],
    [
      'a bank above its channel',
      'ICBC: { per_transaction_max_minor: 5000000',
      'ICBC: { per_transaction_max_minor: 5000001',
      'channels.0.banks.ICBC.per_transaction_max_minor',
      /above the channel/,
    ],
    [
      'a bank above its own day',
      'daily_max_minor: 10000000',
      'daily_max_minor: 4999999',
      'channels.0.banks.ICBC.per_transaction_max_minor',
      /daily_max_minor/,
    ],
    [
      'a flat fee above the highest',
      'flat_minor: 0',
      'flat_minor: 2001',
      'channels.0.fees.flat_minor',
      /above max_minor/,
    ],
    [
      'maintenance from then to then',
      "from: '23:50', to: '00:20'",
      "from: '23:50', to: '23:50'",
      'channels.1.maintenance.0.to',
      /the same/,
    ],
    [
      'a zone there is not',
      'zone: Asia/Shanghai',
      'zone: Asia/Peking',
      'channels.1.maintenance.0.zone',
      /not a time zone/,
    ],
    [
      'a time that is none',
      "from: '23:50'",
      "from: '24:10'",
      'channels.1.maintenance.0.from',
      /HH:MM/,
    ],
    [
      'a close without a word for closed',
      'close_proof: none',
      'close_proof: refuses_unseen',
      'channels.0.error_codes',
      /no code means closed/,
    ],
    [
      'an operation there is not',
      'operations: [charge, payout]',
      'operations: [charge, transfer]',
      'channels.0.operations.1',
      /payout/,
      'operations',
    ],
    [
      'an operation that is said elsewhere',
      'operations: [charge, payout]',
      'operations: [charge, payout, refund]',
      'channels.0.operations.2',
      /charge/,
      'operations',
    ],
    [
      'an operation that stands twice',
      'operations: [charge, payout]',
      'operations: [payout, charge, payout]',
      'channels.0.operations',
      /twice/,
    ],
    [
      'terms of payouts that it does not make',
      'operations: [charge, payout]',
      'operations: [charge]',
      'channels.0.payouts',
      /no payout/,
    ],
    [
      'refunds of what it does not charge',
      'operations: [charge, payout]',
      'operations: [payout]',
      'channels.0.operations',
      /refund without charge/,
    ],
    [
      'payouts whose schedule ends before time proves anything',
      'payouts:\n      idempotent: true',
      'payouts:\n      honours_expiry: true\n      poll_schedule_ms: [1000]',
      'channels.0.payouts.poll_schedule_ms',
      /ends after 1000 ms/,
    ],
    [
      'payouts that expire before the call that places them ends',
      'payouts:\n      idempotent: true',
      'payouts:\n      order_ttl_ms: 7999',
      'channels.0.payouts.order_ttl_ms',
      /charge_ms 8000/,
    ],
    [
      'a limit of payouts below their minimum',
      'per_transaction_min_minor: 200',
      'per_transaction_min_minor: 2000001',
      'channels.0.payouts.limits.per_transaction_min_minor',
      /above per_transaction_max_minor/,
    ],
    [
      'an operation that its family has no words for',
      'operations: [charge, payout]\n    payouts:\n      close_proof',
      'operations: [charge, debit, restore]\n    payouts:\n      close_proof',
      'channels.1.operations',
      /form_rsa has no debit/,
    ],
    [
      'a code that YAML reads as a number',
      "'0000': { reply: succeeded }",
      '0000: { reply: succeeded }',
      'channels.1.error_codes.0',
      /without quotes YAML reads 0000 as 0/,
      '0000:',
    ],
    ['an id that is taken', 'id: unionlink', 'id: swiftpay', 'channels.1.id', /twice/],
  ];

  for (const [what, find, replace, path, says, on] of single) {
    it(`is refused for ${what}, by line`, () => {
      const text = changed(find, replace);
      const problems = problemsOf(text);
      const about = problems.find((problem) => problem.path === path);
      expect(about, JSON.stringify(problems)).to.not.equal(undefined);
      expect(about!.message).to.match(says);
      // Where the value stands, or the key where the value is on lines of its own.
      const key = path.split('.').findLast((part) => !/^\d+$/.test(part))!;
      expect(text.split('\n')[about!.line - 1]).to.include(on ?? key);
    });
  }

  it('points at the exact line and column', () => {
    const text = 'channels:\n  - id: one\n    tier: soon\n';
    const problem = problemsOf(text).find(({ path }) => path === 'channels.0.tier');
    expect(problem).to.include({ line: 3, column: 11 });
    // What is missing is reported where its parent stands.
    const missing = problemsOf(text).find(({ path }) => path === 'channels.0.adapter');
    expect(missing).to.include({ line: 2, column: 5 });
  });

  it('is refused for all its problems at once, in the order of its lines', () => {
    const text = good
      .replace('tier: 1', 'tier: 0')
      .replace('mode: async', 'mode: later')
      .replace('concurrency_max: 128', 'concurrency_max: none');
    const problems = problemsOf(text);
    expect(problems.map(({ path }) => path)).to.deep.equal([
      'channels.0.tier',
      'channels.1.mode',
      'channels.2.concurrency_max',
    ]);
  });

  it('is refused when it is no YAML, not a list of channels, or empty', () => {
    expect(problemsOf('channels:\n  - id: "one\n')[0]).to.include({ path: '' });
    expect(problemsOf('channels: [')[0]?.line).to.equal(1);
    for (const text of [
      '',
      '7',
      '[]',
      'channels: 7',
      'channels: []',
      'chanels: []',
      '- a',
      '\u0000',
    ]) {
      expect(problemsOf(text), JSON.stringify(text)).to.have.length.above(0);
    }
    expect(
      problemsOf(
        'a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nchannels: [*c,*c,*c,*c,*c,*c]',
      ),
    ).to.have.length.above(0);
    expect(problemsOf('channels:\n  - {id: a, id: b}')[0]?.line).to.equal(2);
    expect(problemsOf('channels: [null, 7, [], "x"]')).to.have.lengthOf(4);
  });
});

describe('A file of parties', () => {
  const parties = channelFile('examples/parties.yaml');
  const refused: readonly [
    what: string,
    find: string,
    replace: string,
    path: string,
    says: RegExp,
  ][] = [
    [
      'a card system that cannot void',
      '[pre_recharge, credit, void]',
      '[pre_recharge, credit]',
      'channels.0.operations',
      /pre_recharge without void/,
    ],
    [
      'credits of nothing that was recorded',
      '[pre_recharge, credit, void]',
      '[credit]',
      'channels.0.operations',
      /credit without pre_recharge/,
    ],
    [
      'debits that cannot be restored',
      '[debit, restore]',
      '[debit]',
      'channels.1.operations',
      /debit without restore/,
    ],
    [
      'credits that cannot be closed for ever',
      'close_proof: refuses_unseen',
      'close_proof: none',
      'channels.0.nature.close_proof',
      /never be proven dead/,
    ],
    [
      'credits that are not idempotent',
      'idempotent: true',
      'idempotent: false',
      'channels.0.nature.idempotent',
      /credit the card once/,
    ],
  ];
  for (const [what, find, replace, path, says] of refused) {
    it(`is refused for ${what}`, () => {
      expect(parties).to.include(find);
      const problems = problemsOf(parties.replace(find, replace));
      const about = problems.filter((one) => one.path === path).map(({ message }) => message);
      expect(about.join('; ')).to.match(says);
    });
  }

  it('wants no banks, which a channel that is routed to does', () => {
    const [cards] = loadProfiles(parties);
    expect(cards?.profile.banks).to.deep.equal({});
    const routed = parties.replace('[pre_recharge, credit, void]', '[charge]');
    expect(problemsOf(routed).map(({ path }) => path)).to.include('channels.0.banks');
  });
});

/** A channel file's profiles without the times in them. */
const timeless = (path: string): unknown =>
  loadProfiles(channelFile(path)).map(({ profile }) => ({
    ...profile,
    timeouts: null,
    maintenance: null,
    nature: { ...profile.nature, visibility_ms: 0, order_ttl_ms: 0, poll_schedule_ms: [] },
  }));

describe('The channel files of the project', () => {
  it('differ, between real life and demo, in times alone', () => {
    for (const name of ['channels', 'parties']) {
      const [demo, life] = [`examples/${name}.demo.yaml`, `examples/${name}.yaml`];
      expect(timeless(demo)).to.deep.equal(timeless(life));
    }
  });

  it('know every code of the sandbox that says something of an order', () => {
    const aboutRequests = new Set([
      'bad_signature',
      'bad_request',
      'system_error',
      'throttled',
      'duplicate_order',
      'order_conflict',
      'close_refused',
      'closed',
      'order_closed',
      'order_expired',
      'contract_missing',
    ]);
    for (const profile of practiceProfiles()) {
      const spec = channelSpecs[profile.id as keyof typeof channelSpecs];
      for (const [outcome, code] of Object.entries(spec.codes)) {
        if (!aboutRequests.has(outcome))
          expect(profile.error_codes, `${profile.id} ${code}`).to.have.property(code);
      }
      expect(Object.keys(profile.banks)).to.deep.equal(Object.keys(spec.banks));
      expect(profile.nature.visibility_ms).to.be.above(spec.visibilityMs);
      for (const [bank, max] of Object.entries(spec.banks)) {
        expect(Number(profile.banks[bank]?.per_transaction_max_minor)).to.equal(max);
      }
    }
  });
});
