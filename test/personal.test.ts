import { expect } from 'chai';
import * as fc from 'fast-check';
import {
  amountWords,
  isBareNumber,
  keptKey,
  looksPersonal,
  namesSomebody,
  reference,
  words,
} from '../src/personal.js';

const card = '6222020200112233442';
const identity = '11010519491231002X';
const phone = '13800138000';
const spread = (text: string, by: string): string => text.replaceAll(/(.{4})/g, `$1${by}`);
const wide = (text: string): string =>
  text.replaceAll(/\d/g, (digit) => String.fromCodePoint(0xff10 + Number(digit)));

describe('Numbers that belong to a person', () => {
  const forms = [card, identity, phone, `+86${phone}`].flatMap((number) => [
    number,
    spread(number, ' '),
    spread(number, '-'),
    spread(number, ' - '),
    wide(number),
  ]);

  for (const form of forms) {
    it(`are known as such, and do not stay in words: ${form}`, () => {
      expect(looksPersonal(form)).to.equal(true);
      expect(namesSomebody(`call her, ${form}, today`)).to.equal(true);
      const safe = words(`no, ${form}.`, 200);
      expect(safe).to.equal(safe.includes('[digits].') ? safe : '');
      expect(safe.replaceAll(/\P{Nd}/gu, '').length).to.be.below(7);
      expect(reference(`A${form}`, false)).to.match(/^sha256-[0-9a-f]{32}$/);
    });
  }

  it('are not seen where there are none', () => {
    for (const text of [
      'SW00FF12AB34CD56EF',
      'R01DCNQXBQ8OFD9ZLRNY8KAXFY01',
      '2026-11-22 10:00',
      '',
    ]) {
      expect(looksPersonal(text), text).to.equal(false);
      expect(reference(text, false)).to.equal(text);
    }
    expect(reference('4200001234202611220123456789', false)).to.match(/^4200/);
  });

  it('a channel whose references are long numbers keeps them, where its profile says so', () => {
    expect(reference(card, true)).to.equal(card);
    expect(reference(`${card} of Li`, true)).to.match(/^sha256-/);
  });

  it('an amount of more than ten digits is no evidence of an amount', () => {
    expect(amountWords('9999999999')).to.equal('9999999999');
    expect(amountWords(phone)).to.equal('[digits]');
  });

  it('a caller’s key that may be such a number is kept as its digest, always the same', () => {
    expect(keptKey('9f1c2d7e-4b3a-4f7e-9c57-6d1f2ab34c88')).to.match(/^9f1c/);
    expect(keptKey(card))
      .to.match(/^sha256-/)
      .and.equal(keptKey(card));
    expect(isBareNumber('rp_20261122_0001')).to.equal(false);
    expect(isBareNumber(phone)).to.equal(true);
  });

  it('never throw, and never let words grow', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), fc.nat(300), (text, max) => {
        expect(words(text, max + 1).length).to.be.at.most(max + 1);
        expect(reference(text, false).length).to.be.at.most(128);
        looksPersonal(text);
      }),
      { numRuns: 500 },
    );
  });

  it('take no time to look for, however long the text', () => {
    const began = performance.now();
    for (const unit of ['1 ', '1', '- ', '1---', '1   a']) words(unit.repeat(60_000), 200);
    looksPersonal('1 '.repeat(1_000));
    expect(performance.now() - began).to.be.below(1_000);
  });
});
