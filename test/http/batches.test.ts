import { expect } from 'chai';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { taskId } from '../../src/ids.js';
import { until } from '../sandbox/sandbox-process.js';
import { Api, type Answer, type Json } from './api.js';

const header =
  'repayment_id,borrower_id,bank_code,account_token,account_last4,currency,amount_due,due_date';
let files = 0;

/** Good rows of a file that no other test sends. */
function rows(count: number, dueDate = '2026-11-22'): string[] {
  files += 1;
  return Array.from(
    { length: count },
    (_, n) => `f${files}_${n},bw_${n},ICBC,tok_ok_f${files}_${n},4321,CNY,1280.50,${dueDate}`,
  );
}

const csv = (...lines: string[]): string => `${lines.join('\n')}\n`;

describe('POST /v1/batches', () => {
  let api: Api;

  // A folder for temporary files that nobody else leaves anything in.
  const usualTmp = process.env['TMPDIR'];
  let ownTmp: string;

  before(async () => {
    ownTmp = await mkdtemp(join(tmpdir(), 'recoup-test-'));
    process.env['TMPDIR'] = ownTmp;
    api = await Api.start({ config: { uploadLimitBytes: 200_000, batchInFlight: 4 } });
    api.services.batchRunner.start();
  });
  after(async () => {
    if (usualTmp === undefined) delete process.env['TMPDIR'];
    else process.env['TMPDIR'] = usualTmp;
    await rm(ownTmp, { recursive: true });
    await api.close();
  });

  const upload = async (body: string | Buffer, query = '', as: 'batch' | 'operator' = 'batch') =>
    await api.call('POST', `/v1/batches${query}`, {
      as,
      headers: { 'content-type': 'text/csv' },
      body,
    });

  const batchOf = async (answer: Answer): Promise<Json> =>
    (await api.call('GET', answer.headers.get('location') ?? '', { as: 'batch' })).body;

  const done = async (answer: Answer): Promise<Json> =>
    await until(
      'the end of the batch',
      async () => {
        const batch = await batchOf(answer);
        return batch['state'] === 'done' && batch;
      },
      30_000,
    );

  const rejected = async (answer: Answer): Promise<Json[]> => {
    const path = `${answer.headers.get('location') ?? ''}/rejected`;
    return (await api.call('GET', path, { as: 'batch' })).body['rejected'] as Json[];
  };

  it('loads a file, sets it running and reports how far it is', async () => {
    const answer = await upload(csv(header, ...rows(12)), '?name=november');
    expect(answer.status).to.equal(202);
    expect(answer.body).to.include({
      name: 'november',
      state: 'running',
      rows_total: 12,
      rows_rejected: 0,
    });
    expect(answer.body).not.to.have.property('notes');
    const batch = await done(answer);
    const progress = batch['progress'] as Json;
    expect(progress).to.include({ pending: 0, rejected: 0, processing: 0, needs_review: 0 });
    expect(Number(progress['succeeded']) + Number(progress['failed'])).to.equal(12);
    expect(progress['collected_minor']).to.equal(Number(progress['succeeded']) * 128_050);
    const listed = await api.call('GET', `/v1/deductions?batch_id=${String(batch['id'])}`, {
      as: 'batch',
    });
    expect(listed.body['deductions']).to.have.length(12);
  });

  it('finds the batch when the same file comes again, and charges nobody twice', async () => {
    const file = csv(header, ...rows(5));
    const first = await upload(file);
    await done(first);
    const before = await api.counts();
    const again = await upload(file);
    expect(again.status).to.equal(200);
    expect(again.body['id']).to.equal(first.body['id']);
    expect(again.headers.get('location')).to.equal(first.headers.get('location'));
    expect(await api.counts()).to.deep.equal(before);
  });

  it('loads the same file once more only under a name of its own', async () => {
    const file = csv(header, ...rows(2));
    const first = await upload(file);
    await done(first);
    const meant = await upload(file, '?again=second-try');
    expect(meant.status).to.equal(202);
    expect(meant.body['id']).not.to.equal(first.body['id']);
    // What was collected is not collected again.
    const batch = await done(meant);
    expect(batch['progress']).to.include({ collected_minor: 0 });
  });

  it('reports bad rows by line, and goes on with the rest', async () => {
    const [one = '', two = '', three = ''] = rows(3);
    const answer = await upload(
      csv(
        header,
        one,
        one,
        two.replace('ICBC', 'icbc'),
        two.replace('1280.50', '0'),
        two.replace(/tok_ok_[^,]*/, '6222021234567890123'),
        'too,few',
        three,
      ),
    );
    expect(answer.status).to.equal(202);
    expect(answer.body).to.include({ rows_total: 7, rows_rejected: 5 });
    const bad = await rejected(answer);
    expect(bad.map(({ line_no, code }) => [line_no, code])).to.deep.equal([
      [3, 'row_duplicate'],
      [4, 'row_invalid'],
      [5, 'amount_not_positive'],
      [6, 'row_invalid'],
      [7, 'csv_malformed'],
    ]);
    expect(JSON.stringify(bad)).not.to.include('6222021234567890123');
    expect((await done(answer))['progress']).to.include({ started: 2, rejected: 5 });
  });

  it('pages through the rows that were refused', async () => {
    const answer = await upload(csv(header, ...rows(1), 'a', 'b', 'c', 'd', 'e'));
    const lines: unknown[] = [];
    let next: string | null = `${answer.headers.get('location') ?? ''}/rejected?limit=2`;
    while (next !== null) {
      const { body }: Answer = await api.call('GET', next, { as: 'batch' });
      lines.push(...(body['rejected'] as Json[]).map(({ line_no }) => line_no));
      next = body['next'] as string | null;
    }
    expect(lines).to.deep.equal([3, 4, 5, 6, 7]);
    await done(answer);
  });

  it('reads over a byte order mark, and says so', async () => {
    const answer = await upload(csv(`\ufeff${header}`, ...rows(1)));
    expect(answer.status).to.equal(202);
    expect(answer.body['notes']).to.deep.equal(['csv_bom']);
    expect((await done(answer))['progress']).to.include({ started: 1, rejected: 0 });
  });

  it('refuses rows in GBK by line', async () => {
    const [good = '', other = ''] = rows(2);
    const [before = '', after = ''] = other.split('bw_1');
    const gbk = Buffer.from([0xd5, 0xc5, 0xc8, 0xfd]);
    const file = Buffer.concat([
      Buffer.from(csv(header, good) + before),
      gbk,
      Buffer.from(`${after}\n`),
    ]);
    const answer = await upload(file);
    expect(answer.body).to.include({ rows_total: 2, rows_rejected: 1 });
    expect((await rejected(answer))[0]).to.include({ line_no: 3, code: 'csv_not_utf8' });
    await done(answer);
  });

  for (const [name, body, code] of [
    ['wrong headers', csv('id,amount', 'a,1'), 'csv_headers'],
    ['a header too few', csv(header.replace(',due_date', ''), ...rows(1)), 'csv_headers'],
    ['no header at all', csv(...rows(2)), 'csv_headers'],
    ['nothing', '', 'csv_headers'],
    ['a header alone', csv(header), 'csv_empty'],
    ['more than the limit', csv(header, ...rows(4_000)), 'body_too_large'],
  ] as const) {
    it(`refuses a file with ${name}: ${code}`, async () => {
      const before = await api.counts();
      const answer = await upload(body).catch(() => null);
      // A client that still sends may lose the answer to one that is too large.
      if (answer !== null || code !== 'body_too_large') {
        expect(answer?.body).to.include({ code });
      }
      expect(await api.counts()).to.deep.equal(before);
      expect(await leftovers()).to.deep.equal([]);
    });
  }

  it('stops a body that grows beyond the limit without having said its length', async () => {
    const before = await api.counts();
    const { status, closed } = await endless(api);
    expect([413, null]).to.include(status);
    expect(closed).to.equal(true);
    expect(await api.counts()).to.deep.equal(before);
    expect(await leftovers()).to.deep.equal([]);
  });

  it('loads nothing when the file is cut off, and the whole file afterwards', async () => {
    const file = csv(header, ...rows(3));
    const before = await api.counts();
    await new Promise<void>((resolve, reject) => {
      const asking = request(`${api.base}/v1/batches`, {
        method: 'POST',
        headers: {
          authorization: 'Bearer secret-batch',
          'content-type': 'text/csv',
          'content-length': String(file.length),
        },
      });
      asking.on('error', () => resolve());
      asking.write(file.slice(0, 150));
      const begun = until('the file is coming', async () => await leftovers());
      void begun.then(() => asking.destroy(), reject);
    });
    await until('the temporary file is gone', async () => (await leftovers()).length === 0);
    expect(await api.counts()).to.deep.equal(before);
    expect((await upload(file)).status).to.equal(202);
  });

  it('collects what is due on a business date: one batch a date', async () => {
    for (let n = 0; n < 3; n += 1) await api.environment.repayment({ dueDate: '2027-01-15' });
    await api.environment.repayment({ dueDate: '2027-01-16' });
    const body = { business_date: '2027-01-15' };
    const answer = await api.call('POST', '/v1/batches', { as: 'operator', body });
    expect(answer.status).to.equal(202);
    expect(answer.body).to.include({ rows_total: 3, name: 'due 2027-01-15' });
    const again = await api.call('POST', '/v1/batches', { as: 'operator', body });
    expect([again.status, again.body['id']]).to.deep.equal([200, answer.body['id']]);
    await done(answer);
  });

  it('pauses and goes on', async () => {
    const answer = await upload(csv(header, ...rows(120)));
    const id = String(answer.body['id']);
    const move = (verb: string) =>
      api.call('POST', `/v1/batches/${id}/${verb}`, { as: 'operator' });
    const paused = await move('pause');
    expect([paused.status, paused.body['state']]).to.deep.equal([200, 'paused']);
    const settled = await until('the rows under way have ended', async () => {
      const claimed = await api.rows(
        `SELECT line_no FROM batch_item
         WHERE batch_id = ? AND state = 'pending' AND claimed_until > UTC_TIMESTAMP(3)`,
        [id],
      );
      const { progress } = await batchOf(answer);
      return claimed.length === 0 && (progress as Json)['processing'] === 0 && (progress as Json);
    });
    expect(settled['started']).to.be.below(120);
    // Whoever still believes that it is running finds nothing to start.
    const believed = (await api.services.batches.find(taskId(id)))!;
    expect(await api.services.batchRunner.runOnce(believed)).to.equal(0);
    expect((await batchOf(answer))['progress']).to.deep.equal(settled);
    expect((await move('pause')).body).to.include({ state: 'paused' });
    const resumed = await move('resume');
    expect(resumed.body).to.include({ state: 'running' });
    const batch = await done(answer);
    expect(batch['progress']).to.include({ pending: 0, rejected: 0, processing: 0 });
    const late = await move('pause');
    expect(late.body).to.include({ code: 'batch_state', state: 'done', status: 409 });
    const audited = await api.rows('SELECT action FROM audit WHERE subject = ? ORDER BY id', [id]);
    expect(audited.map(({ action }) => action).slice(0, 2)).to.deep.equal([
      'batch_pause',
      'batch_pause',
    ]);
  });
});

/** What uploads have left behind in the folder for temporary files. */
const leftovers = async (): Promise<string[]> =>
  (await readdir(tmpdir())).filter((name) => name.startsWith('recoup-upload-'));

/** Sends until it is stopped. */
async function endless(api: Api): Promise<{ status: number | null; closed: boolean }> {
  return await new Promise((resolve) => {
    let status: number | null = null;
    const asking = request(`${api.base}/v1/batches`, {
      method: 'POST',
      headers: { authorization: 'Bearer secret-batch', 'content-type': 'text/csv' },
    });
    asking.on('response', (response) => {
      status = response.statusCode ?? null;
      response.resume();
    });
    asking.on('error', () => undefined);
    asking.on('close', () => resolve({ status, closed: true }));
    asking.write(`${header}\n`);
    const more = (): void => {
      if (asking.destroyed || asking.writableEnded) return;
      asking.write('x'.repeat(60_000), () => setImmediate(more));
    };
    more();
  });
}
