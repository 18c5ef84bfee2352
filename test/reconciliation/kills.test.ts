/** `recoup reconcile` killed with SIGKILL at each of its steps, and then run again. */
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { insertOrders, plantedIn, writeFile, type PlantedDay } from '../../bench/planted-day.js';
import { businessDate } from '../../src/business-date.js';
import { channelId } from '../../src/ids.js';
import { dayAfter } from '../../src/reconciliation/day.js';
import { selectRows } from '../../src/store/database.js';
import { recoupHere, start } from '../cli/recoup.js';
import { until } from '../sandbox/sandbox-process.js';
import { startEnvironment, type TestEnvironment } from '../support/environment.js';

const swiftpay = channelId('swiftpay');

describe('reconciling a day with 350 planted differences', () => {
  let environment: TestEnvironment;
  let folder = '';
  // Today: what crosses midnight is waited for until tomorrow is over, also if that begins meanwhile.
  const date = businessDate(Date.now());
  // More than one part of either side.
  const day: PlantedDay = { channelId: swiftpay, date, rows: 10_500, planted: 350 };

  before(async function () {
    this.timeout(180_000);
    folder = mkdtempSync(join(tmpdir(), 'recoup-kills-'));
    environment = await startEnvironment();
    await insertOrders(environment.owner, day);
    await writeFile(join(folder, 'day'), day, 'csv', 'day');
    await writeFile(join(folder, 'next'), day, 'csv', 'next');
  });
  after(async () => {
    await environment.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const rows = async <Row>(sql: string): Promise<Row[]> =>
    await selectRows<Row>(environment.owner, sql);
  const any = async (sql: string): Promise<boolean> => (await rows(sql)).length > 0;

  /** Before the first: a run is dead to the next when it has been silent for two minutes. */
  const forget = async (): Promise<void> =>
    void (await environment.owner.raw(
      `UPDATE reconciliation SET touched_at = touched_at - INTERVAL 1 HOUR WHERE state = 'running'`,
    ));

  const killedWhen = async (what: string, sql: string): Promise<void> => {
    const file = join(folder, 'day');
    const child = start(environment.env, 'reconcile', 'swiftpay', date, '--file', file);
    const gone = once(child, 'exit');
    await until(what, async () => child.exitCode !== null || (await any(sql)), 30_000);
    child.kill('SIGKILL');
    await gone;
    expect(child.signalCode, `killed before its end: ${what}`).to.equal('SIGKILL');
    await forget();
  };

  it('finds each under its name, and nothing else, however often it was killed', async function () {
    this.timeout(120_000);
    await killedWhen('rows being loaded', 'SELECT 1 FROM statement_row LIMIT 1');
    const [half] = await rows<{ state: string }>('SELECT state FROM channel_statement');
    expect(half?.state).to.equal('loading');
    expect(await any('SELECT 1 FROM reconciliation')).to.equal(false);
    await killedWhen('breaks being opened', 'SELECT 1 FROM reconciliation_break LIMIT 1');

    const file = join(folder, 'day');
    const { code, json } = await recoupHere(
      environment.env,
      'reconcile',
      'swiftpay',
      date,
      '--file',
      file,
      '--json',
    );
    expect([code, json['state']]).to.eql([4, 'complete']);
    const planted = [...plantedIn(day)];
    const found = await rows<{ kind: string; orderNo: string }>(
      'SELECT kind, order_no AS orderNo FROM reconciliation_break WHERE closed_at IS NULL',
    );
    const named = (all: readonly { kind: string; orderNo: string }[]): string[] =>
      all.map(({ kind, orderNo }) => `${kind} ${orderNo}`).sort();
    expect(named(found)).to.eql(named(planted.filter(({ kind }) => kind !== 'cross_day')));
    const held = await rows<{ orderNo: string }>(
      'SELECT order_no AS orderNo FROM reconciliation_held ORDER BY order_no',
    );
    const crossing = planted.filter(({ kind }) => kind === 'cross_day');
    expect(held.map(({ orderNo }) => orderNo)).to.eql(
      crossing.map(({ orderNo }) => orderNo).sort(),
    );

    const second = await recoupHere(
      environment.env,
      'reconcile',
      'swiftpay',
      dayAfter(date),
      '--file',
      join(folder, 'next'),
      '--json',
    );
    expect(second.code).to.equal(0);
    expect(await any('SELECT 1 FROM reconciliation_held')).to.equal(false);
    expect(readFileSync(file).length).to.be.above(1_000_000);
  });
});
