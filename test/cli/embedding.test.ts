import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { createRecoup, type Log, type Recoup, type RecoupError } from '../../src/index.js';
import { someRepayment, startEnvironment, type TestEnvironment } from '../support/environment.js';
import { until } from '../sandbox/sandbox-process.js';
import { ended } from './recoup.js';

describe('Recoup inside an application', () => {
  let surroundings: TestEnvironment;
  let recoup: Recoup;
  const logged: string[] = [];
  const hear = (message: string, fields?: object) =>
    void logged.push(`${message} ${JSON.stringify(fields ?? {})}`);
  const log: Log = { debug: hear, info: hear, warn: hear, error: hear };

  before(async () => {
    surroundings = await startEnvironment();
    const { env } = surroundings;
    recoup = await createRecoup({
      env: { ...env, RECOUP_DATABASE_POOL: '3' },
      config: { databasePool: 4, compensatorIntervalMs: 1_000, compensatorAgeMs: 1_000 },
      log,
      name: 'shop',
    });
  });
  after(async () => {
    await recoup.close();
    await surroundings.close();
  });

  const codeOf = async (work: Promise<unknown>): Promise<string> =>
    await work.then(
      () => 'done',
      (error: unknown) => (error as RecoupError).code,
    );

  const registered = async (word = 'ok', bankCode = 'ICBC') => {
    const some = someRepayment();
    const account = { token: `tok_${word}_${some.id}`, bankCode, last4: '0001' };
    const repayment = { ...some, account };
    await recoup.registerRepayments([repayment]);
    return repayment;
  };

  it('collects, and finds the same deduction under the same key', async () => {
    const { id } = await registered();
    const first = await recoup.deduct({ repaymentId: id, key: 'e1', amountMinor: 50_000n });
    expect(first).to.include({ status: 'succeeded', amountMinor: 50_000n, source: 'app' });
    const again = await recoup.deduct({ repaymentId: id, key: 'e1', amountMinor: 50_000 });
    expect(again.id).to.equal(first.id);
    expect(await codeOf(recoup.deduct({ repaymentId: id, key: 'e1' }))).to.equal(
      'idempotency_key_reused',
    );
    expect(
      (await recoup.list({ borrowerId: first.borrowerId })).map((one) => one.id),
    ).to.deep.equal([first.id]);
    const odd = { repaymentId: id, key: 'e1-odd', amountMinor: 12.5 };
    expect(await codeOf(recoup.deduct(odd))).to.equal('invalid_request');
    const story = await recoup.show(first.id);
    expect(story?.log.map(({ entry }) => entry.kind)).to.deep.equal([
      'accepted',
      'routed',
      'charge_intended',
      'replied',
      'settled',
    ]);
    expect(story?.log[0]?.writer).to.match(/^shop-[0-9a-f]{8}\.\d+$/);
    expect(await recoup.show('nothing')).to.equal(null);
  });

  it('charges once when the same key is used twice at once', async () => {
    const { id } = await registered();
    const both = await Promise.all([
      recoup.deduct({ repaymentId: id, key: 'e2' }, { waitMs: 10_000 }),
      recoup.deduct({ repaymentId: id, key: 'e2' }, { waitMs: 10_000 }),
    ]);
    expect(both[0].id).to.equal(both[1].id);
    const story = await recoup.show(both[0].id);
    const order = await surroundings.sandbox.order(story?.attempts[0]?.orderNo ?? '');
    expect(order?.captures).to.have.length(1);
  });

  it('says processing, never failed, while the outcome is not known; and waits when asked', async () => {
    const { id } = await registered('slow', 'CEB');
    await surroundings.sandbox.setFaults([
      { channel: 'unionlink', operation: 'charge', fault: 'timeout_after', times: 1 },
    ]);
    const early = await recoup.deduct({ repaymentId: id, key: 'e3' }, { waitMs: 50 });
    expect(early.status).to.equal('processing');
    const late = await recoup.deduct({ repaymentId: id, key: 'e3' }, { waitMs: 20_000 });
    await surroundings.sandbox.clearFaults();
    expect(late).to.include({ id: early.id, status: 'succeeded' });
  });

  it('refuses with codes, before anything is written', async () => {
    const { id } = await registered();
    const of = (request: object) =>
      codeOf(recoup.deduct({ repaymentId: id, key: 'e4', ...request }));
    expect(await of({ repaymentId: 'not there' })).to.equal('repayment_unknown');
    expect(await of({ repaymentId: 'absent' })).to.equal('repayment_unknown');
    expect(await of({ amountMinor: 0 })).to.equal('amount_not_positive');
    expect(await of({ amountMinor: -5n })).to.equal('amount_not_positive');
    expect(await of({ amountMinor: 120_001 })).to.equal('amount_exceeds_due');
    expect(await of({ key: 'with space' })).to.equal('idempotency_key_invalid');
    expect(await of({ agent: { name: 'wang', reason: 'no' } })).to.equal('agent_reason_missing');
    const number = { name: 'wang', reason: 'card 6222 0200 0000 0000 000' };
    expect(await of({ agent: number })).to.equal('invalid_request');
  });

  it('collects a batch with a worker of its own', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'recoup-embed-'));
    const path = join(folder, 'due.csv');
    const header =
      'repayment_id,borrower_id,bank_code,account_token,account_last4,currency,amount_due,due_date';
    writeFileSync(path, `${header}\nemb1,B-1,ICBC,tok_ok_emb1,0001,CNY,10.00,2026-12-01\n`);
    const { batch, known } = await recoup.loadBatch(path);
    rmSync(folder, { recursive: true });
    expect(known).to.equal(false);
    await recoup.startWorker();
    await until(
      'the batch is done',
      async () => (await recoup.batch(batch.id)).batch.state === 'done',
      20_000,
    );
    expect((await recoup.batch(batch.id)).progress).to.include({ succeeded: 1 });
    expect(await codeOf(recoup.batch('nothing'))).to.equal('batch_unknown');
  });

  it('hands the host’s log no account token', () => {
    expect(logged.filter((line) => /tok_/.test(line))).to.deep.equal([]);
  });

  it('names every problem of a configuration given as an object', async () => {
    const { env } = surroundings;
    const error = await createRecoup({
      env,
      config: { databasePool: 0, redisUrl: 'http://x', businessZone: 'Nowhere/City' },
    }).catch((problem: unknown) => problem as RecoupError);
    expect(error).to.have.property('code', 'config_invalid');
    const { problems } = (error as RecoupError).details as { problems: { variable: string }[] };
    expect(problems.map(({ variable }) => variable)).to.have.members([
      'RECOUP_DATABASE_POOL',
      'RECOUP_REDIS_URL',
    ]);
  });

  it('has an example that runs', async () => {
    const child = spawn(process.execPath, ['dist/examples/embed.js'], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...surroundings.env },
    });
    const { code, out, err } = await ended(child);
    expect(code, err).to.equal(0);
    expect(out).to.include('1280.50 collected').and.to.include('refused: repayment_settled');
    expect(out).to.include('charge_intended');
  });
});
