import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Services } from '../../src/composition/root.js';
import type { ChannelCalls } from '../../src/engine/ports.js';
import { newTaskId, type TaskId } from '../../src/ids.js';
import { dueColumns } from '../../src/intake/due-file.js';
import { selectRows } from '../../src/store/database.js';
import { until } from '../sandbox/sandbox-process.js';
import { startEnvironment, type TestEnvironment } from '../support/environment.js';
import { requestFor } from '../support/requests.js';

describe('a batch', () => {
  let environment: TestEnvironment;
  let services: Services;
  let folder: string;
  let files = 0;

  before(async () => {
    environment = await startEnvironment();
    services = await environment.compose();
    folder = await mkdtemp(join(tmpdir(), 'recoup-batch-'));
  });
  after(async () => {
    await environment.close();
    await rm(folder, { recursive: true });
  });

  const row = (id: string, amount = '100.00', bank = 'ICBC'): string =>
    `${id},bw_${id},${bank},tok_ok_${id},1234,CNY,${amount},2026-11-22`;

  async function file(rows: readonly string[]): Promise<string> {
    files += 1;
    const path = join(folder, `due-${files}.csv`);
    await writeFile(path, `${dueColumns.join(',')}\n${rows.join('\n')}\n`);
    return path;
  }

  const run = async (by: Services, id: TaskId): Promise<void> => {
    by.startPoller();
    by.batchRunner.start();
    await until(
      `the end of batch ${id}`,
      async () => (await by.batches.find(id))?.state === 'done',
      20_000,
    );
  };

  const captures = async (): Promise<number> =>
    (await environment.sandbox.book()).flatMap((order) => order.captures).length;

  const rejected = async (id: TaskId): Promise<string[]> =>
    (await services.batches.rejected(id, 0, 100)).map((one) => `${one.lineNo} ${one.code}`);

  it('collects its rows, reports the bad ones, and runs no row twice', async () => {
    const taken = await environment.repayment();
    const path = await file([
      row('b1_1'),
      row('b1_2'),
      row('b1_1'),
      row('b1_3', 'nonsense'),
      row('b1_4', '100.00', 'NOBANK'),
      row(taken.id, '7.00'),
      row('b1_5'),
    ]);
    const { batch, known } = await services.batchDesk.load(path, 'first');
    expect(known).to.equal(false);
    expect(batch).to.include({ state: 'running', rowsTotal: 7, rowsRejected: 3 });
    const worker = await environment.compose();
    await run(worker, batch.id);
    expect(await rejected(batch.id)).to.deep.equal([
      '4 row_duplicate',
      '5 row_invalid',
      '6 bank_unknown',
      '7 repayment_mismatch',
    ]);
    const progress = await services.batches.progress(batch.id);
    expect(progress).to.include({ pending: 0, started: 3, succeeded: 3, collectedMinor: 30_000n });

    const again = await services.batchDesk.load(path, 'first');
    expect(again).to.include({ known: true });
    expect(again.batch.id, 'the same file is the same batch').to.equal(batch.id);
    const meant = await services.batchDesk.load(path, 'first', 'really');
    await run(worker, meant.batch.id);
    expect(await rejected(meant.batch.id)).to.include.members(['2 repayment_settled']);
    const counted = await selectRows<{ n: number }>(
      services.database,
      `SELECT COUNT(*) AS n FROM deduction WHERE repayment_id IN ('b1_1', 'b1_2', 'b1_5')`,
    );
    expect(Number(counted[0]?.n)).to.equal(3);
    await worker.close();
  });

  it('is the same batch when another program has saved the file: no part is collected twice', async () => {
    const columns = [...dueColumns, 'amount'].join(',');
    const line = `${row('saved_1')},40.00`;
    const quoted = line.replace('bw_saved_1', '"bw_saved_1"');
    const forms = [
      `${columns}\n${line}\n`,
      `${columns}\r\n${line}\r\n`,
      `\ufeff${columns}\n\n${quoted}`,
      `${columns}\r${line}\r`,
    ];
    const ids = new Set<TaskId>();
    for (const form of forms) {
      const path = join(folder, 'saved.csv');
      await writeFile(path, form);
      const { batch } = await services.batchDesk.load(path, 'saved');
      ids.add(batch.id);
    }
    expect([...ids]).to.have.length(1);
    const other = join(folder, 'other.csv');
    await writeFile(other, `${columns}\n${row('saved_1')},41.00\n`);
    const { batch, known } = await services.batchDesk.load(other, 'other');
    expect(known, 'another amount is another file').to.equal(false);
    for (const id of [...ids, batch.id]) await services.batchDesk.pause(id);
  });

  it('goes on with a batch that an earlier release named by the bytes of its file', async () => {
    const path = await file([row('bytes_1')]);
    const digest = createHash('sha256')
      .update(await readFile(path))
      .digest('hex');
    const first = await services.batches.open(newTaskId(), 'due', `file:${digest}`, Date.now());
    expect((await services.batchDesk.load(path, 'due')).batch.id).to.equal(first.id);
    await services.batchDesk.pause(first.id);
  });

  it('is shared by workers, and rows of a dead one are found again, not charged again', async () => {
    const path = await file(Array.from({ length: 120 }, (_, n) => row(`b2_${n}`)));
    const { batch } = await services.batchDesk.load(path, 'second');
    const before = await captures();
    // A worker that claimed rows and started them, and died before it could mark them.
    const items = await services.batches.claim(batch.id, {
      by: 'dead',
      nowMs: Date.now(),
      untilMs: Date.now() + 1_500,
      limit: 40,
    });
    for (const { repayment } of items.slice(0, 10)) {
      const { finished } = await services.desk.start({
        source: 'batch',
        repaymentId: repayment.id,
        amountMinor: null,
        requestKey: `batch:${batch.id}:${repayment.id}`,
        requestDigest: '0'.repeat(64),
        batchId: batch.id,
        agent: null,
      });
      await finished;
    }
    const workers = [await environment.compose(), await environment.compose()];
    await Promise.all(workers.map((worker) => run(worker, batch.id)));
    const progress = await services.batches.progress(batch.id);
    expect(progress).to.include({ started: 120, succeeded: 120, rejected: 0 });
    expect(await captures()).to.equal(before + 120);
    await Promise.all(workers.map((worker) => worker.close()));
  });

  it('starts no further row while it is paused, and goes on when resumed', async () => {
    const path = await file(Array.from({ length: 30 }, (_, n) => row(`b3_${n}`)));
    const { batch } = await services.batchDesk.load(path, 'third');
    expect((await services.batchDesk.pause(batch.id)).state).to.equal('paused');
    const worker = await environment.compose();
    worker.startPoller();
    worker.batchRunner.start();
    const other = await file([row('b3_other')]);
    const beside = await services.batchDesk.load(other, 'beside');
    await run(worker, beside.batch.id);
    expect((await services.batches.progress(batch.id)).pending, 'nothing was started').to.equal(30);
    await services.batchDesk.resume(batch.id);
    await run(worker, batch.id);
    expect(await services.batches.progress(batch.id)).to.include({ succeeded: 30 });
    const error: unknown = await services.batchDesk.pause(batch.id).catch((e: unknown) => e);
    expect(error).to.have.property('code', 'batch_state');
    await worker.close();
  });

  it('keeps a row that no channel can take for now, instead of giving it up', async () => {
    for (const id of ['swiftpay', 'unionlink', 'oldbank']) {
      await services.channelStore.setPaused(id as never, true, Date.now());
    }
    const path = await file([row('b4_1')]);
    const { batch } = await services.batchDesk.load(path, 'fourth');
    const worker = await environment.compose();
    expect(await worker.batchRunner.runOnce(batch)).to.equal(1);
    expect(await services.batches.progress(batch.id)).to.include({ pending: 1, rejected: 0 });
    for (const id of ['swiftpay', 'unionlink', 'oldbank']) {
      await services.channelStore.setPaused(id as never, false, Date.now());
    }
    // Where it looked while they were paused it would believe so for seconds.
    await services.directory.refresh();
    await worker.close();
  });

  it('takes the repayments due on a date, once', async () => {
    const dueDate = '2031-05-05';
    await environment.repayment({ dueDate });
    await environment.repayment({ dueDate });
    const { batch } = await services.batchDesk.loadDue(dueDate);
    expect(batch.rowsTotal).to.equal(2);
    expect((await services.batchDesk.loadDue(dueDate)).batch.id).to.equal(batch.id);
    const worker = await environment.compose();
    await run(worker, batch.id);
    expect(await services.batches.progress(batch.id)).to.include({ succeeded: 2 });
    await worker.close();
  });

  it('believes only whoever has the row claimed', async () => {
    const path = await file([row('b6_1')]);
    const { batch } = await services.batchDesk.load(path, 'sixth');
    const claim = { nowMs: Date.now(), untilMs: Date.now() - 1, limit: 10 };
    await services.batches.claim(batch.id, { ...claim, by: 'slow' });
    await services.batches.claim(batch.id, { ...claim, by: 'quick' });
    await services.batches.record(batch.id, 'quick', [{ lineNo: 2, deductionId: 'd1' }]);
    await services.batches.record(batch.id, 'slow', [{ lineNo: 2, code: 'busy', detail: '' }]);
    expect(await services.batches.progress(batch.id)).to.include({ started: 1, rejected: 0 });
  });

  it('reckons "all that is outstanding" anew when part of it was paid meanwhile', async () => {
    const repayment = await environment.repayment();
    const read = await services.repayments.find(repayment.id);
    const part = await services.desk.start(
      requestFor(repayment, { amountMinor: 20_000n as never }),
    );
    await part.finished;
    const rest = await services.desk.start(requestFor(repayment), read ?? undefined);
    await rest.finished;
    expect((await services.deductions.find(rest.deductionId))?.amountMinor).to.equal(100_000n);
  });

  it('adds what was registered meanwhile when loading a date is begun again', async () => {
    const dueDate = '2031-07-07';
    await environment.repayment({ dueDate });
    const batch = await services.batches.open(newTaskId(), 'd', 'due:x', Date.now());
    await services.batches.addDue(batch.id, dueDate);
    await environment.repayment({ dueDate });
    await services.batches.addDue(batch.id, dueDate);
    await services.batches.loaded(batch.id, Date.now());
    expect((await services.batches.find(batch.id))?.rowsTotal).to.equal(2);
    await services.batches.move(batch.id, 'running', 'paused', Date.now());
  });

  it('closes at once though rows wait for room', async () => {
    const path = await file(Array.from({ length: 60 }, (_, n) => row(`b7_${n}`)));
    const { batch } = await services.batchDesk.load(path, 'seventh');
    let letGo!: () => void;
    const held = new Promise<void>((resolve) => (letGo = resolve));
    let begun = 0;
    const charge: ChannelCalls['charge'] = async () => {
      begun += 1;
      await held;
      return { kind: 'unknown', why: 'timeout', detail: '' };
    };
    const worker = await environment.compose({
      config: { batchInFlight: 2 },
      wrappers: {
        channels: (inner) => ({
          get: (id) => {
            const channel = inner.get(id);
            return channel && { ...channel, charge };
          },
        }),
      },
    });
    worker.batchRunner.start();
    await until('there is no more room', async () => begun === 2);
    const closed = worker.close();
    letGo();
    await closed;
    expect(begun).to.equal(2);
    expect((await services.batches.progress(batch.id)).pending).to.equal(58);
  });

  it('meets a live deduction of another caller with a conflict that names it', async () => {
    const account = { token: 'tok_ok_live_1', bankCode: 'PSBC', last4: '1111' };
    await environment.sandbox.setFaults([
      { channel: 'unionlink', operation: 'query', fault: 'http_5xx_before' },
    ]);
    const repayment = await environment.repayment({ account });
    const { deductionId } = await services.desk.start(requestFor(repayment));
    const rival: unknown = await services.desk
      .start(requestFor(repayment, { source: 'agent', agent: { name: 'Li', reason: 'called' } }))
      .catch((e: unknown) => e);
    expect(rival).to.have.property('code', 'live_deduction_exists');
    expect(rival).to.have.nested.property('details.deduction_id', deductionId);
    await environment.sandbox.clearFaults();
  });
});
