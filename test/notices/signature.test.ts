import { expect } from 'chai';
import { keyOf, newSecret, signed, verifyNotice } from '../../src/notices/signature.js';

/** The example of the Standard Webhooks specification's reference libraries. */
const example = {
  secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
  id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
  atMs: 1_614_265_330_000,
  body: '{"test": 2432232314}',
  signature: 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
};
const keys = (...secrets: string[]): Buffer[] => secrets.map((one) => keyOf(one)!);

describe("a notice's signature", () => {
  const { id, body, atMs, secret } = example;
  const headers = signed({ id, body }, keys(secret), atMs);
  const when = { nowMs: atMs + 60_000 };

  it('is that of the specification', () => {
    expect(headers).to.eql({
      'webhook-id': id,
      'webhook-timestamp': '1614265330',
      'webhook-signature': example.signature,
    });
  });

  it('is verified by receivers, who are told id and event', () => {
    expect(verifyNotice({ ...headers }, Buffer.from(body), secret, when)).to.eql({
      genuine: true,
      id,
      event: { test: 2_432_232_314 },
    });
  });

  it('holds for both secrets while one is replaced by the other', () => {
    const next = newSecret();
    const both = { ...signed({ id, body }, keys(next, secret), atMs) };
    expect(both['webhook-signature'].split(' ')).to.have.length(2);
    for (const known of [secret, next, [newSecret(), secret]]) {
      expect(verifyNotice(both, body, known, when).genuine, String(known)).to.equal(true);
    }
    expect(verifyNotice(both, body, newSecret(), when).genuine).to.equal(false);
  });

  it('does not hold for another body, id, time or scheme', () => {
    const forged: readonly (readonly [Record<string, string>, string])[] = [
      [{}, `${body} `],
      [{ 'webhook-id': 'msg_other' }, body],
      [{ 'webhook-timestamp': '1614265331' }, body],
      [{ 'webhook-signature': example.signature.replace('v1,', 'v2,') }, body],
      [{ 'webhook-signature': 'v1,' }, body],
      [{ 'webhook-signature': '' }, body],
    ];
    for (const [changed, text] of forged) {
      const verified = verifyNotice({ ...headers, ...changed }, text, secret, when);
      expect(verified, JSON.stringify(changed)).to.eql({ genuine: false, why: 'bad_signature' });
    }
  });

  it('does not hold for long, nor ahead of its time, nor without headers', () => {
    for (const nowMs of [atMs + 301_000, atMs - 301_000]) {
      const verified = verifyNotice({ ...headers }, body, secret, { nowMs });
      expect(verified).to.eql({ genuine: false, why: 'too_old_or_new' });
    }
    for (const name of Object.keys(headers)) {
      const verified = verifyNotice({ ...headers, [name]: undefined }, body, secret, when);
      expect(verified).to.eql({ genuine: false, why: 'no_headers' });
    }
    const odd = { ...headers, 'webhook-timestamp': 'NaN' };
    expect(verifyNotice(odd, body, secret, when)).to.include({ genuine: false });
  });

  it('takes secrets of 24 to 64 bytes and nothing else', () => {
    const of = (bytes: number): string => `whsec_${Buffer.alloc(bytes, 7).toString('base64')}`;
    expect([24, 32, 64].map((bytes) => keyOf(of(bytes))?.length)).to.eql([24, 32, 64]);
    const wrong = ['', 'whsec_', of(23), of(65), example.secret.slice(6), 'whsec_*&^%$'.repeat(5)];
    expect(wrong.map((one) => keyOf(one))).to.eql(wrong.map(() => null));
    expect(() => verifyNotice({ ...headers }, body, 'password')).to.throw(RangeError);
    expect(keyOf(newSecret())).to.have.length(32);
  });
});
