/**
 * What a card gets for what is paid. The rules are data, written by people, checked when they are read
 * and frozen into a top-up when it is accepted: a rule that is changed afterwards changes nothing for
 * whoever has been told what they get (the article's 充值规则).
 */
import { parse } from 'yaml';
import { z } from 'zod';
import { assertNever } from '../assert.js';
import { RecoupError } from '../errors.js';
import { amountMinor, currencies, type AmountMinor, type Currency } from '../money.js';

const minor = z.number().int().positive();

const bonus = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('none') }),
  /** So many hundredths of a per cent of what is paid, rounded down, at most `max_minor`. */
  z.strictObject({
    kind: z.literal('share'),
    basis_points: z.number().int().min(1).max(10_000),
    max_minor: minor.optional(),
  }),
  /** 充1000送200: of the steps that are reached, the highest one's bonus. */
  z.strictObject({
    kind: z.literal('steps'),
    steps: z
      .array(z.strictObject({ from_minor: minor, bonus_minor: minor }))
      .min(1)
      .max(50)
      .refine(
        (steps) =>
          steps.every(({ from_minor: from }, at) => from > (steps[at - 1]?.from_minor ?? 0)),
        'steps go upwards',
      ),
  }),
]);

const rule = z
  .strictObject({
    name: z
      .string()
      .regex(/^[a-z][a-z0-9_]{0,39}$/, 'lower-case letters, digits and _, at most 40'),
    currency: z.enum(currencies).default('CNY'),
    /** What may be paid under this rule. */
    min_minor: minor,
    max_minor: minor,
    bonus,
    /** When it holds, ISO 8601 with a zone; left out: always. */
    from: z.iso.datetime({ offset: true }).optional(),
    until: z.iso.datetime({ offset: true }).optional(),
  })
  .refine(({ min_minor: min, max_minor: max }) => min <= max, {
    path: ['max_minor'],
    message: 'not below min_minor',
  })
  .refine(({ from, until }) => !from || !until || Date.parse(from) < Date.parse(until), {
    path: ['until'],
    message: 'after from',
  });

const rulesFile = z.strictObject({
  rules: z
    .array(rule)
    .min(1)
    .max(200)
    .refine(
      (rules) => new Set(rules.map(({ name }) => name)).size === rules.length,
      'every rule has a name of its own',
    ),
});

export type TopUpRule = z.output<typeof rule>;

/** Where no rules are configured: what is paid is what the card gets. */
export const plainRule: TopUpRule = {
  name: 'plain',
  currency: 'CNY',
  min_minor: 1,
  max_minor: 1_000_000,
  bonus: { kind: 'none' },
};

/**
 * @param text YAML or JSON: `rules:`, each with a name, what may be paid and the bonus for it.
 * @throws RecoupError `top_up_rules_invalid` with every problem at once.
 */
export function parseRules(text: string): readonly TopUpRule[] {
  const parsed = rulesFile.safeParse(documentOf(text));
  if (parsed.success) return parsed.data.rules;
  const problems = parsed.error.issues.map(({ path, message }) => ({
    field: path.join('.'),
    message,
  }));
  throw new RecoupError('top_up_rules_invalid', { problems });
}

function documentOf(text: string): unknown {
  try {
    return parse(text);
  } catch (error) {
    const { message } = error as Error;
    throw new RecoupError('top_up_rules_invalid', { problems: [{ field: '', message }] });
  }
}

export interface Asked {
  readonly amountMinor: AmountMinor;
  readonly currency: Currency;
  /** Null: the first of the rules that fits. */
  readonly rule: string | null;
}

/**
 * What the card gets, and by which rule.
 *
 * @throws RecoupError `top_up_rule_unknown`, `top_up_not_allowed` with why each rule does not fit.
 */
export function creditFor(
  rules: readonly TopUpRule[],
  asked: Asked,
  nowMs: number,
): { readonly rule: string; readonly creditMinor: AmountMinor } {
  const named = asked.rule === null ? rules : rules.filter(({ name }) => name === asked.rule);
  if (named.length === 0) throw new RecoupError('top_up_rule_unknown', { rule: asked.rule });
  const refusals = named.map((one) => ({ rule: one.name, why: whyNot(one, asked, nowMs) }));
  const fits = named[refusals.findIndex(({ why }) => why === null)];
  if (fits === undefined) throw new RecoupError('top_up_not_allowed', { refusals });
  const creditMinor = amountMinor(asked.amountMinor + bonusOf(fits, asked.amountMinor));
  return { rule: fits.name, creditMinor };
}

function whyNot(one: TopUpRule, { amountMinor: amount, currency }: Asked, nowMs: number) {
  if (one.currency !== currency) return 'it is for another currency';
  if (one.from !== undefined && nowMs < Date.parse(one.from)) return `it begins at ${one.from}`;
  if (one.until !== undefined && nowMs >= Date.parse(one.until)) return `it ended at ${one.until}`;
  if (amount < one.min_minor) return `it begins at ${one.min_minor}`;
  return amount > one.max_minor ? `it ends at ${one.max_minor}` : null;
}

function bonusOf({ bonus: terms }: TopUpRule, amount: bigint): bigint {
  switch (terms.kind) {
    case 'none':
      return 0n;
    case 'share': {
      const share = (amount * BigInt(terms.basis_points)) / 10_000n;
      const most = terms.max_minor === undefined ? share : BigInt(terms.max_minor);
      return share < most ? share : most;
    }
    case 'steps': {
      const reached = terms.steps.findLast(({ from_minor: from }) => amount >= from);
      return BigInt(reached?.bonus_minor ?? 0);
    }
    default:
      return assertNever(terms);
  }
}
