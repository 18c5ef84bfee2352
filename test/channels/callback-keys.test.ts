import { createCipheriv, createHmac, randomBytes } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import type { CallbackReading, RawCallback } from '../../src/channels/channel.js';
import type { ChannelProfile } from '../../src/channels/profile.js';
import { systemClock } from '../../src/clock.js';
import type { Order } from '../../src/engine/order.js';
import { SandboxProcess, until } from '../sandbox/sandbox-process.js';
import { Practice, practiceOrder } from './practice.js';

const callers = ['swiftpay', 'unionlink', 'voucherpay'] as const;
type Caller = (typeof callers)[number];

describe('Whom a callback is believed', () => {
  const received: RawCallback[] = [];
  const server: Server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      received.push({ headers: request.headers, body: Buffer.concat(chunks) });
      response.end('success');
    });
  });
  let sandbox: SandboxProcess;
  let practice: Practice;
  const others: Practice[] = [];

  before(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    sandbox = await SandboxProcess.start({ latencyScale: 0 });
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    for (const id of callers) await sandbox.setCallbackUrl(url, id);
    practice = new Practice(sandbox.ready.env);
  });
  after(async () => {
    await Promise.all([practice, ...others].map((one) => one.shutDown()));
    await sandbox.stop();
    server.close();
    server.closeAllConnections();
  });
  afterEach(async () => {
    for (const id of callers) await sandbox.setKeySerial(id, 'A');
  });

  async function callback(id: Caller): Promise<{ order: Order; raw: RawCallback }> {
    received.length = 0;
    const order = practiceOrder(id);
    await practice.channel(id).charge(order);
    return { order, raw: await until('the callback', async () => received[0]) };
  }
  const parse = (id: Caller, raw: RawCallback): CallbackReading =>
    practice.channel(id).parseCallback(raw);

  function changed(change: (profile: ChannelProfile) => ChannelProfile, aheadMs = 0): Practice {
    const clock = { ...systemClock, nowMs: () => Date.now() + aheadMs };
    const one = new Practice(sandbox.ready.env, change, { clock });
    others.push(one);
    return one;
  }
  const at = (aheadMs: number): Practice => changed((profile) => profile, aheadMs);

  for (const id of callers) {
    it(`${id}: signed by a pinned key, in time, with a nonce`, async () => {
      const { order, raw } = await callback(id);
      const reading = parse(id, raw);
      expect(reading).to.include({ kind: 'genuine', orderNo: order.orderNo });
      if (reading.kind !== 'genuine') return;
      expect(reading.against(order)).to.include({ kind: 'succeeded' });
      expect(reading.nonce).to.match(/^[0-9a-f]{24}$/);
      expect(reading.digest).to.match(/^[0-9a-f]{64}$/);
    });

    it(`${id}: copies have one digest, and what is said anew has another`, async () => {
      const digest = (raw: RawCallback): string | null => {
        const reading = parse(id, raw);
        return reading.kind === 'genuine' ? reading.digest : null;
      };
      const first = (await callback(id)).raw;
      const second = (await callback(id)).raw;
      expect(digest(first))
        .to.be.a('string')
        .and.equal(digest({ ...first, body: Buffer.from(first.body) }));
      expect(digest(second)).not.to.equal(digest(first));
    });

    it(`${id}: not what is older or further ahead than the window`, async () => {
      const { raw } = await callback(id);
      expect(at(290_000).channel(id).parseCallback(raw).kind).to.equal('genuine');
      expect(at(-290_000).channel(id).parseCallback(raw).kind).to.equal('genuine');
      expect(at(310_000).channel(id).parseCallback(raw).kind).to.equal('stale');
      expect(at(-310_000).channel(id).parseCallback(raw).kind).to.equal('stale');
    });
  }

  for (const id of ['unionlink', 'voucherpay'] as const) {
    it(`${id}: two keys while it changes them, and only those that are pinned`, async () => {
      const onlyA = changed((profile) => {
        const [first] = profile.secrets.channel_keys ?? [];
        return {
          ...profile,
          secrets: { ...profile.secrets, ...(first && { channel_keys: [first] }) },
        };
      }).channel(id);
      const before = (await callback(id)).raw;
      await sandbox.setKeySerial(id, 'B');
      const { order, raw } = await callback(id);
      expect(parse(id, before).kind).to.equal('genuine');
      expect(parse(id, raw).kind).to.equal('genuine');
      expect((await practice.channel(id).query(order)).kind).to.equal('succeeded');
      expect(onlyA.parseCallback(before).kind).to.equal('genuine');
      expect(onlyA.parseCallback(raw)).to.include({ kind: 'forged' });
      expect(await onlyA.query(order)).to.include({ kind: 'unknown', why: 'bad_signature' });
    });

    it(`${id}: not under another key's serial, nor without one`, async () => {
      const { raw } = await callback(id);
      const under = (serial: string | null): RawCallback => {
        const { 'x-key-serial': _serial, ...headers } = raw.headers;
        const named = serial === null ? headers : { ...headers, 'x-key-serial': serial };
        const text = raw.body.toString('latin1');
        const form = text.replace(/&?certId=A/, serial === null ? '' : `&certId=${serial}`);
        return { headers: named, body: Buffer.from(form, 'latin1') };
      };
      for (const serial of ['B', 'C', '', '__proto__', null]) {
        expect(parse(id, under(serial)), String(serial)).to.include({ kind: 'forged' });
      }
    });
  }

  it('answers are held to the same window as callbacks', async () => {
    for (const id of ['swiftpay', 'unionlink'] as const) {
      const { order } = await callback(id);
      const late = await at(310_000).channel(id).query(order);
      expect(late).to.include({ kind: 'unknown', why: 'bad_signature' });
      expect((await at(290_000).channel(id).query(order)).kind).to.equal('succeeded');
    }
  });

  describe('of a channel that shares a secret', () => {
    const sign = (body: Buffer, stamp: string): string =>
      createHmac('sha256', sandbox.ready.env['RECOUP_SANDBOX_VOUCHERPAY_HMAC_KEY']!)
        .update(`${stamp}.`)
        .update(body)
        .digest('hex');
    const message = (body: Buffer): RawCallback => {
      const [timestamp, nonce] = [String(Date.now()), randomBytes(12).toString('hex')];
      const signature = sign(body, `${timestamp}.${nonce}`);
      const names = { 'x-key-serial': 'A', 'x-timestamp': timestamp, 'x-nonce': nonce };
      return { headers: { ...names, 'x-signature': signature }, body };
    };
    const plain = (orderNo: string): Buffer =>
      Buffer.from(JSON.stringify({ code: 'OK', order_no: orderNo, merchant_id: 'M-RECOUP-01' }));
    const sealedWith = (key: Buffer, content: Buffer): Buffer => {
      const nonce = 'twelve-bytes';
      const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from('order'));
      const parts = [cipher.update(content), cipher.final(), cipher.getAuthTag()];
      const ciphertext = Buffer.concat(parts).toString('base64');
      const resource = { algorithm: 'none', nonce, associated_data: 'order', ciphertext };
      return Buffer.from(JSON.stringify({ resource }));
    };
    const sealKey = () =>
      Buffer.from(sandbox.ready.env['RECOUP_SANDBOX_VOUCHERPAY_CALLBACK_KEY']!, 'hex');

    it('opens what was sealed with the key it should be, whatever algorithm it names', () => {
      const raw = message(sealedWith(sealKey(), plain('R1')));
      expect(parse('voucherpay', raw)).to.include({ kind: 'genuine', orderNo: 'R1' });
    });

    it('reads nothing that is not sealed, or sealed with another key, or changed since', () => {
      const sealed = sealedWith(sealKey(), plain('R1')).toString();
      for (const body of [
        plain('R1'),
        sealedWith(randomBytes(32), plain('R1')),
        Buffer.from(sealed.replace('"order"', '"other"')),
        Buffer.from(sealed.replace('twelve-bytes', 'twelve-bytez')),
        Buffer.from(sealed.replace('twelve-bytes', 'short')),
        Buffer.from(sealed.replace(/("ciphertext":")..../, '$1AAAA')),
        Buffer.from('{"resource":{"nonce":"twelve-bytes","ciphertext":"AAAA"}}'),
        Buffer.from('{"resource":"x"}'),
        sealedWith(sealKey(), Buffer.from('not JSON')),
      ]) {
        expect(parse('voucherpay', message(body))).to.include({ kind: 'malformed' });
      }
    });

    it('believes no nonce, time or serial that the signature does not cover', () => {
      const raw = message(sealedWith(sealKey(), plain('R1')));
      const with_ = (headers: Record<string, string | undefined>): RawCallback => ({
        body: raw.body,
        headers: { ...raw.headers, ...headers },
      });
      const otherTime = String(Number(raw.headers['x-timestamp']) + 1);
      for (const headers of [
        { 'x-nonce': 'another-nonce' },
        { 'x-nonce': undefined },
        { 'x-nonce': '' },
        { 'x-timestamp': otherTime },
        { 'x-timestamp': 'now' },
        { 'x-timestamp': undefined },
        { 'x-key-serial': 'B' },
        { 'x-signature': 'none' },
        { 'x-signature': undefined },
      ]) {
        expect(parse('voucherpay', with_(headers)).kind, JSON.stringify(headers)).to.equal(
          'forged',
        );
      }
    });

    it('does not take our own request, or an answer, for a callback', async () => {
      // Signed with the shared secret, but without the nonce that only callbacks have.
      const body = sealedWith(sealKey(), plain('R1'));
      const timestamp = String(Date.now());
      const headers = {
        'x-key-serial': 'A',
        'x-timestamp': timestamp,
        'x-nonce': 'put-there-by-somebody',
        'x-signature': sign(body, timestamp),
      };
      expect(parse('voucherpay', { headers, body }).kind).to.equal('forged');
    });
  });
});
