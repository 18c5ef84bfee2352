import { expect } from 'chai';
import { creditFor, parseRules, plainRule } from '../../src/intake/top-up-rules.js';
import { amountMinor } from '../../src/money.js';

const text = `
rules:
  - name: spring
    min_minor: 50000
    max_minor: 500000
    from: 2026-03-01T00:00:00+08:00
    until: 2026-04-01T00:00:00+08:00
    bonus: { kind: steps, steps: [{ from_minor: 50000, bonus_minor: 5000 }, { from_minor: 100000, bonus_minor: 20000 }] }
  - name: tenth
    min_minor: 10000
    max_minor: 500000
    bonus: { kind: share, basis_points: 1000, max_minor: 30000 }
  - name: plain
    min_minor: 100
    max_minor: 1000000
    bonus: { kind: none }
`;
const rules = parseRules(text);
const march = Date.parse('2026-03-15T00:00:00Z');
const may = Date.parse('2026-05-15T00:00:00Z');
const gets = (
  amount: number,
  atMs: number,
  rule: string | null = null,
): readonly [string, bigint] => {
  const asked = { amountMinor: amountMinor(amount), currency: 'CNY', rule } as const;
  const got = creditFor(rules, asked, atMs);
  return [got.rule, got.creditMinor];
};
const refusal = (work: () => unknown): { code?: string; details?: unknown } => {
  try {
    work();
  } catch (error) {
    return error as { code: string };
  }
  return {};
};

describe('top-up rules', () => {
  it('the first that fits counts, with the highest step that is reached', () => {
    expect(gets(50_000, march)).to.deep.equal(['spring', 55_000n]);
    expect(gets(99_999, march)).to.deep.equal(['spring', 104_999n]);
    expect(gets(100_000, march)).to.deep.equal(['spring', 120_000n]);
  });

  it('hold from their first moment up to their last', () => {
    const first = Date.parse('2026-03-01T00:00:00+08:00');
    const last = Date.parse('2026-04-01T00:00:00+08:00');
    expect([gets(50_000, first - 1)[0], gets(50_000, first)[0]]).to.deep.equal(['tenth', 'spring']);
    expect([gets(50_000, last - 1)[0], gets(50_000, last)[0]]).to.deep.equal(['spring', 'tenth']);
  });

  it('a share is rounded down and has its limit', () => {
    expect(gets(10_009, may)).to.deep.equal(['tenth', 11_009n]);
    expect(gets(500_000, may)).to.deep.equal(['tenth', 530_000n]);
  });

  it('what is named is taken, or refused with the reason; never another in its place', () => {
    expect(gets(100_000, march, 'plain')).to.deep.equal(['plain', 100_000n]);
    expect(refusal(() => gets(100_000, may, 'spring'))).to.deep.include({
      code: 'top_up_not_allowed',
      details: {
        refusals: [{ rule: 'spring', why: 'it ended at 2026-04-01T00:00:00+08:00' }],
      },
    });
    expect(refusal(() => gets(100_000, may, 'summer'))).to.include({ code: 'top_up_rule_unknown' });
  });

  it('an amount that no rule allows is refused', () => {
    expect(refusal(() => gets(99, may))).to.include({ code: 'top_up_not_allowed' });
    expect(refusal(() => gets(1_000_001, may))).to.include({ code: 'top_up_not_allowed' });
  });

  it('a file with mistakes says all of them', () => {
    const wrong = `
rules:
  - { name: a, min_minor: 200, max_minor: 100, bonus: { kind: none } }
  - { name: a, min_minor: 1, max_minor: 2, bonus: { kind: share, basis_points: 20000 } }
  - { name: b, min_minor: 1, max_minor: 2, bonus: { kind: steps, steps: [{ from_minor: 5, bonus_minor: 1 }, { from_minor: 5, bonus_minor: 2 }] } }
`;
    const { code, details } = refusal(() => parseRules(wrong));
    const fields = (details as { problems: { field: string }[] }).problems.map(
      ({ field }) => field,
    );
    expect(code).to.equal('top_up_rules_invalid');
    expect(fields).to.include.members(['rules.1.bonus.basis_points', 'rules.2.bonus.steps']);
    expect(refusal(() => parseRules('rules: [')).code).to.equal('top_up_rules_invalid');
    expect(refusal(() => parseRules('')).code).to.equal('top_up_rules_invalid');
  });

  it('without a file what is paid is what the card gets', () => {
    const asked = { amountMinor: amountMinor(12_345), currency: 'CNY', rule: null } as const;
    expect(creditFor([plainRule], asked, may)).to.deep.equal({
      rule: 'plain',
      creditMinor: 12_345n,
    });
  });
});
