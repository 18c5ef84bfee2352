import { readFileSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { loadProfiles } from '../../src/channels/load-profiles.js';
import { RecoupError } from '../../src/errors.js';
import { channelId } from '../../src/ids.js';
import { selectRows } from '../../src/store/database.js';
import { startEnvironment, type TestEnvironment } from '../support/environment.js';
import { Day } from './day.js';
import { noonMs, someRow } from './statements.js';

const tomorrow = '2026-11-23';
const swiftpay = channelId('swiftpay');
const lateMs = Date.parse('2026-11-22T23:59:30+08:00');

describe('reconciliation', () => {
  let environment: TestEnvironment;
  let day: Day;

  before(async () => {
    environment = await startEnvironment();
    const profiles = loadProfiles(readFileSync('examples/channels.demo.yaml', 'utf8'));
    day = new Day(
      environment,
      profiles.map(({ profile }) => profile),
    );
  });
  afterEach(async () => await day.clear(environment.owner));
  after(async () => {
    await day.close();
    await environment.close();
  });

  const count = async (table: string, where = 'TRUE'): Promise<number> => {
    const [row] = await selectRows<{ n: string }>(
      environment.owner,
      `SELECT COUNT(*) AS n FROM ${table} WHERE ${where}`,
    );
    return Number(row?.n);
  };

  const refusal = async (work: Promise<unknown>): Promise<string> => {
    try {
      await work;
    } catch (error) {
      if (error instanceof RecoupError) return error.code;
      throw error;
    }
    return 'not refused';
  };

  it('finds nothing where both books say the same, and its totals add up', async () => {
    const orders = [await day.order(), await day.order({ amountMinor: 999n })];
    const dead = await day.order({ status: 'declined' });
    const { run, report, breaksOpen } = await day.reconcile([
      ...orders.map((one) => day.row(one)),
      day.row(dead, { status: 'failed' }),
    ]);
    expect(run.state).to.equal('complete');
    expect(breaksOpen).to.equal(0);
    expect(report.ourMinor.captured).to.equal(129_049n);
    expect(report.theirMinor.captured).to.equal(129_049n);
    expect(report.unexplainedMinor).to.equal(0n);
    expect(report.lines.map(({ kind, theirRows, ourRows }) => [kind, theirRows, ourRows])).to.eql([
      ['matched', 2, 2],
      ['failed', 1, 0],
    ]);
  });

  it('tells every kind of difference by its name', async () => {
    const flipped = await day.order();
    const twice = await day.order();
    const wrongAmount = await day.order();
    const wrongFee = await day.order();
    await day.order(); // in no statement
    const elsewhere = await day.order({ channel: 'oldbank' });
    const good = await day.order();
    const { run, report } = await day.reconcile([
      day.row(good),
      day.row(flipped, { status: 'failed' }),
      day.row(twice),
      day.row(twice, { channelRef: 'SW-again' }),
      day.row(wrongAmount, { amountMinor: 128_051n }),
      day.row(wrongFee, { feeMinor: 1n }),
      someRow({ orderNo: 'NEVEROURS', amountMinor: 5n, feeMinor: 1n }),
      day.row(elsewhere),
    ]);
    const open = await day.open();
    expect(
      open.map(({ kind, orderNo, amountMinor }) => [kind, orderNo, amountMinor]),
    ).to.have.deep.members([
      ['status_flip', flipped.orderNo, 128_050n],
      ['duplicate_capture', twice.orderNo, 128_050n],
      ['amount_mismatch', wrongAmount.orderNo, 1n],
      ['fee_mismatch', wrongFee.orderNo, 256n],
      ['only_theirs', 'NEVEROURS', 5n],
      ['only_theirs', elsewhere.orderNo, 128_050n],
      ['only_ours', open.find(({ kind }) => kind === 'only_ours')?.orderNo, 128_050n],
    ]);
    expect(run.state).to.equal('complete');
    const side = (pick: (line: (typeof report.lines)[number]) => bigint): bigint =>
      report.lines.reduce((all, line) => all + pick(line), 0n);
    expect(side((line) => line.theirMinor)).to.equal(report.theirMinor.captured);
    expect(side((line) => line.ourMinor)).to.equal(report.ourMinor.captured);
    expect(side((line) => line.theirFeeMinor)).to.equal(report.theirMinor.fees);
  });

  it('tells nothing of a statement whose place another has taken meanwhile', async () => {
    const order = await day.order({ status: 'unknown' });
    const withdrawn = await day.file([day.row(order)]);
    const record = day.breaks.record.bind(day.breaks);
    day.breaks.record = async (...args) => {
      await record(...args);
      day.breaks.record = record;
      const corrected = day.reconcile([day.row(order, { status: 'failed' })], { supersede: true });
      expect(await refusal(corrected)).to.equal('reconciliation_busy');
    };
    expect(await refusal(day.reconcile(withdrawn))).to.equal('reconciliation_busy');
    expect(day.submitted).to.eql([]);
    await day.reconcile(null);
    expect(await day.kinds()).to.eql([]);
  });

  it('counts as a second capture neither another amount nor a line that is repeated', async () => {
    const counted: (number | undefined)[] = [];
    day.submit = async (_task, { captures }) => counted.push(captures) > 0;
    const other = await day.order();
    const repeated = await day.order();
    const twice = await day.order();
    await day.reconcile([
      ...[other, repeated, twice].map((one) => day.row(one, { channelRef: 'SW-first' })),
      day.row(other, { amountMinor: 1n, channelRef: 'SW-other' }),
      day.row(repeated, { channelRef: 'SW-first' }),
      day.row(twice, { channelRef: 'SW-again' }),
    ]);
    expect(day.submitted).to.eql([twice.orderNo]);
    expect(counted).to.eql([2]);
    expect(await day.kinds()).to.eql(Array(3).fill('duplicate_capture'));
  });

  it('holds an order near midnight, and matches it in the next statement', async () => {
    const late = await day.order({ createdAtMs: lateMs, endedAtMs: lateMs + 5_000 });
    const noon = await day.order();
    const first = await day.reconcile([]);
    expect(await day.kinds()).to.eql(['only_ours']);
    expect(first.report.lines.find(({ kind }) => kind === 'held')?.ourRows).to.equal(1);
    const second = await day.reconcile([day.row(late, { completedAtMs: lateMs + 60_000 })], {
      date: tomorrow,
    });
    expect(second.report.lines).to.deep.include({
      kind: 'cross_day',
      type: 'capture',
      theirRows: 1,
      theirMinor: 128_050n,
      theirFeeMinor: 257n,
      ourRows: 0,
      ourMinor: 0n,
    });
    expect((await day.open()).map(({ orderNo }) => orderNo)).to.eql([noon.orderNo]);
    expect(await count('reconciliation_held')).to.equal(0);
  });

  it('makes a break of what was held in vain', async () => {
    const late = await day.order({ createdAtMs: lateMs, endedAtMs: lateMs + 5_000 });
    await day.reconcile([]);
    expect(await day.kinds()).to.eql([]);
    day.nowMs += 3 * 86_400_000;
    await day.reconcile([], { date: tomorrow });
    const [one] = await day.open();
    expect([one?.kind, one?.orderNo, one?.date]).to.eql(['only_ours', late.orderNo, '2026-11-22']);
    expect(await count('reconciliation_held')).to.equal(0);
  });

  it('holds refunds against refunds, and never against captures', async () => {
    const capture = await day.order();
    const refund = await day.order({ operation: 'refund', amountMinor: 500n });
    const missing = await day.order({ operation: 'refund', amountMinor: 7n });
    const unheard = await day.order({ operation: 'refund', amountMinor: 9n, status: 'unknown' });
    const back = { type: 'refund', feeMinor: 0n } as const;
    const { report, run } = await day.reconcile([
      day.row(capture),
      day.row(refund, back),
      day.row(missing),
      day.row(unheard, back),
      day.row(capture, back),
    ]);
    expect(run.state).to.equal('complete');
    expect(report.theirMinor.refunded).to.equal(509n + 128_050n);
    expect(report.ourMinor).to.eql({ captured: 128_050n, refunded: 507n, paidOut: 0n });
    expect(day.submitted).to.eql([unheard.orderNo]);
    const found = (await day.open()).map(({ kind, type, orderNo }) => [kind, type, orderNo]);
    expect(found).to.have.deep.members([
      ['only_theirs', 'capture', missing.orderNo],
      ['only_ours', 'refund', missing.orderNo],
      ['only_theirs', 'refund', unheard.orderNo],
      ['only_theirs', 'refund', capture.orderNo],
    ]);
  });

  it('holds payouts against payouts, with a fee of their own', async () => {
    const capture = await day.order();
    const paid = await day.order({ operation: 'payout', amountMinor: 500n });
    const dear = await day.order({ operation: 'payout', amountMinor: 600n });
    const missing = await day.order({ operation: 'payout', amountMinor: 7n });
    const unheard = await day.order({ operation: 'payout', amountMinor: 9n, status: 'unknown' });
    const twice = await day.order({ operation: 'payout', amountMinor: 11n });
    const out = { type: 'payout', feeMinor: 100n } as const;
    const evidence = new Set<number | undefined>();
    day.submit = async (_task, { captures }) => {
      evidence.add(captures);
      return false;
    };
    const { report, run } = await day.reconcile([
      day.row(capture),
      day.row(paid, out),
      day.row(dear, { ...out, feeMinor: 101n }),
      day.row(missing),
      day.row(unheard, out),
      day.row(unheard, { ...out, channelRef: 'SW-again' }),
      day.row(twice, out),
      day.row(twice, { ...out, channelRef: 'SW-twice' }),
    ]);
    expect(run.state).to.equal('complete');
    expect(report.theirMinor).to.include({ captured: 128_057n, paidOut: 1_140n });
    expect(report.ourMinor).to.include({ captured: 128_050n, paidOut: 1_118n });
    // It is told that it was paid, and not that a capture was made twice.
    expect([new Set(day.submitted), evidence]).to.eql([new Set([unheard.orderNo]), new Set([1])]);
    const found = (await day.open()).map(({ kind, type, orderNo }) => [kind, type, orderNo]);
    expect(found).to.have.deep.members([
      ['fee_mismatch', 'payout', dear.orderNo],
      ['only_theirs', 'capture', missing.orderNo],
      ['only_ours', 'payout', missing.orderNo],
      ['only_theirs', 'payout', unheard.orderNo],
      ['duplicate_capture', 'payout', unheard.orderNo],
      ['duplicate_capture', 'payout', twice.orderNo],
    ]);
  });

  it('sees a second capture that stands in the statement of another day', async () => {
    const order = await day.order();
    await day.reconcile([day.row(order)]);
    await day.reconcile([day.row(order, { channelRef: 'SW-again' })], { date: tomorrow });
    expect((await day.open()).map(({ kind, date }) => [kind, date])).to.eql([
      ['duplicate_capture', tomorrow],
    ]);
  });

  it('does not take a failure before a success for a change of mind, but one after it', async () => {
    const retried = await day.order();
    const reversed = await day.order();
    await day.reconcile([
      day.row(retried, { status: 'failed', completedAtMs: noonMs - 5_000 }),
      day.row(retried),
      day.row(reversed),
      day.row(reversed, { status: 'failed', completedAtMs: noonMs + 5_000 }),
    ]);
    expect((await day.open()).map(({ kind, orderNo }) => [kind, orderNo])).to.eql([
      ['status_flip', reversed.orderNo],
    ]);
  });

  it('tells the engine what the statement proves, and matches again', async () => {
    const unknown = await day.order({ status: 'unknown' });
    const dead = await day.order({ status: 'not_executed' });
    const otherAmount = await day.order({ status: 'unknown', amountMinor: 5n });
    day.submit = async (_task, { orderNo, read }) => {
      expect(read({ orderNo, amountMinor: 128_050n, currency: 'CNY' } as never)).to.include({
        kind: 'succeeded',
      });
      expect(read({ orderNo, amountMinor: 1n, currency: 'CNY' } as never).kind).to.equal(
        'mismatch',
      );
      await environment.owner.raw(
        `UPDATE attempt SET status = 'succeeded', channel_ref = 'x', proof = NULL, ended_at = NOW(3)
         WHERE order_no = ?`,
        [orderNo],
      );
      return true;
    };
    const { report, breaksOpen } = await day.reconcile([
      day.row(unknown),
      day.row(dead),
      day.row(otherAmount, { amountMinor: 6n }),
    ]);
    expect(day.submitted).to.have.members([unknown.orderNo, dead.orderNo]);
    expect(report.mended).to.equal(2);
    expect(breaksOpen).to.equal(1);
    expect(await day.kinds()).to.eql(['amount_mismatch']);
    const closed = await day.breaks.list({ open: false, limit: 10 });
    expect(closed.map(({ closedBy }) => closedBy)).to.eql(['reconciliation', 'reconciliation']);
  });

  it('leaves open what the engine could not take now, and closes it the next time', async () => {
    const order = await day.order({ status: 'unknown' });
    day.submit = async () => false;
    const first = await day.reconcile([day.row(order)]);
    expect([first.report.mended, first.breaksOpen]).to.eql([0, 1]);
    await environment.owner.raw(
      `UPDATE attempt SET status = 'succeeded', channel_ref = 'x', ended_at = NOW(3)`,
    );
    expect((await day.reconcile(null)).breaksOpen).to.equal(0);
  });

  it('does the same thing twice without a trace', async () => {
    const order = await day.order();
    const rows = [day.row(order, { amountMinor: 5n }), someRow({ orderNo: 'X' })];
    const path = await day.file(rows);
    await day.reconcile(path);
    const before = await day.open();
    await day.reconcile(path);
    await day.reconcile(null);
    expect(await day.open()).to.eql(before);
    expect(await count('channel_statement')).to.equal(1);
    expect(await count('statement_row')).to.equal(2);
  });

  it('leaves alone what a person has resolved, until it changes', async () => {
    const order = await day.order();
    await day.reconcile([day.row(order, { amountMinor: 5n })]);
    const [one] = await day.open();
    expect(
      await day.breaks.resolve(one?.id ?? '', 'anna', 'their slip; credited', noonMs),
    ).to.equal(true);
    expect(await day.breaks.resolve(one?.id ?? '', 'anna', 'again', noonMs)).to.equal(false);
    await day.reconcile(null);
    expect(await day.open()).to.eql([]);
    await day.reconcile([day.row(order, { amountMinor: 6n })], { supersede: true });
    expect((await day.open()).map(({ theirsMinor }) => theirsMinor)).to.eql([6n]);
  });

  describe('of a file', () => {
    it('that is broken changes nothing, wherever it breaks', async () => {
      const order = await day.order();
      const path = await day.file([
        day.row(order),
        ...Array.from({ length: 2_100 }, () => someRow()),
      ]);
      const sound = readFileSync(path);
      for (const bytes of [
        sound.subarray(0, -70),
        sound.subarray(0, sound.length / 2),
        Buffer.from(sound.toString().replace('1280.50', '1280.51')),
      ]) {
        writeFileSync(path, bytes);
        expect(await refusal(day.reconcile(path))).to.match(/^statement_/);
        expect(await count('channel_statement')).to.equal(0);
        expect(await count('statement_row')).to.equal(0);
        expect(await count('reconciliation')).to.equal(0);
      }
    });

    it('that another one came before is refused, unless it is said to take its place', async () => {
      const order = await day.order();
      await day.reconcile([]);
      const path = await day.file([day.row(order)]);
      expect(await refusal(day.reconcile(path))).to.equal('statement_differs');
      expect((await day.reconcile(null)).breaksOpen).to.equal(1);
      expect((await day.reconcile(path, { supersede: true })).breaksOpen).to.equal(0);
      expect(await count('channel_statement', `state = 'superseded'`)).to.equal(1);
    });

    it('that was superseded is heard no more', async () => {
      const [both, gone] = [await day.order(), await day.order()];
      await day.reconcile([day.row(both), day.row(gone)]);
      expect((await day.reconcile([day.row(both)], { supersede: true })).breaksOpen).to.equal(1);
      expect((await day.open()).map(({ kind, orderNo }) => [kind, orderNo])).to.eql([
        ['only_ours', gone.orderNo],
      ]);
    });

    it('of which a row was lost on the way does not count', async () => {
      const about = { channelId: swiftpay, date: '2026-11-22', format: 'csv', by: 'x' } as const;
      const id = await day.statements.begin({ ...about, digest: '0'.repeat(64) }, noonMs);
      await day.statements.addRows(id, [{ ...someRow(), lineNo: 3 }], noonMs);
      const totals = {
        rows: 1,
        capturedMinor: 128_050n,
        refundedMinor: 0n,
        paidOutMinor: 0n,
        feeMinor: 257n,
      };
      const less = { ...totals, rows: 2 };
      expect(await day.statements.makeValid(id, less, false, noonMs)).to.equal(false);
      expect(await day.statements.makeValid(id, totals, false, noonMs)).to.equal(true);
    });

    it('loaded twice at once is there once', async () => {
      const order = await day.order();
      const path = await day.file([
        day.row(order),
        ...Array.from({ length: 300 }, () => someRow()),
      ]);
      const outcomes = await Promise.allSettled([1, 2, 3].map(() => day.reconcile(path)));
      const codes = outcomes.map((one) =>
        one.status === 'fulfilled' ? 'done' : (one.reason as RecoupError).code,
      );
      expect(codes).to.include('done');
      expect(codes.every((one) => one === 'done' || one === 'reconciliation_busy')).to.equal(true);
      expect(await count('channel_statement')).to.equal(1);
      expect(await count('statement_row')).to.equal(301);
    });

    it('whose import was killed counts for nothing, and goes with the next', async () => {
      const order = await day.order();
      const one = {
        channelId: 'swiftpay',
        date: '2026-11-22',
        format: 'csv',
        by: 'killed',
      } as never;
      const left = await day.statements.begin(
        { ...(one as object), digest: '0'.repeat(64) } as never,
        noonMs,
      );
      await day.statements.addRows(left, [{ ...day.row(order), lineNo: 3 }], noonMs);
      expect(await refusal(day.reconcile(null))).to.equal('statement_missing');
      day.nowMs += 2 * 86_400_000;
      await day.reconcile([], { date: tomorrow });
      expect(await count('statement_row')).to.equal(0);
      expect(await count('channel_statement')).to.equal(1);
    });

    it('that was swept while its import slept is not made to count', async () => {
      const one = {
        channelId: 'swiftpay',
        date: '2026-11-22',
        format: 'csv',
        by: 'asleep',
      } as never;
      const left = await day.statements.begin(
        { ...(one as object), digest: '0'.repeat(64) } as never,
        noonMs,
      );
      const totals = {
        rows: 1,
        capturedMinor: 128_050n,
        refundedMinor: 0n,
        paidOutMinor: 0n,
        feeMinor: 257n,
      };
      await day.statements.sweep('swiftpay' as never, noonMs + 1);
      await day.statements.addRows(left, [{ ...someRow(), lineNo: 3 }], noonMs);
      const made = await day.statements.makeValid(left, totals, false, noonMs).catch(() => false);
      expect(made).to.equal(false);
      expect(await refusal(day.reconcile(null))).to.equal('statement_missing');
    });
  });

  it('lets one run at a time work on a channel, and another take over from a dead one', async () => {
    await day.reconcile([]);
    const { id } = (await day.statements.valid('swiftpay' as never, '2026-11-22'))!;
    const dead = {
      id: 'dead',
      channelId: 'swiftpay' as never,
      date: '2026-11-22',
      statementId: id,
      by: 'x',
    };
    await day.breaks.begin(dead, day.nowMs);
    expect(await refusal(day.reconcile(null))).to.equal('reconciliation_busy');
    day.nowMs += 600_000;
    expect((await day.reconcile(null)).run.state).to.equal('complete');
    const late = day.breaks.record(
      'dead',
      { channelId: 'swiftpay', date: '2026-11-22' } as never,
      [
        {
          kind: 'only_ours',
          type: 'capture',
          orderNo: 'X',
          occurrence: 0,
          oursMinor: 1n,
          theirsMinor: null,
          amountMinor: 1n,
          evidence: '',
        },
      ],
      day.nowMs,
    );
    expect(await refusal(late)).to.equal('reconciliation_busy');
    expect(await day.open()).to.eql([]);
  });

  it('calls no run complete whose totals do not add up', async () => {
    const order = await day.order();
    await day.reconcile([day.row(order)]);
    await environment.owner.raw('UPDATE channel_statement SET captured_minor = captured_minor + 1');
    const { run, report } = await day.reconcile(null);
    expect(run.state).to.equal('unexplained');
    expect(report.unexplainedMinor).to.equal(1n);
  });

  it('writes our own book so that it reconciles with itself', async () => {
    await day.order();
    await day.order({ amountMinor: 1n });
    await day.order({ status: 'unknown' });
    const chunks: Buffer[] = [];
    for await (const chunk of day.reconciler.book('swiftpay' as never, '2026-11-22')) {
      chunks.push(chunk as Buffer);
    }
    const path = await day.file([]);
    writeFileSync(path, Buffer.concat(chunks));
    const { report, breaksOpen } = await day.reconcile(path);
    expect(breaksOpen).to.equal(0);
    expect(report.lines.map(({ kind, theirRows }) => [kind, theirRows])).to.eql([['matched', 2]]);
  });
});
