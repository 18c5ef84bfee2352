import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import * as fc from 'fast-check';
import type { RawCallback } from '../../src/channels/channel.js';
import type { FaultParams } from '../../src/sandbox/faults.js';
import { SandboxProcess, until } from '../sandbox/sandbox-process.js';
import { Practice, practiceOrder, practiceOrderOn } from './practice.js';

/** Where the channel calls: keeps every callback and answers as told. */
class Counter {
  readonly received: RawCallback[] = [];
  answer: { status: number; body: string } = { status: 200, body: 'success' };
  readonly #server: Server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      this.received.push({ headers: request.headers, body: Buffer.concat(chunks) });
      response.writeHead(this.answer.status).end(this.answer.body);
    });
  });

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/callbacks/unionlink`;
  }

  about(orderNo: string): RawCallback[] {
    return this.received.filter(({ body }) => body.includes(`orderNo=${orderNo}`));
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

describe('Callbacks', () => {
  const counter = new Counter();
  let sandbox: SandboxProcess;
  let practice: Practice;

  before(async () => {
    const callbackUrl = await counter.listen();
    sandbox = await SandboxProcess.start({ latencyScale: 0.01, callbackUrl });
    practice = new Practice(sandbox.ready.env);
  });

  after(async () => {
    await practice.shutDown();
    await sandbox.stop();
    counter.close();
  });

  afterEach(async () => {
    counter.answer = { status: 200, body: 'success' };
    await sandbox.clearFaults();
  });

  async function callbackFor(
    token: string,
    fault?: 'bad_signature' | 'mismatch' | 'contradiction' | 'callback_twice' | 'callback_early',
    params: FaultParams = {},
  ) {
    const order = practiceOrderOn('unionlink', token);
    if (fault !== undefined) {
      const { orderNo } = order;
      await sandbox.setFaults([
        { channel: 'unionlink', operation: 'callback', fault, orderNo, params },
      ]);
    }
    const channel = practice.channel('unionlink');
    await channel.charge(order);
    const [raw] = await until('the callback comes', async () => {
      const some = counter.about(order.orderNo);
      return some.length > 0 && some;
    });
    return { order, raw: raw!, reading: channel.parseCallback(raw!) };
  }

  it('are genuine when the channel signed them, and read against the order', async () => {
    const { order, reading } = await callbackFor('tok_ok_1');
    expect(reading).to.include({ kind: 'genuine', orderNo: order.orderNo });
    if (reading.kind !== 'genuine') return;
    expect(reading.against(order)).to.include({ kind: 'succeeded' });
    expect(reading.against({ ...order, amountMinor: 1n as never })).to.include({
      kind: 'mismatch',
      field: 'amount',
    });
    expect(reading.acknowledgement.body).to.equal('success');
  });

  it('bring declines too', async () => {
    const { order, reading } = await callbackFor('tok_insufficient_1');
    const answer = reading.kind === 'genuine' && reading.against(order);
    expect(answer).to.include({ kind: 'declined', code: 'insufficient_funds', scope: 'final' });
  });

  it('are forged when somebody else signed them, or a byte was changed', async () => {
    const { raw, reading } = await callbackFor('tok_ok_2', 'bad_signature');
    expect(reading.kind).to.equal('forged');
    const genuine = await callbackFor('tok_ok_3');
    const parse = practice.channel('unionlink').parseCallback;
    const text = genuine.raw.body.toString();
    for (const changed of [
      text.replace('txnAmt=128050', 'txnAmt=1280500'),
      text.replace(/respCode=\d+/, 'respCode=5101'),
      `${text}&extra=1`,
      text.replace(/&sign=.*/, ''),
      text.replace(/sign=[^&]*/, 'sign='),
      `${text}&sign=AAAA`,
    ]) {
      expect(changed).not.to.equal(text);
      expect(parse({ ...raw, body: Buffer.from(changed) }).kind, changed).to.equal('forged');
    }
  });

  it('that are well signed about another amount are a mismatch', async () => {
    const { order, reading } = await callbackFor('tok_ok_4', 'mismatch', { field: 'amount' });
    expect(reading.kind === 'genuine' && reading.against(order).kind).to.equal('mismatch');
  });

  it('are repeated until they are acknowledged in the words of the channel', async () => {
    counter.answer = { status: 200, body: 'ok' };
    const { order } = await callbackFor('tok_ok_5');
    await until('it comes again', async () => counter.about(order.orderNo).length >= 2);
    expect((await sandbox.order(order.orderNo))?.callbackAcknowledged).to.equal(false);
    counter.answer = { status: 200, body: 'success' };
    await until('it is content', async () => {
      return (await sandbox.order(order.orderNo))?.callbackAcknowledged === true;
    });
    const times = counter.about(order.orderNo).length;
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(counter.about(order.orderNo).length).to.equal(times);
  });

  it('come twice, or early, when told so', async () => {
    const { order, reading } = await callbackFor('tok_ok_6', 'callback_twice');
    expect(reading.kind).to.equal('genuine');
    await until('the second comes', async () => counter.about(order.orderNo).length >= 2);
    expect(counter.about(order.orderNo)).to.have.length(2);
    const early = await callbackFor('tok_ok_7', 'callback_early');
    expect(early.reading.kind).to.equal('genuine');
  });

  it('may contradict what happened', async () => {
    const { order, reading } = await callbackFor('tok_ok_8', 'contradiction', {
      outcome: 'risk_refused',
    });
    expect(reading.kind === 'genuine' && reading.against(order).kind).to.equal('declined');
    expect((await sandbox.order(order.orderNo))?.state).to.equal('captured');
  });

  it('are never believed and never throw, whatever bytes they are', async () => {
    const { raw } = await callbackFor('tok_ok_9');
    const genuine = raw.body;
    const noise = fc.oneof(
      fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
      fc.string({ unit: 'binary', maxLength: 200 }).map((text) => Buffer.from(text)),
      fc.webQueryParameters().map((text) => Buffer.from(text)),
      fc.json().map((text) => Buffer.from(text)),
      fc
        .constantFrom(
          '',
          '&',
          '=',
          'sign=',
          'sign=%',
          '%E0%A4%A=1&sign=AA==',
          '__proto__=1&sign=AA',
          '{"__proto__":{"code":"OK"}}',
        )
        .map((text) => Buffer.from(text)),
      // One byte of what is signed in a genuine one, changed.
      fc
        .tuple(fc.nat(genuine.indexOf('&sign=') - 1), fc.integer({ min: 1, max: 255 }))
        .map(([at, change]) => {
          const body = Buffer.from(genuine);
          body[at] = (body[at] ?? 0) ^ change;
          return body;
        }),
    );
    const header = fc.option(fc.oneof(fc.string(), fc.array(fc.string())), { nil: undefined });
    const headers = fc.record({
      'x-signature': header,
      'x-timestamp': header,
      sign: header,
      'req-time': header,
    });
    fc.assert(
      fc.property(noise, headers, (body, some) => {
        fc.pre(!body.equals(genuine));
        for (const id of ['unionlink', 'swiftpay', 'oldbank']) {
          const { kind } = practice.channel(id).parseCallback({ headers: some, body });
          expect(kind).to.be.oneOf(['forged', 'stale', 'malformed']);
        }
      }),
      { numRuns: 400 },
    );
  });

  it('that are too long, or repeat a field, are refused unread', async () => {
    const { parseCallback } = practice.channel('unionlink');
    const long = Buffer.alloc(1024 * 1024, 'a=1&');
    expect(parseCallback({ headers: {}, body: long }).kind).to.equal('malformed');
    const order = practiceOrder('unionlink');
    expect(order.orderNo).to.match(/^R/);
    const repeated = Buffer.from('orderNo=R1&orderNo=R2&sign=AAAA');
    expect(parseCallback({ headers: {}, body: repeated }).kind).to.equal('forged');
  });
});
