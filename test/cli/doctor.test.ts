import { expect } from 'chai';
import { rightsOn } from '../../src/cli/doctor-database.js';
import type { Finding } from '../../src/cli/doctor-finding.js';
import { startEnvironment, type TestEnvironment } from '../support/environment.js';
import { recoupHere } from './recoup.js';

describe('recoup doctor', function () {
  this.timeout(60_000);
  let surroundings: TestEnvironment;
  before(async () => {
    surroundings = await startEnvironment();
  });
  after(() => surroundings.close());

  async function examined(changes: Readonly<Record<string, string | undefined>> = {}) {
    const { code, json } = await recoupHere(
      { ...surroundings.env, ...changes },
      'doctor',
      '--json',
    );
    const { findings, healthy } = json as unknown as { findings: Finding[]; healthy: boolean };
    const bad = findings.filter(({ status }) => status !== 'ok');
    return { code, healthy, findings, bad };
  }

  it('finds nothing to mend where all is well', async () => {
    const { code, healthy, findings, bad } = await examined();
    expect(bad.map(({ name, detail }) => `${name}: ${detail}`)).to.deep.equal([]);
    expect(healthy).to.equal(true);
    expect(code).to.equal(0);
    const names = findings.map(({ name }) => name);
    expect(names).to.include.members(['node', 'database', 'durability', 'isolation', 'schema']);
    expect(names).to.include.members(['append-only', 'clock', 'lease', 'redis']);
    expect(names).to.include('channel swiftpay');
  });

  it('fails an application that could change the execution log', async () => {
    const owner = surroundings.env['RECOUP_MIGRATION_URL'];
    const { code, bad } = await examined({ RECOUP_DATABASE_URL: owner });
    expect(code).to.equal(2);
    expect(bad.map(({ name, status }) => `${status} ${name}`)).to.deep.equal([
      'warn users',
      'fail append-only',
    ]);
  });

  it('fails a channel whose secret is missing, and a lease shorter than a call', async () => {
    const { code, bad } = await examined({
      RECOUP_SANDBOX_SWIFTPAY_HMAC_KEY: '',
      RECOUP_LOCK_LEASE_MS: '3000',
    });
    expect(code).to.equal(2);
    expect(bad.map(({ name }) => name)).to.deep.equal(['channel swiftpay', 'lease']);
    expect(bad[0]?.detail).to.include('RECOUP_SANDBOX_SWIFTPAY_HMAC_KEY');
    expect(bad[1]?.action).to.include('at least 4000');
  });

  it('warns of a compensator that comes while a dead worker’s locks still hold', async () => {
    const { code, bad } = await examined({ RECOUP_COMPENSATOR_AGE_MS: '1000' });
    expect(code).to.equal(0);
    expect(bad.map(({ name, status }) => `${status} ${name}`)).to.deep.equal(['warn compensator']);
  });

  it('exits 5 when a store is out of reach, and still looks at the rest', async () => {
    const { code, bad, findings } = await examined({ RECOUP_REDIS_URL: 'redis://127.0.0.1:1/0' });
    expect(code).to.equal(5);
    expect(bad.map(({ name }) => name)).to.deep.equal(['redis']);
    expect(findings.map(({ name }) => name)).to.include('schema');
  });

  it('lists every wrong variable of the configuration', async () => {
    const { code, bad } = await examined({
      RECOUP_DATABASE_POOL: 'many',
      RECOUP_HTTP_PORT: '123456',
    });
    expect(code).to.equal(2);
    expect(bad.map(({ detail }) => detail.split(':')[0])).to.deep.equal([
      'RECOUP_HTTP_PORT',
      'RECOUP_DATABASE_POOL',
    ]);
  });

  it('reads grants as the server writes them', () => {
    const on = (...grants: string[]) => [...rightsOn('execution_log', 'recoup_1', grants)].sort();
    expect(on('GRANT SELECT, INSERT ON `recoup_1`.`execution_log` TO `a`@`%`')).to.deep.equal([
      'INSERT',
      'SELECT',
    ]);
    expect(on('GRANT ALL PRIVILEGES ON `recoup\\_1`.* TO `a`@`%`')).to.include('ALL');
    expect(on('GRANT ALL PRIVILEGES ON `recoup%`.* TO `a`@`%`')).to.include('ALL');
    expect(on('GRANT UPDATE (`body`) ON `recoup_1`.`execution_log` TO `a`@`%`')).to.deep.equal([
      'UPDATE',
    ]);
    expect(on('GRANT DELETE ON *.* TO `a`@`%` IDENTIFIED BY PASSWORD ')).to.deep.equal(['DELETE']);
    expect(on('GRANT DELETE ON `recoup_1`.`in_flight` TO `a`@`%`')).to.deep.equal([]);
    expect(on('GRANT DELETE ON `other`.* TO `a`@`%`')).to.deep.equal([]);
    expect(on('GRANT USAGE ON *.* TO `a`@`%`')).to.deep.equal(['USAGE']);
  });
});
