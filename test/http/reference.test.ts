import { expect } from 'chai';
import { readFileSync, writeFileSync } from 'node:fs';
import { format } from 'prettier';
import { errorTable } from '../../src/errors.js';
import { permissions } from '../../src/http/access.js';

const page = new URL('../../../docs/http-api.md', import.meta.url);
const roles = ['app', 'batch', 'agent', 'operator'] as const;

const table = (rows: readonly (readonly string[])[]): string =>
  rows
    .toSpliced(1, 0, rows[0]?.map(() => '---') ?? [])
    .map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`)
    .join('\n');

const generated: Readonly<Record<string, () => string>> = {
  roles: () =>
    table([
      ['route', ...roles],
      ...Object.entries(permissions).map(([route, allowed]) => [
        `\`${route}\``,
        ...roles.map((role) => ((allowed as readonly string[]).includes(role) ? '✓' : '')),
      ]),
    ]),
  errors: () =>
    table([
      ['code', 'status', 'what it is', 'what to do'],
      ...Object.entries(errorTable).map(([code, [status, title, action]]) => [
        `\`${code}\``,
        String(status),
        title,
        action,
      ]),
    ]),
};

/** Between the marks of each generated part stands what the code says. */
async function withParts(text: string): Promise<string> {
  let whole = text;
  for (const [name, make] of Object.entries(generated)) {
    const marked = new RegExp(`(<!-- ${name}: generated -->)[^]*?(<!-- /${name} -->)`);
    expect(whole).to.match(marked);
    whole = whole.replace(marked, (_, from: string, to: string) => `${from}\n\n${make()}\n\n${to}`);
  }
  return await format(whole, { parser: 'markdown', printWidth: 100 });
}

describe('docs/http-api.md', () => {
  // To bring the page up to date: RECOUP_TEST_WRITE_DOCS=1 npm test
  it('lists the roles and the error codes as they are', async () => {
    const text = readFileSync(page, 'utf8');
    const right = await withParts(text);
    if (process.env['RECOUP_TEST_WRITE_DOCS'] === '1') writeFileSync(page, right);
    else expect(text).to.equal(right);
  });
});
