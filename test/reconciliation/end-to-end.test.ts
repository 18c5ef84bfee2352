/** The sandbox's own statements against what the engine came to think, through the command and the API. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { TaskId } from '../../src/ids.js';
import { amountMinor } from '../../src/money.js';
import { recoupHere } from '../cli/recoup.js';
import { Api, type Json } from '../http/api.js';
import { until } from '../sandbox/sandbox-process.js';
import { requestFor } from '../support/requests.js';
import { todayFor } from './day.js';
import { aMember, aWithdrawal } from '../withdrawals/practice.js';

const accounts = {
  swiftpay: { token: 'tok_ok_rec_1', bankCode: 'ICBC', last4: '0001' },
  unionlink: { token: 'tok_ok_rec_2', bankCode: 'CEB', last4: '0002' },
  oldbank: { token: 'tok_ok_rec_3', bankCode: 'CMB', last4: '0003' },
} as const;
type Channel = keyof typeof accounts;
const channels = Object.keys(accounts) as Channel[];

describe("a channel's own statement", () => {
  let api: Api;
  let folder = '';
  let today: string;

  before(async function () {
    this.timeout(240_000);
    today = await todayFor(150_000);
    folder = mkdtempSync(join(tmpdir(), 'recoup-reconcile-'));
    // One bank a channel, so that a test knows where an order goes.
    const adjust = (document: Record<string, unknown>): void => {
      const id = document['id'] as Channel;
      const bank = accounts[id].bankCode;
      document['banks'] = { [bank]: (document['banks'] as Json)[bank] };
    };
    api = await Api.start({ environment: { adjust } });
  });
  after(async () => {
    await api.close();
    rmSync(folder, { recursive: true, force: true });
  });
  afterEach(async () => api.environment.sandbox.clearFaults());

  const statement = async (channel: Channel): Promise<Buffer> => {
    const response = await api.environment.sandbox.raw(
      'GET',
      `/_statement?channel=${channel}&date=${today}`,
    );
    expect(response.status).to.equal(200);
    return Buffer.from(await response.arrayBuffer());
  };

  const collect = async (channel: Channel): Promise<TaskId> => {
    const repayment = await api.environment.repayment({ account: accounts[channel] });
    const { deductionId, finished } = await api.services.desk.start(requestFor(repayment));
    await finished;
    return deductionId;
  };

  const statusOf = async (id: TaskId) => (await api.services.deductions.find(id))?.status;

  const run = async (...args: string[]) => {
    const { code, json } = await recoupHere(api.environment.env, ...args, '--json');
    return { code, json: json as unknown as Json };
  };

  for (const channel of channels) {
    it(`of ${channel} proves what we had not heard, and the day then agrees`, async () => {
      await api.environment.sandbox.setFaults([
        { channel, operation: 'charge', fault: 'timeout_after', times: 1 },
        { channel, operation: 'query', fault: 'timeout_before' },
      ]);
      const unheard = await collect(channel);
      await api.environment.sandbox.setFaults([]);
      // The asynchronous channel decides a moment later, and our first answer is "accepted".
      const others = channel === 'unionlink' ? [] : [await collect(channel)];
      expect(await statusOf(unheard)).to.equal('processing');
      const path = join(folder, channel);
      writeFileSync(path, await statement(channel));
      const { code, json } = await run('reconcile', channel, today, '--file', path);
      expect(json).to.deep.include({ state: 'complete', breaks_open: 0, breaks: [] });
      expect((json['report'] as Json)['mended']).to.equal(1);
      expect(code).to.equal(0);
      for (const id of [unheard, ...others]) expect(await statusOf(id)).to.equal('succeeded');
      const log = await api.services.deductions.log(unheard);
      expect(log.map(({ entry }) => entry.kind)).to.include('settled');
      const sources = log.flatMap(({ entry }) => (entry.kind === 'replied' ? [entry.source] : []));
      expect(sources.at(-1)).to.match(new RegExp(`^${channel} ${today}, line \\d+$`));

      const again = await run('reconcile', channel, today, '--file', path);
      expect([again.code, (again.json['report'] as Json)['mended']]).to.eql([0, 0]);
    });
  }

  const bring = async (channel: Channel): Promise<Json> => {
    const path = join(folder, `${channel}-${performance.now()}`);
    writeFileSync(path, await statement(channel));
    return (await run('reconcile', channel, today, '--file', path, '--supersede')).json;
  };

  it('that contradicts a decline makes it a late success, which is a case', async () => {
    await api.environment.sandbox.setFaults([
      {
        channel: 'oldbank',
        operation: 'charge',
        fault: 'contradiction',
        params: { outcome: 'insufficient_funds' },
        times: 1,
      },
    ]);
    const id = await collect('oldbank');
    expect(await statusOf(id)).to.equal('failed');
    const json = await bring('oldbank');
    expect(json).to.include({ state: 'complete', breaks_open: 0 });
    expect((json['report'] as Json)['mended']).to.equal(1);
    const cases = await api.services.deductions.cases({ open: true, deductionId: id, limit: 10 });
    expect(cases.map(({ reason }) => reason)).to.eql(['late_success']);
  });

  it('has our refunds', async () => {
    const deductionId = await collect('swiftpay');
    const { finished } = await api.services.refundDesk.start({
      taskId: deductionId,
      attemptNo: 1,
      amountMinor: amountMinor(500),
      reason: 'collected too much',
      requestedBy: 'anna',
      approvedBy: 'bela',
      requestKey: `${deductionId}:refund`,
    });
    await finished;
    const json = await bring('swiftpay');
    expect(json).to.include({ state: 'complete', breaks_open: 0 });
    const lines = (json['report'] as Json)['lines'] as Json[];
    expect(lines.find(({ type }) => type === 'refund')).to.include({
      kind: 'matched',
      their_rows: 1,
      their_minor: 500,
      our_minor: 500,
    });
  });

  it('counts a capture that the channel made twice: it is owed back, and a case', async () => {
    await api.environment.sandbox.setFaults([
      { channel: 'swiftpay', operation: 'charge', fault: 'duplicate_capture', times: 1 },
    ]);
    const twice = await collect('swiftpay');
    const path = join(folder, 'twice');
    writeFileSync(path, await statement('swiftpay'));
    const other = await run('reconcile', 'swiftpay', today, '--file', path);
    expect([other.code, (other.json['error'] as Json)['code']]).to.eql([2, 'statement_differs']);
    const { code, json } = await run('reconcile', 'swiftpay', today, '--file', path, '--supersede');
    expect([code, json['breaks_open']]).to.eql([0, 0]);
    const found = (await api.services.breaks.list({ limit: 50 })).find(
      ({ kind }) => kind === 'duplicate_capture',
    );
    expect(found?.resolution).to.include('it is owed back');
    expect(await api.services.refunds.capture(twice, 1)).to.include({ captures: 2 });
    const cases = await api.services.deductions.cases({ deductionId: twice, limit: 5 });
    expect(cases.map(({ reason }) => reason)).to.eql(['captured_twice']);
  });

  const payOut = async (bankCode: string): Promise<TaskId> => {
    const memberId = await aMember(api.services, 1_000);
    const account = { token: 'tok_ok_paid', bankCode, last4: '4321' };
    const asked = aWithdrawal(memberId, { account, amountMinor: amountMinor(300) });
    const { id: withdrawalId, finished } = await api.services.flows.withdrawalDesk.start(asked);
    await finished;
    return withdrawalId;
  };
  const paidStatus = async (id: TaskId) => (await api.services.flows.withdrawals.find(id))?.status;

  it('has our payouts, and proves one that we had not heard of', async () => {
    await api.environment.sandbox.setFaults([
      { channel: 'swiftpay', operation: 'payout', fault: 'timeout_after', times: 1 },
      { channel: 'swiftpay', operation: 'query', fault: 'timeout_before' },
    ]);
    const unheard = await payOut('BCM');
    await api.environment.sandbox.setFaults([]);
    expect(await paidStatus(unheard)).to.equal('processing');
    expect(await paidStatus(await payOut('BCM'))).to.equal('succeeded');
    const json = await bring('swiftpay');
    expect(json).to.include({ state: 'complete', breaks_open: 0 });
    expect(await paidStatus(unheard)).to.equal('succeeded');
    const lines = (json['report'] as Json)['lines'] as Json[];
    expect(lines.find(({ type }) => type === 'payout')).to.include({
      kind: 'matched',
      their_rows: 2,
      their_minor: 600,
      their_fee_minor: 200,
      our_minor: 600,
    });
  });

  it('tells of a payout that the channel made twice', async () => {
    await api.environment.sandbox.setFaults([
      { channel: 'unionlink', operation: 'payout', fault: 'duplicate_capture', times: 1 },
    ]);
    const twice = await payOut('PSBC');
    await until('it is paid', async () => {
      await api.services.resume(twice);
      return (await paidStatus(twice)) === 'succeeded';
    });
    expect(await bring('unionlink')).to.include({ state: 'complete', breaks_open: 1 });
    const found = await api.services.breaks.list({ open: true, limit: 50 });
    expect(found.map(({ kind, type, amountMinor: minor }) => [kind, type, minor])).to.eql([
      ['duplicate_capture', 'payout', 300n],
    ]);
  });

  it('gives our book out in the same form, which agrees with itself', async () => {
    for (const channel of channels) {
      const out = join(folder, `book-${channel}`);
      expect((await run('book', channel, today, '--out', out)).code).to.equal(0);
      const { code, json } = await run('reconcile', channel, today, '--file', out, '--supersede');
      expect([channel, code, json['breaks_open']]).to.eql([channel, 0, 0]);
    }
    expect((await run('book', 'swiftpay', today)).code).to.equal(2);
    expect((await run('book', 'nowhere', today, '--out', join(folder, 'x'))).code).to.equal(2);
    expect(readFileSync(join(folder, 'book-unionlink')).subarray(0, 6)).to.eql(
      Buffer.from('b6d4d5cbb5a5', 'hex'),
    );
  });

  describe('over HTTP', () => {
    const post = (query: string, body?: Buffer, type = 'application/octet-stream') =>
      api.call('POST', `/v1/reconciliations?${query}`, {
        as: 'operator',
        ...(body === undefined ? {} : { body, headers: { 'content-type': type } }),
      });

    it('is taken, reconciled, and read again', async () => {
      await collect('oldbank');
      const query = `channel_id=oldbank&date=${today}&supersede=true`;
      const { status, body } = await post(query, await statement('oldbank'));
      expect(status).to.equal(200);
      expect(body).to.include({
        state: 'complete',
        breaks_open: 0,
        asked_by: 'operator key (key_operator)',
      });
      const read = await api.call('GET', `/v1/reconciliations/${String(body['id'])}`, {
        as: 'operator',
      });
      expect(read.body).to.deep.equal(body);
      const list = await api.call('GET', `/v1/reconciliations?channel_id=oldbank`, {
        as: 'operator',
      });
      expect((list.body['reconciliations'] as Json[])[0]).to.deep.equal(body);
      const anew = await post(`channel_id=oldbank&date=${today}`);
      expect(anew.body['report']).to.deep.equal(body['report']);
    });

    it('is refused in a coded way, and then nothing has changed', async () => {
      const runs = async () => (await api.services.breaks.runs({ limit: 500 })).length;
      const before = await runs();
      const good = await statement('oldbank');
      const day = `date=${today}&supersede=true`;
      const refusals: [string, Buffer | undefined, number, string][] = [
        [`channel_id=oldbank&${day}`, good.subarray(0, 40), 422, 'statement_truncated'],
        ['channel_id=oldbank&date=2026-01-01', good, 422, 'statement_head'],
        [`channel_id=nowhere&${day}`, good, 404, 'channel_unknown'],
        ['channel_id=oldbank&date=2026-13-01', good, 422, 'invalid_request'],
        ['channel_id=oldbank&date=2020-01-01', undefined, 404, 'statement_missing'],
      ];
      for (const [query, body, status, code] of refusals) {
        const answer = await post(query, body);
        expect([answer.status, answer.body['code']], query).to.eql([status, code]);
      }
      const wrongType = await post(`channel_id=oldbank&${day}`, good, 'text/plain');
      expect(wrongType.status).to.equal(415);
      expect(
        (await api.call('GET', '/v1/reconciliations/none', { as: 'operator' })).status,
      ).to.equal(404);
      expect(await runs()).to.equal(before);
    });

    it('lists the breaks, page by page', async () => {
      await post(`channel_id=swiftpay&date=${today}&supersede=true`, await statement('swiftpay'));
      const page = await api.call('GET', '/v1/breaks?limit=1', { as: 'operator' });
      expect((page.body['breaks'] as Json[])[0]).to.include({ channel_id: 'swiftpay' });
      const closed = await api.call('GET', '/v1/breaks?open=false&channel_id=swiftpay', {
        as: 'operator',
      });
      expect((closed.body['breaks'] as Json[]).map(({ kind }) => kind)).to.include(
        'duplicate_capture',
      );
    });
  });
});
