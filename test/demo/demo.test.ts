import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { Redis } from 'ioredis';
import type { FlowSummary } from '../../src/demo/flows/report.js';
import type { Summary } from '../../src/demo/report.js';

const generator = 'scripts/make-due-repayments.mjs';

describe('The demo', () => {
  let folder = '';
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'recoup-demo-test-'));
    const redis = new Redis(process.env['RECOUP_REDIS_URL'] ?? '');
    await redis.flushdb();
    redis.disconnect();
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('ships with the file that its script makes, byte for byte', () => {
    const made = spawnSync(process.execPath, [generator], { maxBuffer: 1 << 26 });
    expect(made.stdout.equals(readFileSync('examples/due-repayments.csv'))).to.equal(true);
  });

  it('collects a batch through a killed worker and an emptied Redis, and its books agree', async function () {
    this.timeout(150_000);
    const file = join(folder, 'due.csv');
    writeFileSync(file, spawnSync(process.execPath, [generator, '240']).stdout);
    const { code, out, err } = await demo('--json', '--file', file);
    const summary = JSON.parse(out.trim().split('\n').at(-1) ?? '') as Summary;
    expect(code, err).to.equal(0);
    const { repayments, succeeded, failed, needs_review, in_flight } = summary;
    expect(repayments).to.be.within(238, 240);
    expect(succeeded + failed + needs_review + in_flight).to.equal(repayments);
    expect(succeeded).to.be.greaterThan(150);
    expect(repayments + summary.rejected).to.equal(240 + 16);
    expect(summary).to.include({
      in_flight: 0,
      double_charged: 0,
      lost: 0,
      worker_kills: 1,
      redis_flushes: 1,
      books_agree: true,
    });
    expect(summary.resumed).to.be.at.least(1);
    expect(summary.resumed_mid_call).to.be.at.least(1);
    expect(summary.seconds).to.be.greaterThan(0);
    const { amounts_minor: amounts } = summary;
    expect(amounts.collected).to.equal(amounts.captured_at_channels);
    expect(amounts.collected + amounts.declined + amounts.needs_review).to.equal(amounts.due);
  });
});

/** How much of it: enough for every trouble of a card system to come up. */
const each = 40;

describe('The demo of all flows', () => {
  before(async () => {
    const redis = new Redis(process.env['RECOUP_REDIS_URL'] ?? '');
    await redis.flushdb();
    redis.disconnect();
  });

  it('moves all money once, through a killed process and an emptied Redis, by the books of all parties', async function () {
    this.timeout(200_000);
    const { code, out, err } = await demo('--flows', '--json', '--each', String(each));
    const summary = JSON.parse(out.trim().split('\n').at(-1) ?? '') as FlowSummary;
    expect(code, err).to.equal(0);
    for (const [flow, counts] of Object.entries(summary.flows)) {
      expect(counts, flow).to.include({
        in_flight: 0,
        double_paid: 0,
        lost: 0,
        double_credited: 0,
        wrongly_refunded: 0,
      });
      const { started, succeeded, failed, needs_review, refused } = counts;
      expect(succeeded + failed + needs_review, flow).to.equal(started);
      expect(started + refused, flow).to.be.within(each - 2, each);
      expect(succeeded, flow).to.be.above(each / 3);
    }
    expect(summary.flows.withdrawals.given_back, 'given back to members').to.be.above(0);
    expect(summary.flows.top_ups.given_back, 'refunded to customers').to.be.above(0);
    expect(summary).to.include({ worker_kills: 1, redis_flushes: 1, books_agree: true });
    expect(summary.resumed_mid_call).to.be.at.least(1);
  });
});

async function demo(...args: string[]): Promise<{ code: number | null; out: string; err: string }> {
  const child = spawn(process.execPath, ['dist/src/demo/main.js', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let out = '';
  let err = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, out, err };
}
