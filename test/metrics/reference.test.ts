import { readFileSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { format, resolveConfig } from 'prettier';
import { parse } from 'yaml';
import { catalogue, type Definition } from '../../src/metrics/catalogue.js';

const page = new URL('../../../docs/metrics.md', import.meta.url);
const rules = new URL('../../../examples/prometheus-alerts.yaml', import.meta.url);

const row = ({ name, type, labels, unit, help, worry }: Definition): string =>
  `| ${[`\`${name}\``, type, labels.join(', '), unit, help, worry].join(' | ')} |`;

async function right(text: string): Promise<string> {
  const marked = /(<!-- metrics: generated -->)[^]*(<!-- \/metrics -->)/;
  expect(text).to.match(marked);
  const head = '| metric | type | labels | unit | what it says | when to worry |\n|-|-|-|-|-|-|';
  const table = [head, ...catalogue.map(row)].join('\n');
  const whole = text.replace(marked, (_, a: string, z: string) => `${a}\n\n${table}\n\n${z}`);
  const options = await resolveConfig(page);
  return await format(whole, { ...options, parser: 'markdown' });
}

describe('docs/metrics.md', () => {
  // To bring the page up to date: RECOUP_TEST_WRITE_DOCS=1 npm test
  it('lists every metric as it is', async () => {
    const text = readFileSync(page, 'utf8');
    const whole = await right(text);
    if (process.env['RECOUP_TEST_WRITE_DOCS'] === '1') writeFileSync(page, whole);
    else expect(text).to.equal(whole);
  });
});

describe('The catalogue of metrics', () => {
  it('names each metric once, by Prometheus’ conventions', () => {
    const names = catalogue.map(({ name }) => name);
    expect(new Set(names).size).to.equal(names.length);
    for (const { name, type } of catalogue) {
      expect(name).to.match(/^recoup_[a-z]+(_[a-z]+)*$/);
      expect(name.endsWith('_total'), name).to.equal(type === 'counter');
      expect(name, name).to.not.match(/_(ms|milliseconds|minutes)\b/);
    }
  });
});

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly action: string };
}

describe('examples/prometheus-alerts.yaml', () => {
  const { groups } = parse(readFileSync(rules, 'utf8')) as { groups: { rules: Rule[] }[] };
  const all = groups.flatMap((group) => group.rules);
  const known = new Map(catalogue.map((one) => [one.name, one]));

  const ours = all.filter(({ expr }) => expr.includes('recoup_'));
  for (const { alert, expr, labels, annotations } of ours) {
    it(`${alert} names metrics and labels that there are`, () => {
      const named = Array.from(expr.matchAll(/\brecoup_[a-z_]+/g), ([name]) => name);
      const definitions = named.map((name) => {
        const found = known.get(name) ?? known.get(name.replace(/_(count|sum|bucket)$/, ''));
        expect(found, name).to.not.equal(undefined);
        return found!;
      });
      const has = new Set(definitions.flatMap((one) => one.labels));
      const grouped = Array.from(expr.matchAll(/\bby \(([^)]*)\)/g), ([, list = '']) =>
        list.split(', '),
      ).flat();
      const chosen = Array.from(expr.matchAll(/[{,](\w+)=/g), ([, label = '']) => label);
      for (const label of [...grouped, ...chosen]) expect([...has], label).to.include(label);
      expect(labels.severity).to.be.oneOf(['page', 'ticket']);
      const told = annotations.summary + annotations.action;
      for (const [, label = ''] of told.matchAll(/\$labels\.(\w+)/g)) {
        const kept = grouped.length === 0 ? ['instance', ...has] : grouped;
        expect(kept, label).to.include(label);
      }
    });
  }

  it('covers what must page', () => {
    const others = all.filter((one) => !one.expr.includes('recoup_')).map(({ expr }) => expr);
    expect(others).to.deep.equal([
      'up{job="recoup"} == 0',
      'max by (instance) (nodejs_eventloop_lag_p99_seconds) > 0.5',
    ]);
    const expressions = all.map(({ expr }) => expr).join('\n');
    for (const name of [
      'recoup_wake_up_overdue_seconds',
      'recoup_attempt_oldest_seconds',
      'recoup_journal_unavailable_total',
      'recoup_outbox_oldest_seconds',
      'recoup_channel_breaker_open',
      'recoup_case_oldest_seconds',
      'recoup_database_read_ok',
    ]) {
      expect(expressions).to.include(name);
    }
  });
});
