import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect } from 'chai';

const projectDir = join(import.meta.dirname, '..', '..');

/** Imports that the design forbids: [file, import statement]. */
const forbiddenImports: readonly (readonly [string, string])[] = [
  ['src/money.ts', `import { x } from './engine/flow.js';`],
  ['src/config.ts', `import knex from 'knex';`],
  ...[
    'channels',
    'compensation',
    'store',
    'queue',
    'http',
    'intake',
    'ledger',
    'notices',
    'sandbox',
    'demo',
    'chaos',
  ].map((room) => ['src/engine/a.ts', `import type { X } from '../${room}/x.js';`] as const),
  ['src/engine/a.ts', `import { x } from '../routing/x.js';`],
  ['src/engine/deep/a.ts', `import { x } from '../../store/x.js';`],
  ['src/engine/a.ts', `export { x } from '../store/x.js';`],
  ['src/engine/a.ts', `await import('../store/x.js');`],
  ['src/engine/a.ts', `import { x } from '../composition/root.js';`],
  ['src/engine/a.ts', `import { x } from '../index.js';`],
  ['src/engine/a.ts', `import type { Knex } from 'knex';`],
  ['src/engine/a.ts', `import { Container } from 'inversify';`],
  ['src/routing/a.ts', `import { x } from '../engine/x.js';`],
  ['src/routing/a.ts', `import type { X } from '../channels/x.js';`],
  ['src/channels/a.ts', `import { x } from '../engine/x.js';`],
  ['src/channels/a.ts', `import type { X } from '../store/x.js';`],
  ['src/compensation/a.ts', `import { x } from '../queue/x.js';`],
  ['src/compensation/a.ts', `import { Queue } from 'bullmq';`],
  ['src/cases/a.ts', `import { x } from '../store/x.js';`],
  ['src/cases/a.ts', `import { x } from '../engine/x.js';`],
  ['src/engine/a.ts', `import type { X } from '../cases/x.js';`],
  ['src/store/a.ts', `import { x } from '../cases/x.js';`],
  ['src/intake/a.ts', `import { x } from '../http/x.js';`],
  ['src/intake/a.ts', `import mysql from 'mysql2/promise';`],
  ['src/reconciliation/a.ts', `import { x } from '../store/x.js';`],
  ['src/reconciliation/a.ts', `import { x } from '../engine/x.js';`],
  ['src/reconciliation/a.ts', `import knex from 'knex';`],
  ['src/channels/a.ts', `import type { X } from '../reconciliation/x.js';`],
  ['src/store/a.ts', `import { x } from '../reconciliation/x.js';`],
  ['src/ledger/a.ts', `import { x } from '../store/x.js';`],
  ['src/ledger/a.ts', `import { x } from '../engine/x.js';`],
  ['src/ledger/a.ts', `import { Queue } from 'bullmq';`],
  ['src/store/a.ts', `import { x } from '../ledger/x.js';`],
  ['src/notices/a.ts', `import { x } from '../store/x.js';`],
  ['src/notices/a.ts', `import { x } from '../engine/x.js';`],
  ['src/notices/a.ts', `import { Queue } from 'bullmq';`],
  ['src/store/a.ts', `import { x } from '../notices/x.js';`],
  ['src/ledger/a.ts', `import type { X } from '../notices/x.js';`],
  ['src/metrics/a.ts', `import { x } from '../store/x.js';`],
  ['src/metrics/a.ts', `import { x } from '../engine/x.js';`],
  ['src/metrics/a.ts', `import knex from 'knex';`],
  ['src/engine/a.ts', `import type { X } from '../metrics/x.js';`],
  ['src/engine/a.ts', `import { Counter } from 'prom-client';`],
  ['src/channels/a.ts', `import { Counter } from 'prom-client';`],
  ['src/http/a.ts', `import { Registry } from 'prom-client';`],
  ['src/http/a.ts', `import { x } from '../metrics/x.js';`],
  ['src/store/a.ts', `import { x } from '../metrics/x.js';`],
  ['src/composition/root.ts', `import { Registry } from 'prom-client';`],
  ['src/cli.ts', `import { Registry } from 'prom-client';`],
  ['src/store/a.ts', `import { x } from '../queue/x.js';`],
  ['src/store/a.ts', `import { Redis } from 'ioredis';`],
  ['src/queue/a.ts', `import { x } from '../store/x.js';`],
  ['src/queue/a.ts', `import knex from 'knex';`],
  ['src/http/a.ts', `import { x } from '../store/x.js';`],
  ['src/http/a.ts', `import { request } from 'undici';`],
  ['src/sandbox/a.ts', `import { x } from '../money.js';`],
  ['src/sandbox/a.ts', `import type { X } from '../engine/x.js';`],
  ['src/sandbox/deep/a.ts', `import { x } from '../../money.js';`],
  ['src/simulation/a.ts', `import { x } from '../queue/x.js';`],
  ['src/simulation/a.ts', `import { x } from '../store/sql-journal.js';`],
  ['src/simulation/a.ts', `import knex from 'knex';`],
  ['src/oracle/a.ts', `import type { X } from '../engine/x.js';`],
  ['src/oracle/a.ts', `import { x } from 'node:fs';`],
  ['src/demo/a.ts', `import { x } from '../engine/x.js';`],
  ['src/demo/a.ts', `import { x } from '../index.js';`],
  ['src/demo/a.ts', `import { x } from '../chaos/x.js';`],
  ['src/chaos/a.ts', `import { x } from '../engine/x.js';`],
  ['src/chaos/a.ts', `import knex from 'knex';`],
  ['src/composition/root.ts', `import { x } from '../sandbox/x.js';`],
  ['src/composition/root.ts', `import { x } from '../oracle/index.js';`],
  ['src/composition/root.ts', `import knex from 'knex';`],
  ['src/cli/show.ts', `import { x } from '../simulation/x.js';`],
  ['src/index.ts', `import { x } from './oracle/index.js';`],
  ['src/money.ts', `import { x } from './composition/root.js';`],
  ['src/store/a.ts', `import type { X } from '../embedded/x.js';`],
  ['src/embedded/a.ts', `import { x } from '../demo/x.js';`],
  ['src/index.ts', `import { x } from './demo/x.js';`],
  ['src/index.ts', `import { Container } from 'inversify';`],
  ['src/cli.ts', `import { x } from './demo/x.js';`],
  ['src/cli.ts', `import { x } from './chaos/x.js';`],
  ['src/cli.ts', `import { Container } from 'inversify';`],
];

/** Imports that the design allows; without them a rule that forbids everything would pass. */
const allowedImports: readonly (readonly [string, string])[] = [
  ['src/money.ts', `import { x } from './errors.js';`],
  ['src/engine/a.ts', `import { x } from '../money.js';`],
  ['src/engine/a.ts', `import { x } from './flow.js';`],
  ['src/engine/a.ts', `import type { X } from '../routing/x.js';`],
  ['src/routing/a.ts', `import type { X } from '../engine/x.js';`],
  ['src/channels/a.ts', `import type { X } from '../engine/x.js';`],
  ['src/channels/a.ts', `import { request } from 'undici';`],
  ['src/reconciliation/a.ts', `import type { X } from '../engine/x.js';`],
  ['src/reconciliation/a.ts', `import { x } from '../errors.js';`],
  ['src/ledger/a.ts', `import type { X } from '../engine/x.js';`],
  ['src/store/a.ts', `import type { X } from '../ledger/x.js';`],
  ['src/notices/a.ts', `import type { X } from '../engine/x.js';`],
  ['src/notices/a.ts', `import { Agent } from 'undici';`],
  ['src/store/a.ts', `import type { X } from '../notices/x.js';`],
  ['src/store/a.ts', `import type { X } from '../metrics/x.js';`],
  ['src/metrics/a.ts', `import type { X } from '../engine/x.js';`],
  ['src/metrics/a.ts', `import { Registry } from 'prom-client';`],
  ['src/http/a.ts', `import { x } from '../notices/x.js';`],
  ['src/cases/a.ts', `import type { X } from '../engine/x.js';`],
  ['src/http/a.ts', `import { x } from '../cases/x.js';`],
  ['src/store/a.ts', `import { x } from '../engine/x.js';`],
  ['src/store/a.ts', `import mysql from 'mysql2/promise';`],
  ['src/queue/a.ts', `import { Queue } from 'bullmq';`],
  ['src/queue/a.ts', `import Redlock from 'redlock';`],
  ['src/http/a.ts', `import swagger from '@fastify/swagger';`],
  ['src/http/a.ts', `import { x } from '../intake/x.js';`],
  ['src/sandbox/a.ts', `import { x } from './book.js';`],
  ['src/sandbox/deep/a.ts', `import { x } from '../book.js';`],
  ['src/simulation/a.ts', `import { x } from '../engine/x.js';`],
  ['src/simulation/a.ts', `import { x } from '../store/projections.js';`],
  ['src/simulation/a.ts', `import { x } from '../oracle/x.js';`],
  ['src/simulation/a.ts', `import { x } from '../ledger/x.js';`],
  ['src/oracle/a.ts', `import { x } from './x.js';`],
  ['src/demo/a.ts', `import { x } from '../money.js';`],
  ['src/chaos/a.ts', `import { x } from '../demo/x.js';`],
  ['src/chaos/a.ts', `import { x } from '../oracle/x.js';`],
  ['src/composition/root.ts', `import { Container } from 'inversify';`],
  ['src/composition/root.ts', `import { x } from '../store/x.js';`],
  ['src/index.ts', `import { x } from './composition/root.js';`],
  ['src/cli.ts', `import { x } from './sandbox/main.js';`],
];

describe('the room rules', () => {
  it('forbid every planted import', () => {
    const found = reported(forbiddenImports);
    expect(forbiddenImports.filter((_, at) => !found.has(at))).to.eql([]);
  });

  it('allow what the design allows', () => {
    const found = reported(allowedImports);
    expect(allowedImports.filter((_, at) => found.has(at))).to.eql([]);
  });
});

describe('the tidy check', () => {
  const untidy: readonly (readonly [path: string, text: string, why: RegExp])[] = [
    ['src/string-utils.ts', '', /name it for its concept/],
    ['src/managers.ts', '', /name it for its concept/],
    ['src/camelCase.ts', '', /kebab-case/],
    ['src/later.ts', `// ${split('TO', 'DO')}: later`, /issue/],
    ['docs/where.md', `see ${split('/wo', 'rk/main')}`, /path of one machine/],
    ['src/home.ts', `const file = '${split('/ro', 'ot/x')}';`, /path of one machine/],
    ['docs/hosts.md', split('registry.', 'example.org'), /registry/],
    ['src/silent.ts', split('// oxlint-dis', 'able-next-line no-console'), /without saying why/],
    ['src/untyped.ts', split('// @ts-', 'ignore'), /type checker/],
    ['package-lock.json', '{ "resolved": "https://x" }', /registry/],
  ];
  const tidy: readonly (readonly [path: string, text: string])[] = [
    ['src/order-number.ts', '// oxlint-disable-next-line no-console -- the reason'],
    ['migrations/0001_first-tables.ts', ''],
    ['docs/ARCHITECTURE.md', 'POST /v1/work/x'],
  ];

  for (const [path, text, why] of untidy) {
    it(`reports ${path}`, () => {
      const { status, stdout } = tidyCheck([[path, text]]);
      expect(stdout).to.match(why).and.include(path);
      expect(status).to.equal(1);
    });
  }

  it('is content with tidy files', () => {
    expect(tidyCheck(tidy)).to.include({ stdout: '', status: 0 });
  });
});

/** Which of the planted imports oxlint reports, under the project's own configuration. */
function reported(imports: readonly (readonly [string, string])[]): Set<number> {
  const config = readFileSync(join(projectDir, '.oxlintrc.json'), 'utf8');
  // `options` may only stand in the outermost configuration, and no rule tried here needs it.
  const rules = JSON.stringify({ ...(JSON.parse(config) as object), options: undefined });
  return inFolder((folder) => {
    imports.forEach(([path, statement], at) => {
      // A project of its own each, since the rules go by the path inside the project.
      plant(folder, `${at}/${path}`, `${statement}\n`);
      plant(folder, `${at}/.oxlintrc.json`, rules);
    });
    const oxlint = join(projectDir, 'node_modules', '.bin', 'oxlint');
    const { stdout } = spawnSync(oxlint, ['-f', 'unix'], { cwd: folder, encoding: 'utf8' });
    const hits = stdout.matchAll(/^(\d+)\/.*no-restricted-imports/gm);
    return new Set(Array.from(hits, ([, at]) => Number(at)));
  });
}

/** Keeps what the tidy check looks for out of this file. */
function split(...parts: string[]): string {
  return parts.join('');
}

function tidyCheck(files: readonly (readonly [path: string, text: string])[]) {
  return inFolder((folder) => {
    for (const [path, text] of files) plant(folder, path, text);
    const script = join(projectDir, 'scripts', 'tidy.mjs');
    const { status, stdout } = spawnSync(process.execPath, [script, folder], { encoding: 'utf8' });
    return { status, stdout };
  });
}

function inFolder<T>(action: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'recoup-tidy-'));
  try {
    return action(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function plant(folder: string, path: string, text: string): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), text);
}
