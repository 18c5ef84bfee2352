import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Order } from '../../src/engine/order.js';
import { Practice, practiceOrderOn } from '../channels/practice.js';
import { SandboxProcess, until } from './sandbox-process.js';

describe('The book of the sandbox', () => {
  let bookDir: string;
  let sandbox: SandboxProcess | undefined;
  let practice: Practice | undefined;

  beforeEach(() => (bookDir = mkdtempSync(join(tmpdir(), 'recoup-book-'))));
  afterEach(async () => {
    await practice?.shutDown();
    await sandbox?.stop();
    rmSync(bookDir, { recursive: true, force: true });
  });

  it('holds everything that was ever answered, through one SIGKILL after another', async () => {
    const told = new Map<string, string>();
    for (let life = 0; life < 3; life += 1) await chargeUntilKilled(life, told);
    sandbox = await SandboxProcess.start({ bookDir, latencyScale: 0.2 });
    const booked = new Map((await sandbox.book()).map((order) => [order.orderNo, order]));
    for (const [orderNo, kind] of told) {
      if (kind === 'succeeded') expect(booked.get(orderNo)?.captures).to.have.lengthOf(1);
      if (kind === 'pending') expect(booked.get(orderNo), orderNo).to.not.equal(undefined);
    }
    expect([...told.values()].filter((kind) => kind === 'succeeded').length).to.be.above(40);
    // What was accepted and not decided is decided after the restart, once.
    await until('everything is decided', async () =>
      (await sandbox!.book()).every(({ state }) => state !== 'executing'),
    );
    for (const { captures } of await sandbox.book()) expect(captures.length).to.be.at.most(1);
  }).timeout(120_000);

  /** Kills the sandbox in the midst of two dozen charges at a time. */
  async function chargeUntilKilled(life: number, told: Map<string, string>): Promise<void> {
    const killed = await SandboxProcess.start({ bookDir, latencyScale: 0.2 });
    sandbox = killed;
    practice = new Practice(killed.ready.env);
    const before = told.size;
    const state = { killed: false };
    const charging = Array.from({ length: 24 }, async (_, lane) => {
      for (let n = 0; !state.killed; n += 1) {
        const id = ['swiftpay', 'unionlink', 'oldbank'][(lane + n) % 3]!;
        const order = practiceOrderOn(id, `tok_ok_${life}_${lane}_${n}`);
        told.set(order.orderNo, (await practice!.channel(id).charge(order)).kind);
      }
    });
    try {
      await until('some are answered', async () => told.size > before + 100);
      await killed.kill();
    } finally {
      state.killed = true;
      await Promise.all(charging);
      await practice.shutDown();
    }
  }

  it('comes back at the same addresses, with the same keys', async () => {
    sandbox = await SandboxProcess.start({ bookDir });
    const first = sandbox.ready;
    practice = new Practice(first.env);
    const order = practiceOrderOn('swiftpay', 'tok_ok_1');
    const answer = await practice.channel('swiftpay').charge(order);
    await sandbox.kill();
    expect(await practice.channel('swiftpay').charge(order)).to.not.include({ kind: 'succeeded' });
    sandbox = await SandboxProcess.start({ bookDir });
    expect(sandbox.ready.env).to.deep.equal(first.env);
    // The same channel object, the same order: the same result as before the kill.
    await until('it is back', async () => {
      const again = await practice!.channel('swiftpay').charge(order);
      return again.kind === 'succeeded' && expect(again).to.deep.equal(answer);
    });
    expect((await sandbox.order(order.orderNo))?.captures).to.have.lengthOf(1);
  });

  it('loses a torn last line and nothing else', async () => {
    const orders = await chargeSome(5);
    const path = join(bookDir, 'book.jsonl');
    const whole = readFileSync(path, 'utf8');
    for (const torn of [
      '{"seq":99',
      '{"seq":99,"at":1,"channel":"swiftpay","orderNo":"R1","what":"order"}',
      '\u0000\u0000\u0000',
      '',
    ]) {
      writeFileSync(path, whole + torn);
      sandbox = await SandboxProcess.start({ bookDir });
      expect(await sandbox.book()).to.have.lengthOf(orders.length);
      await sandbox.kill();
      expect(readFileSync(path, 'utf8')).to.equal(whole);
    }
  });

  it('that is damaged before its end is not gone on with', async () => {
    await chargeSome(3);
    const path = join(bookDir, 'book.jsonl');
    const lines = readFileSync(path, 'utf8').split('\n');
    lines[1] = lines[1]!.slice(0, 10);
    writeFileSync(path, lines.join('\n'));
    appendFileSync(path, '');
    const failure = await SandboxProcess.start({ bookDir }).catch((error: unknown) => error);
    expect(String(failure)).to.match(/damaged/);
    sandbox = undefined;
  });

  it('has one writer', async () => {
    sandbox = await SandboxProcess.start({ bookDir });
    const failure = await SandboxProcess.start({ bookDir }).catch((error: unknown) => error);
    expect(String(failure)).to.match(/another sandbox has the book/);
  });

  it('counts a capture that the channel doubled as two under one number', async () => {
    sandbox = await SandboxProcess.start({ bookDir });
    practice = new Practice(sandbox.ready.env);
    await sandbox.setFaults([
      { channel: 'swiftpay', operation: 'charge', fault: 'duplicate_capture' },
    ]);
    const order = practiceOrderOn('swiftpay', 'tok_ok_1');
    await practice.channel('swiftpay').charge(order);
    const booked = await sandbox.order(order.orderNo);
    expect(new Set(booked?.captures.map(({ captureId }) => captureId)).size).to.equal(2);
  });

  async function chargeSome(count: number): Promise<Order[]> {
    sandbox = await SandboxProcess.start({ bookDir, latencyScale: 0 });
    practice = new Practice(sandbox.ready.env);
    const orders = Array.from({ length: count }, (_, n) =>
      practiceOrderOn('swiftpay', `tok_ok_${n}`),
    );
    for (const order of orders) await practice.channel('swiftpay').charge(order);
    await practice.shutDown();
    await sandbox.kill();
    return orders;
  }
});
