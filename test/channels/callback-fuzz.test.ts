import {
  createCipheriv,
  createHmac,
  createPublicKey,
  generateKeyPairSync,
  sign,
  type KeyObject,
} from 'node:crypto';
import { expect } from 'chai';
import * as fc from 'fast-check';
import type { CallbackReading, RawCallback } from '../../src/channels/channel.js';
import { Practice, practiceOrder } from './practice.js';

/** Inputs of each kind; RECOUP_TEST_FUZZ=1000000 for a long night. */
const runs = Number(process.env['RECOUP_TEST_FUZZ'] ?? 1_000);

const pem = (key: KeyObject, type: 'pkcs8' | 'spki'): string =>
  Buffer.from(key.export({ type, format: 'pem' } as never)).toString('base64');

describe('What nobody can make a callback parser do', function () {
  this.timeout(Math.max(60_000, runs * 30));
  const ours = generateKeyPairSync('rsa', { modulusLength: 1_024 }).privateKey;
  const theirs = generateKeyPairSync('rsa', { modulusLength: 1_024 }).privateKey;
  const url = 'http://127.0.0.1:1';
  const sealKey = Buffer.alloc(32, 7);
  const practice = new Practice({
    RECOUP_SANDBOX_SWIFTPAY_URL: url,
    RECOUP_SANDBOX_SWIFTPAY_HMAC_KEY: 'key',
    RECOUP_SANDBOX_OLDBANK_URL: url,
    RECOUP_SANDBOX_OLDBANK_HMAC_KEY: 'key',
    RECOUP_SANDBOX_VOUCHERPAY_URL: url,
    RECOUP_SANDBOX_VOUCHERPAY_HMAC_KEY: 'key',
    RECOUP_SANDBOX_VOUCHERPAY_HMAC_KEY_B: 'key-b',
    RECOUP_SANDBOX_VOUCHERPAY_CALLBACK_KEY: sealKey.toString('hex'),
    RECOUP_SANDBOX_UNIONLINK_URL: url,
    RECOUP_SANDBOX_UNIONLINK_PRIVATE_KEY: pem(ours, 'pkcs8'),
    RECOUP_SANDBOX_UNIONLINK_PUBLIC_KEY: pem(createPublicKey(theirs), 'spki'),
    RECOUP_SANDBOX_UNIONLINK_PUBLIC_KEY_B: pem(createPublicKey(ours), 'spki'),
  });
  after(async () => practice.shutDown());

  const order = practiceOrder('swiftpay');
  const ids = ['swiftpay', 'voucherpay', 'oldbank', 'unionlink'] as const;
  const parse = (id: string, raw: RawCallback): CallbackReading =>
    practice.channel(id).parseCallback(raw);

  const hostile = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 80 }),
    fc.constantFrom('__proto__', 'constructor', 'toString', '', 'null', '\u0000', '\ud800', '１２'),
    fc.constantFrom(order.orderNo, 'M-RECOUP-01', 'CNY', '128050', 'OK', '0000', '00', 'SW1'),
  );
  const value = fc.oneof(
    hostile,
    fc.double(),
    fc.maxSafeInteger(),
    fc.constantFrom<unknown>(128_050, 1e300, -0, null, true, [], {}, ['OK'], { code: 'OK' }),
    fc.jsonValue({ maxDepth: 3 }),
  );
  const right: Record<string, unknown> = {
    code: 'OK',
    message: 'done',
    merchant_id: 'M-RECOUP-01',
    order_no: order.orderNo,
    amount: 128_050,
    currency: 'CNY',
    channel_ref: 'SW1',
  };
  const content = fc
    .tuple(
      fc.record(
        Object.fromEntries(Object.keys(right).map((name) => [name, fc.option(value, { freq: 1 })])),
        { requiredKeys: [] },
      ),
      fc.dictionary(hostile, value, { maxKeys: 4 }),
    )
    .map(([changed, more]) => ({ ...right, ...changed, ...more }));

  const hmac = (parts: readonly (string | Buffer)[]): string => {
    const hash = createHmac('sha256', 'key');
    for (const part of parts) hash.update(part);
    return hash.digest('hex');
  };
  function signedJson(body: Buffer, nonce = 'nonce-of-the-fuzz'): RawCallback {
    const stamp = String(Date.now());
    const signature = hmac([`${stamp}.${nonce}.`, body]);
    const names = { 'x-timestamp': stamp, 'x-nonce': nonce, 'x-key-serial': 'A' };
    return { headers: { ...names, 'x-signature': signature }, body };
  }
  function sealed(plain: Buffer): Buffer {
    const nonce = 'twelve-bytes';
    const cipher = createCipheriv('aes-256-gcm', sealKey, nonce).setAAD(Buffer.from('a'));
    const parts = [cipher.update(plain), cipher.final(), cipher.getAuthTag()];
    const ciphertext = Buffer.concat(parts).toString('base64');
    return Buffer.from(JSON.stringify({ resource: { nonce, associated_data: 'a', ciphertext } }));
  }
  function signedForm(pairs: readonly string[]): RawCallback {
    const text = [...pairs].sort().join('&');
    const signature = sign('sha256', Buffer.from(text, 'latin1'), theirs).toString('base64');
    const body = Buffer.from(`${text}&sign=${encodeURIComponent(signature)}`, 'latin1');
    return { headers: {}, body };
  }

  /** Whatever it says: nothing is thrown, and a success is about our order, to the last field. */
  function judged(id: string, raw: RawCallback, fields: Record<string, unknown> | null): void {
    const reading = parse(id, raw);
    if (reading.kind !== 'genuine') return;
    expect(reading.orderNo).to.match(/^[A-Za-z0-9]{1,32}$/);
    const answer = reading.against(order);
    reading.shown(order);
    const text = JSON.stringify(answer, (_key, one: unknown) =>
      typeof one === 'bigint' ? String(one) : one,
    );
    expect(text.length).to.be.below(1_500);
    if (answer.kind === 'succeeded' || answer.kind === 'declined') {
      expect(reading.orderNo).to.equal(order.orderNo);
      if (fields === null) return;
      expect(fields['merchant_id']).to.equal('M-RECOUP-01');
      expect(Number(fields['amount'])).to.equal(128_050);
      expect(fields['currency']).to.equal('CNY');
    }
  }

  it('believe noise: any bytes, under any headers', () => {
    const header = fc.option(fc.oneof(hostile, fc.array(hostile, { maxLength: 3 })), {
      nil: undefined,
    });
    const stamp = fc.oneof(
      header,
      fc.constantFrom(String(Date.now()), String(Math.floor(Date.now() / 1_000))),
    );
    const headers = fc.record({
      'x-signature': header,
      'x-timestamp': stamp,
      'x-nonce': fc.oneof(header, fc.constant('nonce-of-the-fuzz')),
      'x-key-serial': fc.oneof(header, fc.constantFrom('A', 'B')),
      sign: header,
      'req-time': stamp,
    });
    const body = fc.oneof(
      fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes)),
      content.map((json) => Buffer.from(JSON.stringify(json))),
      fc
        .array(fc.tuple(hostile, hostile), { maxLength: 12 })
        .map((pairs) => Buffer.from(new URLSearchParams(pairs).toString())),
    );
    fc.assert(
      fc.property(headers, body, (some, bytes) => {
        for (const id of ids) {
          expect(parse(id, { headers: some, body: bytes }).kind).not.to.equal('genuine');
        }
      }),
      { numRuns: runs },
    );
  });

  it('throw, or take for ours what is not, however well it is signed (JSON)', () => {
    const body = fc.oneof(
      { weight: 8, arbitrary: content },
      { weight: 1, arbitrary: fc.jsonValue() },
    );
    fc.assert(
      fc.property(body, fc.boolean(), (json, shut) => {
        const plain = Buffer.from(JSON.stringify(json));
        const fields = json as Record<string, unknown> | null;
        if (shut) judged('voucherpay', signedJson(sealed(plain)), fields);
        else judged('swiftpay', signedJson(plain), fields);
      }),
      { numRuns: runs },
    );
  });

  it('throw at bytes that are signed and are no JSON', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        judged('swiftpay', signedJson(Buffer.from(bytes)), null);
        judged('voucherpay', signedJson(sealed(Buffer.from(bytes))), null);
        judged('voucherpay', signedJson(Buffer.from(bytes)), null);
      }),
      { numRuns: runs },
    );
  });

  it('throw, or take for ours what is not, however well it is signed (form)', () => {
    const encoded = fc.oneof(hostile.map(encodeForm), hostile, fc.constantFrom('%', '%E0%A4', '+'));
    const pair = fc
      .tuple(
        fc.constantFrom('respCode', 'orderNo', 'txnAmt', 'currency', 'merchantId', 'queryId', 'x'),
        encoded,
      )
      .map(([name, text]) => `${name}=${text.replaceAll('&', '')}`);
    fc.assert(
      fc.property(fc.array(pair, { maxLength: 10 }), (pairs) => {
        const base = [`timestamp=${Date.now()}`, 'certId=A', 'nonce=nonce-of-the-fuzz'];
        judged('unionlink', signedForm([...base, ...pairs]), null);
      }),
      // Signing costs more than all the rest.
      { numRuns: Math.ceil(runs / 5) },
    );
  });

  it('believe a message of which one byte was changed', () => {
    const json = signedJson(Buffer.from(JSON.stringify(right)));
    const form = signedForm([
      `timestamp=${Date.now()}`,
      'certId=A',
      'nonce=nonce-of-the-fuzz',
      'respCode=0000',
      `orderNo=${order.orderNo}`,
      'txnAmt=128050',
      'currency=CNY',
      'merchantId=M-RECOUP-01',
      'queryId=UN1',
    ]);
    expect(parse('swiftpay', json).kind).to.equal('genuine');
    expect(parse('unionlink', form).kind).to.equal('genuine');
    const change = fc.record({ at: fc.nat(10_000), by: fc.integer({ min: 1, max: 255 }) });
    const changedOf = ({ headers, body }: RawCallback, at: number, by: number): RawCallback => {
      const changed = Buffer.from(body);
      changed[at % body.length] = (changed[at % body.length] ?? 0) ^ by;
      return { headers, body: changed };
    };
    const digest = (reading: CallbackReading): string =>
      reading.kind === 'genuine' ? reading.digest : '';
    fc.assert(
      fc.property(change, ({ at, by }) => {
        expect(parse('swiftpay', changedOf(json, at, by)).kind).not.to.equal('genuine');
        const reading = parse('unionlink', changedOf(form, at, by));
        // Base64 has more than one spelling of the same signature; what is signed has not.
        if (reading.kind === 'genuine') {
          expect(reading.digest).to.equal(digest(parse('unionlink', form)));
        }
      }),
      { numRuns: runs },
    );
  });
});

function encodeForm(text: string): string {
  return encodeURIComponent(text.toWellFormed());
}
