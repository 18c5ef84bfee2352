import { createServer, type AddressInfo } from 'node:net';
import { expect } from 'chai';
import { rightsOn } from '../../src/cli/doctor-database.js';
import type { Finding } from '../../src/cli/doctor-finding.js';
import { startEnvironment, type TestEnvironment } from '../support/environment.js';
import { reference } from '../../src/personal.js';
import { requestFor } from '../support/requests.js';
import { recoupHere } from './recoup.js';

describe('recoup doctor', () => {
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

  it('warns of a channel whose references look like card numbers, where refunds name them', async () => {
    const { owner } = surroundings;
    const profiles = await owner('channel').where({ id: 'swiftpay' }).select('profile');
    const [{ profile } = { profile: '' }] = profiles as { profile: string }[];
    const services = await surroundings.compose();
    const hear = async (channelRef: string): Promise<void> => {
      const repayment = await surroundings.repayment();
      const { deductionId, finished } = await services.desk.start(requestFor(repayment));
      await finished;
      await owner('attempt').where({ task_id: deductionId }).update({ channel_ref: channelRef });
    };
    const warnings = async () => (await examined()).bad.map(({ name, detail }) => [name, detail]);
    await hear('SP-1');
    expect(await warnings()).to.eql([]);
    await hear(reference('6222021234567890128', false));
    await hear('1000000000000000001');
    const [[name, detail] = [], ...others] = await warnings();
    expect([name, others]).to.eql(['channel swiftpay', []]);
    expect(detail).to.match(
      /^of 3 references of this week 1 looked like .*; 1 more are long numbers/,
    );
    const kept = { ...(JSON.parse(profile) as object), numeric_references: true };
    await owner('channel')
      .where({ id: 'swiftpay' })
      .update({ profile: JSON.stringify(kept) });
    expect(await warnings()).to.eql([]);
    const unasked = { ...(JSON.parse(profile) as object), can_refund: false };
    await owner('channel')
      .where({ id: 'swiftpay' })
      .update({ profile: JSON.stringify(unasked) });
    expect(await warnings()).to.eql([]);
    await owner('channel').where({ id: 'swiftpay' }).update({ profile });
    await owner('attempt').update({ channel_ref: 'SP-1' });
  });

  it('exits 5 when a store is out of reach, and still looks at the rest', async () => {
    const { code, bad, findings } = await examined({ RECOUP_REDIS_URL: 'redis://127.0.0.1:1/0' });
    expect(code).to.equal(5);
    expect(bad.map(({ name }) => name)).to.deep.equal(['redis']);
    expect(findings.map(({ name }) => name)).to.include('schema');
  });

  it('looks once at a database that takes connections and answers none', async () => {
    const silent = createServer(() => undefined);
    await new Promise<void>((listening) => silent.listen(0, '127.0.0.1', listening));
    try {
      const { port } = silent.address() as AddressInfo;
      const away = new URL(surroundings.env['RECOUP_DATABASE_URL'] ?? '');
      away.port = String(port);
      const { code, bad, findings } = await examined({ RECOUP_DATABASE_URL: away.href });
      expect(code).to.equal(5);
      expect(bad.map(({ name }) => name)).to.deep.equal(['database']);
      expect(findings.map(({ name }) => name)).to.include('redis');
    } finally {
      silent.close();
    }
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
