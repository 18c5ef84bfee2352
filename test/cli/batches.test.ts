import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { startEnvironment, type TestEnvironment } from '../support/environment.js';
import { until } from '../sandbox/sandbox-process.js';
import { ended, ready, recoupHere, start } from './recoup.js';

const header =
  'repayment_id,borrower_id,bank_code,account_token,account_last4,currency,amount_due,due_date';
const row = (id: string, changes: { bank?: string; token?: string; amount?: string } = {}) =>
  [
    id,
    `B-${id}`,
    changes.bank ?? 'ICBC',
    changes.token ?? `tok_ok_${id}`,
    '0001',
    'CNY',
    changes.amount ?? '100.00',
    '2026-12-01',
  ].join(',');

interface Report {
  readonly batch: { readonly id: string; readonly state: string };
  readonly progress: Readonly<Record<string, number>>;
  readonly rejected_rows: readonly { line_no: number; code: string }[];
  readonly known?: boolean;
  readonly error?: { readonly code: string };
}

describe('recoup batch', function () {
  this.timeout(90_000);
  let surroundings: TestEnvironment;
  let folder = '';
  const run = (...args: string[]) => recoupHere(surroundings.env, ...args);
  const file = (name: string, ...rows: (string | Buffer)[]): string => {
    const path = join(folder, name);
    const lines = [header, ...rows].flatMap((line) => [
      Buffer.isBuffer(line) ? line : Buffer.from(line),
      Buffer.from('\n'),
    ]);
    writeFileSync(path, Buffer.concat(lines));
    return path;
  };
  const captures = async (): Promise<number> =>
    (await surroundings.sandbox.book()).filter((order) => order.captures.length > 0).length;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'recoup-cli-'));
    surroundings = await startEnvironment();
  });
  after(async () => {
    await surroundings.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it('collects a file, and reports what it rejected by line', async () => {
    const path = file(
      'mixed.csv',
      row('m1'),
      row('m2', { amount: '-1.00' }),
      row('m3', { token: 'tok_insufficient_m3' }),
      row('m1'),
      Buffer.concat([Buffer.from('m4,'), Buffer.from([0xd5, 0xc5]), Buffer.from(',ICBC')]),
      row('m5', { bank: 'NOBANK' }),
      row('m6', { bank: 'CEB' }),
    );
    const { code, json, out } = await run('batch', 'run', path, '--json');
    const report = json as unknown as Report;
    expect(code).to.equal(0);
    expect(out.trim().split('\n')).to.have.length(1);
    expect(report.batch.state).to.equal('done');
    expect(report.progress).to.include({ succeeded: 2, failed: 1, rejected: 4, processing: 0 });
    const rejected = report.rejected_rows.map(({ line_no, code: why }) => `${line_no} ${why}`);
    expect(rejected).to.deep.equal([
      '3 row_invalid',
      '5 row_duplicate',
      '6 csv_malformed',
      '7 bank_unknown',
    ]);

    const before = await captures();
    const again = await run('batch', 'run', path, '--json');
    expect(again.code).to.equal(0);
    const same = again.json as unknown as Report;
    expect(same.known).to.equal(true);
    expect(same.batch.id).to.equal(report.batch.id);
    expect(await captures()).to.equal(before);

    const labelled = await run('batch', 'run', path, '--again', 'second', '--json');
    const other = labelled.json as unknown as Report;
    expect(other.batch.id).to.not.equal(report.batch.id);
    // What was paid is settled; the account without money was asked once more.
    expect(other.progress).to.include({ succeeded: 0, failed: 1 });
    expect(await captures()).to.equal(before);

    const shown = await run('batch', 'show', report.batch.id);
    expect(shown.code).to.equal(0);
    expect(shown.out).to.include('5     row_duplicate');
  });

  it('refuses a file that is wrong as a whole with exit code 2 and leaves no batch', async () => {
    const headers = join(folder, 'headers.csv');
    writeFileSync(headers, `id,amount\n1,2\n`);
    const wrong = await run('batch', 'run', headers, '--json');
    expect(wrong.code).to.equal(2);
    expect((wrong.json as unknown as Report).error?.code).to.equal('csv_headers');
    const empty = await run('batch', 'run', file('empty.csv'), '--json');
    expect(empty.code).to.equal(2);
    expect((empty.json as unknown as Report).error?.code).to.equal('csv_empty');
    const missing = await run('batch', 'run', join(folder, 'not-there.csv'), '--json');
    expect(missing.code).to.equal(2);
    expect((missing.json as unknown as Report).error?.code).to.equal('file_unreadable');
    const [rows] = (await surroundings.owner.raw(
      `SELECT COUNT(*) AS n FROM batch WHERE name IN ('headers.csv', 'empty.csv', 'not-there.csv')`,
    )) as [{ n: string | number }[]];
    expect(Number(rows[0]?.n)).to.equal(0);
  });

  it('takes a byte order mark for what it is, and says so', async () => {
    const path = join(folder, 'bom.csv');
    writeFileSync(path, `\u{feff}${header}\n${row('bom1')}\n`);
    const { code, err } = await run('batch', 'run', path);
    expect(code).to.equal(0);
    expect(err).to.include('[csv_bom]');
  });

  it('is left by Ctrl-C with exit code 4, and gone on with by the same command', async () => {
    const rows = Array.from({ length: 60 }, (_, index) => row(`int${index}`));
    const path = file('interrupted.csv', ...rows);
    const slow = { ...surroundings.env, RECOUP_BATCH_IN_FLIGHT: '1' };
    const child = start(slow, 'batch', 'run', path, '--json');
    const end = ended(child);
    const before = await captures();
    await until('one is collected', async () => (await captures()) > before);
    child.kill('SIGINT');
    const interrupted = await end;
    expect(interrupted.code).to.equal(4);
    const first = interrupted.json as unknown as Report;
    expect(first.batch.state).to.equal('running');
    expect(first.progress['pending']).to.be.greaterThan(0);

    // Claims last for half a minute; what was claimed and not begun was given back.
    const beganMs = performance.now();
    const { code, json } = await run('batch', 'run', path, '--json');
    expect(performance.now() - beganMs).to.be.lessThan(25_000);
    const report = json as unknown as Report;
    expect(code).to.equal(0);
    expect(report.batch.id).to.equal(first.batch.id);
    expect(report.progress).to.include({ succeeded: 60, failed: 0 });
    expect(await captures()).to.equal(before + 60);
  });

  it('leaves the work to workers when told, and pauses and resumes', async () => {
    const path = file('workers.csv', row('w1'), row('w2'), row('w3'));
    const loaded = await run('batch', 'run', path, '--no-wait', '--json');
    expect(loaded.code).to.equal(4);
    const { batch, progress } = loaded.json as unknown as Report;
    expect(progress['pending']).to.equal(3);
    expect((await run('batch', 'pause', batch.id)).code).to.equal(0);
    const twice = await run('batch', 'pause', batch.id, '--json');
    expect(twice.code).to.equal(0);

    const worker = start(surroundings.env, 'worker', '--id', 'w-test', '--json');
    const gone = ended(worker);
    const { instance_id: name } = await ready<{ instance_id: string }>(worker);
    expect(name).to.match(/^w-test-[0-9a-f]{8}$/);
    const paused = (await run('batch', 'show', batch.id, '--json')).json as unknown as Report;
    expect(paused.progress['pending']).to.equal(3);
    expect((await run('batch', 'resume', batch.id)).code).to.equal(0);
    const watched = await run('batch', 'run', path, '--workers-only', '--json');
    expect(watched.code).to.equal(0);
    expect((watched.json as unknown as Report).progress['succeeded']).to.equal(3);
    expect((await run('batch', 'resume', batch.id)).code).to.equal(2);

    worker.kill('SIGTERM');
    const { code, out } = await gone;
    expect(code).to.equal(0);
    expect(out).to.include('"drained":true');
    const [writers] = (await surroundings.owner.raw(
      `SELECT DISTINCT l.writer FROM execution_log l JOIN deduction d ON d.id = l.task_id
       WHERE d.batch_id = '${batch.id}'`,
    )) as [{ writer: string }[]];
    expect(writers.length).to.be.greaterThan(0);
    for (const { writer } of writers) expect(writer.startsWith(`${name}.`)).to.equal(true);
  });

  it('collects what is due on a date, once', async () => {
    const path = file('due.csv', row('due1').replace('2026-12-01', '2026-12-24'));
    expect((await run('repayments', 'import', path)).code).to.equal(0);
    const { code, json } = await run('batch', 'due', '2026-12-24', '--json');
    expect(code).to.equal(0);
    expect((json as unknown as Report).progress['succeeded']).to.equal(1);
    const again = await run('batch', 'due', '2026-12-24', '--json');
    expect((again.json as unknown as Report).known).to.equal(true);
    expect((await run('batch', 'due', '2026-02-30')).code).to.equal(2);
  });
});
