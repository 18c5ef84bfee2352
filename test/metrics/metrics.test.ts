import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { expect } from 'chai';
import type { Config } from '../../src/config.js';
import type { ChannelId } from '../../src/ids.js';
import { createRecoup } from '../../src/index.js';
import { silentLog } from '../../src/log.js';
import { createHttpServer } from '../../src/http/server.js';
import { catalogue } from '../../src/metrics/catalogue.js';
import { recoupHere } from '../cli/recoup.js';
import type { FaultRule } from '../../src/sandbox/faults.js';
import { startEnvironment, type TestEnvironment } from '../support/environment.js';
import { until } from '../sandbox/sandbox-process.js';
import { requestFor } from '../support/requests.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import { Scrape } from './scrape.js';

describe('The metrics of a process', () => {
  let surroundings: TestEnvironment;
  before(async () => (surroundings = await startEnvironment()));
  after(async () => await surroundings.close());

  async function exposed(config: Partial<Config> = {}) {
    const services = await surroundings.compose({
      config: { metricsPort: 0, ...config },
    });
    return { services, address: await services.metrics!.listen() };
  }

  async function deduct(services: Awaited<ReturnType<typeof exposed>>['services']) {
    const started = await services.desk.start(requestFor(await surroundings.repayment()));
    await started.finished;
    return started;
  }

  it('name every metric of the catalogue, with its type', async () => {
    const { address } = await exposed();
    const { types } = await Scrape.of(address);
    expect(catalogue.filter(({ name, type }) => types.get(name) !== type)).to.deep.equal([]);
    expect(types.get('nodejs_eventloop_lag_p99_seconds')).to.equal('gauge');
  });

  it('count what a deduction did: its run, its call, its two commits, its lock', async () => {
    const { services, address } = await exposed();
    await deduct(services);
    const scrape = await Scrape.of(address);
    expect(scrape.value('recoup_runs_total{kind="deduction",outcome="ended"}')).to.equal(1);
    const charge = '{channel="swiftpay",operation="charge"';
    expect(scrape.value(`recoup_channel_answers_total${charge},reply="succeeded"}`)).to.equal(1);
    expect(scrape.value(`recoup_channel_call_seconds_count${charge}}`)).to.equal(1);
    const committed = 'recoup_journal_transaction_seconds_count{outcome="committed"}';
    expect(scrape.value(committed)).to.equal(2);
    expect(scrape.value('recoup_journal_transaction_writes_bucket{le="1"}')).to.equal(2);
    expect(scrape.value('recoup_lock_wait_seconds_count{outcome="granted"}')).to.equal(1);
    expect(scrape.value('recoup_journal_unavailable_total')).to.equal(0);
  });

  it('read from the tables what waits, and for how long', async () => {
    const { services, address } = await exposed();
    await surroundings.sandbox.setFaults([
      {
        channel: 'swiftpay',
        operation: 'charge',
        fault: 'contradiction',
        params: { outcome: 'processing' },
      },
    ]);
    const { deductionId: id } = await deduct(services);
    const { deductionId: given } = await deduct(services);
    await surroundings.sandbox.setFaults([]);
    const { owner } = surroundings;
    await owner.raw('UPDATE attempt SET next_ask_at = NULL WHERE task_id = ?', [given]);
    await owner.raw(
      `UPDATE in_flight SET wake_at = UTC_TIMESTAMP(3) - INTERVAL 700 SECOND WHERE task_id = ?`,
      [id],
    );
    await owner.raw(
      `UPDATE attempt SET status = 'unknown',
      created_at = UTC_TIMESTAMP(3) - INTERVAL 2 HOUR WHERE task_id = ?`,
      [id],
    );
    await owner.raw(
      `INSERT INTO review_case (task_id, case_no, reason, attempt_no, amount_minor, evidence, opened_at)
       VALUES (?, 1, 'outcome_unknown', 1, 100, '', UTC_TIMESTAMP(3) - INTERVAL 2 DAY)`,
      [id],
    );
    await owner.raw(`UPDATE outbox SET created_at = UTC_TIMESTAMP(3) - INTERVAL 1000 SECOND`);
    const scrape = await Scrape.of(address);
    expect(scrape.value('recoup_database_read_ok')).to.equal(1);
    expect(scrape.value('recoup_tasks{kind="deduction",status="processing"}')).to.equal(2);
    expect(scrape.value('recoup_tasks{kind="refund",status="processing"}')).to.equal(0);
    expect(scrape.value('recoup_wake_ups_overdue{kind="deduction"}')).to.equal(1);
    expect(scrape.value('recoup_wake_up_overdue_seconds{kind="deduction"}')).to.be.within(700, 720);
    expect(scrape.value('recoup_wake_up_overdue_seconds{kind="top_up"}')).to.equal(0);
    const unknown = '{channel="swiftpay",status="unknown"}';
    expect(scrape.value(`recoup_attempts_live${unknown}`)).to.equal(1);
    expect(scrape.value(`recoup_attempt_oldest_seconds${unknown}`)).to.be.within(7_200, 7_220);
    expect(scrape.value('recoup_attempts_live{channel="swiftpay",status="unasked"}')).to.equal(1);
    const open = '{source="task",reason="outcome_unknown"}';
    expect(scrape.value(`recoup_cases_open${open}`)).to.equal(1);
    expect(scrape.value(`recoup_case_oldest_seconds${open}`)).to.be.within(172_800, 172_820);
    expect(scrape.value('recoup_outbox_undelivered')).to.equal(1);
    expect(scrape.value('recoup_outbox_oldest_seconds')).to.be.within(1_000, 1_020);
  });

  it('count the sweeps, and say which channel is kept away from and which is paused', async () => {
    const { services, address } = await exposed({ compensatorIntervalMs: 100 });
    services.compensator.start();
    const down: FaultRule = { channel: 'swiftpay', operation: 'charge', fault: 'http_5xx_before' };
    await surroundings.sandbox.setFaults([down]);
    for (let failure = 0; failure < 5; failure += 1) await deduct(services);
    await surroundings.sandbox.setFaults([]);
    await services.channelStore.setPaused('oldbank' as ChannelId, true, Date.now());
    await services.directory.refresh();
    const swept = 'recoup_sweep_seconds_count{kind="deduction"}';
    const scrape = await until('a sweep', async () => {
      const one = await Scrape.of(address);
      return one.value(swept) === undefined ? null : one;
    });
    const open = (channel: string) =>
      scrape.value(`recoup_channel_breaker_open{channel="${channel}",operation="charge"}`);
    expect([open('swiftpay'), open('unionlink')]).to.deep.equal([1, 0]);
    const paused = (channel: string) => scrape.value(`recoup_channel_paused{channel="${channel}"}`);
    expect([paused('oldbank'), paused('unionlink')]).to.deep.equal([1, 0]);
    await services.channelStore.setPaused('oldbank' as ChannelId, false, Date.now());
    await services.close();
  });

  it('leave out what the database would say when it is away, and say so', async () => {
    const at = new URL(surroundings.config.databaseUrl);
    const proxy = new TcpProxy(at.hostname, Number(at.port));
    at.port = String(await proxy.listen());
    try {
      const { services, address } = await exposed({ databaseUrl: at.href });
      await deduct(services);
      proxy.down = true;
      const askedMs = performance.now();
      const scrape = await Scrape.of(address);
      expect(performance.now() - askedMs).to.be.below(5_000);
      expect(scrape.value('recoup_database_read_ok')).to.equal(0);
      expect(scrape.lines('recoup_tasks{')).to.equal(0);
      expect(scrape.value('recoup_runs_total{kind="deduction",outcome="ended"}')).to.equal(1);
      await services.close();
    } finally {
      await proxy.close();
    }
  });

  it('are there in time while a process closes and the database stands still', async () => {
    const { services, address } = await exposed({ compensatorIntervalMs: 50 });
    services.compensator.start();
    const waiting = async (statement: string) => {
      const [rows] = (await surroundings.owner.raw(
        `SELECT 1 FROM information_schema.processlist
         WHERE state LIKE 'Waiting for table%' AND info LIKE ?`,
        [statement],
      )) as [unknown[]];
      return rows.length;
    };
    const lock = await surroundings.owner.transaction();
    let closed: Promise<void> | undefined;
    try {
      await lock.raw('LOCK TABLES in_flight WRITE');
      await until('a sweep waits', async () => (await waiting('%SKIP LOCKED%')) > 0);
      closed = services.close();
      const askedMs = performance.now();
      const scrape = await Scrape.of(address);
      expect(performance.now() - askedMs).to.be.below(5_000);
      expect(scrape.value('recoup_database_read_ok')).to.equal(0);
      await until('the server ends it', async () => (await waiting('%MIN(wake_at)%')) === 0);
    } finally {
      await lock.raw('UNLOCK TABLES');
      await lock.rollback();
    }
    await closed;
    expect(await fetch(address).catch((error: Error) => error)).to.be.instanceOf(Error);
  });

  it('leave out what Redis would say when it is away, and say so', async () => {
    const at = new URL(surroundings.config.redisUrl);
    at.port = '1';
    const { services, address } = await exposed({ redisUrl: at.href });
    await deduct(services);
    const scrape = await Scrape.of(address);
    expect(scrape.value('recoup_redis_read_ok')).to.equal(0);
    expect(scrape.lines('recoup_queue_due{')).to.equal(0);
    expect(scrape.value('recoup_database_read_ok')).to.equal(1);
    expect(scrape.value('recoup_runs_total{kind="deduction",outcome="ended"}')).to.equal(1);
  });

  it('are not on the port of the API', async () => {
    const { services } = await exposed();
    const server = createHttpServer(services);
    await server.listen({ port: 0, host: '127.0.0.1' });
    const { port } = server.server.address() as AddressInfo;
    expect((await fetch(`http://127.0.0.1:${port}/metrics`)).status).to.equal(404);
    await server.close();
  });

  it('are shown by an application that embeds Recoup, or it does not start', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port: metricsPort } = taken.address() as AddressInfo;
    const open = async () =>
      await createRecoup({ env: surroundings.env, config: { metricsPort }, log: silentLog });
    const refused = await open().catch((error: unknown) => error);
    expect(refused).to.include({ code: 'EADDRINUSE' });
    taken.close();
    await once(taken, 'close');
    const recoup = await open();
    const { types } = await Scrape.of(`http://127.0.0.1:${metricsPort}/metrics`);
    expect(types.get('recoup_runs_total')).to.equal('counter');
    await recoup.close();
  });

  it('are neither counted nor shown unless a port is configured', async () => {
    const services = await surroundings.compose();
    expect(services.metrics).to.equal(null);
    expect(services.httpObserver).to.equal(undefined);
  });

  for (const command of ['worker', 'serve']) {
    it(`${command} does not start where the port is taken, and says which`, async () => {
      const taken = createServer().listen(0, '127.0.0.1');
      await once(taken, 'listening');
      const { port } = taken.address() as AddressInfo;
      const env = { ...surroundings.env, RECOUP_METRICS_PORT: String(port) };
      const { code, json } = await recoupHere(env, command, '--json');
      taken.close();
      expect(code).to.equal(5);
      expect(json['error']).to.include({ code: 'address_in_use' });
      expect(JSON.stringify(json)).to.include('RECOUP_METRICS_PORT');
    });
  }
});
