import { expect } from 'chai';
import * as fc from 'fast-check';
import type { ReplyFields } from '../../src/channels/dialect.js';
import type { Exchange } from '../../src/channels/exchange.js';
import {
  chargeAnswer,
  closeAnswer,
  hear,
  orderAnswer,
  queryAnswer,
  type Heard,
} from '../../src/channels/replies.js';
import { practiceOrder, practiceProfiles } from './practice.js';

const [swiftpay, unionlink] = practiceProfiles() as [never, never];
const order = practiceOrder('swiftpay');

const full: ReplyFields = {
  code: 'OK',
  message: '',
  orderNo: order.orderNo,
  merchant: 'M-RECOUP-01',
  amountText: '128050',
  amountMinor: 128_050n,
  currency: 'CNY',
  channelRef: 'SW1',
};
const said = (changes: Partial<ReplyFields> = {}): Heard => ({
  kind: 'said',
  fields: { ...full, ...changes },
  throttled: false,
});
const answered = (status: number): Exchange => ({
  kind: 'answered',
  status,
  headers: {},
  body: Buffer.alloc(0),
});
const genuine = () => ({ kind: 'genuine', fields: full }) as const;
const forged = () => ({ kind: 'forged', detail: '' }) as const;

describe('What an answer means', () => {
  it('is its listed code, once everything else is right', () => {
    expect(chargeAnswer(swiftpay, order, said())).to.deep.equal({
      kind: 'succeeded',
      channelRef: 'SW1',
    });
    expect(
      chargeAnswer(swiftpay, order, said({ code: 'RISK_REFUSED', message: 'no' })),
    ).to.deep.equal({
      kind: 'declined',
      code: 'risk_refused',
      channelCode: 'RISK_REFUSED',
      message: 'no',
      scope: 'other_channel',
    });
  });

  it('is unknown for a code that is not listed, or is a word of the language', () => {
    for (const code of ['E1', 'ok', '', '__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
      expect(chargeAnswer(swiftpay, order, said({ code }))).to.include({ why: 'unlisted_code' });
    }
  });

  it('is unknown under a 5xx, however well it is signed', () => {
    for (const status of [500, 502, 503, 504, 599]) {
      expect(hear(answered(status), genuine)).to.include({ kind: 'unknown', why: 'server_error' });
    }
  });

  it('is unknown under a redirect', () => {
    expect(hear(answered(302), genuine)).to.include({ kind: 'unknown', why: 'bad_response' });
  });

  it('is "throttled" under an unsigned 429, and what a signed one says if that is definite', () => {
    expect(hear(answered(429), forged)).to.include({ kind: 'unknown', why: 'throttled' });
    const heard = hear(answered(429), genuine);
    expect(chargeAnswer(swiftpay, order, heard)).to.include({ kind: 'succeeded' });
    const listedUnknown = hear(answered(429), () => ({
      kind: 'genuine',
      fields: { ...full, code: 'THROTTLED' },
    }));
    expect(chargeAnswer(swiftpay, order, listedUnknown)).to.include({ why: 'throttled' });
  });

  it('is a mismatch when it is about another order, amount, currency or merchant', () => {
    const differences: [Partial<ReplyFields>, string, string][] = [
      [{ orderNo: 'R2' }, 'order_no', 'R2'],
      [{ amountText: '128051', amountMinor: 128_051n }, 'amount', '128051'],
      [{ amountText: '1e5', amountMinor: null }, 'amount', '1e5'],
      [{ currency: 'USD' }, 'currency', 'USD'],
      [{ merchant: 'M2' }, 'merchant', 'M2'],
    ];
    for (const [change, field, theirs] of differences) {
      for (const code of ['OK', 'RISK_REFUSED', 'PROCESSING', 'E1']) {
        const answer = orderAnswer(swiftpay, order, said({ ...change, code }) as never);
        expect(answer).to.include({ kind: 'mismatch', field, theirs });
      }
    }
  });

  it('is never definite unless it repeats the whole order', () => {
    const names = ['orderNo', 'merchant', 'amountText', 'currency'] as const;
    for (const name of names) {
      for (const code of ['OK', 'RISK_REFUSED']) {
        const blank = {
          [name]: null,
          ...(name === 'amountText' ? { amountMinor: null } : {}),
          code,
        };
        expect(chargeAnswer(swiftpay, order, said(blank))).to.include({ why: 'bad_response' });
      }
    }
  });

  it('is not found for a question alone', () => {
    const heard = said({ code: 'ORDER_NOT_FOUND', amountText: null, amountMinor: null });
    expect(queryAnswer(swiftpay, order, heard)).to.deep.equal({ kind: 'not_found' });
    expect(chargeAnswer(swiftpay, order, heard)).to.include({ kind: 'unknown' });
    const aboutNothing = said({ code: 'ORDER_NOT_FOUND', orderNo: null });
    expect(queryAnswer(swiftpay, order, aboutNothing)).to.include({ kind: 'unknown' });
  });

  it('is proof by a closed order only where the channel refuses closed orders for ever', () => {
    const heard = said({ code: '4411' });
    const proof = { kind: 'not_executed', proof: 'closed' };
    expect(chargeAnswer(unionlink, order, heard)).to.deep.equal(proof);
    const provesNothing = {
      ...(unionlink as { nature: object }),
      nature: { ...(unionlink as { nature: object }).nature, close_proof: 'none' },
    } as never;
    expect(chargeAnswer(provesNothing, order, heard)).to.include({ kind: 'unknown' });
  });

  it('is proof by a closed payout only where the channel says so of payouts', () => {
    const payout = { ...order, operation: 'payout' } as const;
    const heard = said({ code: '4411' });
    expect(queryAnswer(unionlink, payout, heard)).to.include({ proof: 'closed' });
    const silent = { ...(unionlink as object), payouts: undefined } as never;
    expect(queryAnswer(silent, payout, heard)).to.include({ kind: 'unknown' });
    expect(queryAnswer(silent, order, heard)).to.include({ proof: 'closed' });
  });

  it('is, for a close: closed, not found, refused, or unknown', () => {
    expect(closeAnswer(unionlink, order, said({ code: '0002' }))).to.deep.equal({ kind: 'closed' });
    expect(closeAnswer(unionlink, order, said({ code: '3404' }))).to.include({ kind: 'not_found' });
    for (const code of ['4412', '0000', '0001', '5101']) {
      expect(closeAnswer(unionlink, order, said({ code }))).to.include({ kind: 'refused' });
    }
    for (const change of [
      { code: 'E1' },
      { code: '0002', orderNo: 'R2' },
      { code: '0002', orderNo: null },
    ]) {
      expect(closeAnswer(unionlink, order, said(change))).to.include({ kind: 'unknown' });
    }
  });

  it('never holds anything like a card number, nor more words than fit', () => {
    const message = `card 6222 0212 3456 7890 refused \u0000\n ${'x'.repeat(500)}`;
    const answer = chargeAnswer(swiftpay, order, said({ code: 'RISK_REFUSED', message }));
    expect((answer as { message: string }).message).to.match(/^card \[digits\] refused/);
    expect((answer as { message: string }).message.length).to.be.at.most(200);
  });

  it('is never definite for fields that are not ours, whatever they hold', () => {
    const text = fc.option(fc.oneof(fc.string(), fc.constantFrom('M-RECOUP-01', 'CNY', 'OK')));
    const arbitrary = fc.record({
      code: fc.oneof(fc.string(), fc.constantFrom('OK', 'RISK_REFUSED', 'ORDER_NOT_FOUND')),
      message: fc.string(),
      orderNo: text,
      merchant: text,
      amountText: text,
      amountMinor: fc.option(fc.bigInt()),
      currency: text,
      channelRef: text,
    });
    fc.assert(
      fc.property(arbitrary, (fields) => {
        const heard: Heard = { kind: 'said', fields, throttled: false };
        for (const answer of [chargeAnswer, queryAnswer]) {
          const { kind } = answer(swiftpay, order, heard);
          if (fields.orderNo !== order.orderNo) expect(kind).to.be.oneOf(['unknown', 'mismatch']);
        }
      }),
    );
  });
});
