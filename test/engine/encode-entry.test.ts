import { expect } from 'chai';
import { decodeEntry, encodeEntry, type Entry } from '../../src/engine/entries.js';

const replied = (detail: string): Entry => ({
  kind: 'replied',
  atMs: 1,
  attemptNo: 1,
  via: 'charge',
  answer: { kind: 'unknown', why: 'timeout', detail },
  sentAtMs: 2,
});

describe('an entry as it is stored', () => {
  it('is the JSON of its fields, whatever its texts hold', () => {
    for (let unit = 0; unit < 0x1_0000; unit += 1) {
      const entry = replied(`a${String.fromCharCode(unit)}b`);
      const { kind: _kind, atMs: _atMs, ...body } = entry;
      const text = encodeEntry(entry);
      if (text !== JSON.stringify(body)) expect(text).to.equal(JSON.stringify(body));
    }
    expect(decodeEntry('replied', 1, encodeEntry(replied('😀 "\\')))).to.deep.equal(
      replied('😀 "\\'),
    );
  });

  it('leaves out what is not there, and keeps nulls and amounts', () => {
    const odd = {
      kind: 'accepted',
      atMs: 1,
      deduction: { amountMinor: 9_007_199_254_740_993n, batchId: null, agent: undefined },
      list: [1, null, undefined, 'x', [2n], { nature: { idempotent: true, list: [] } }],
    } as unknown as Entry;
    expect(encodeEntry(odd)).to.equal(
      '{"deduction":{"amountMinor":"9007199254740993","batchId":null},' +
        '"list":[1,null,null,"x",["2"],{"nature":{"idempotent":true,"list":[]}}]}',
    );
  });

  it('is read with its amounts as numbers of any size, wherever they stand', () => {
    const body =
      '{"amountMinor":"9007199254740993","list":[{"dueMinor":"2","why":"3"},"4"],"noMinor":null}';
    expect(decodeEntry('accepted', 1, body)).to.deep.equal({
      kind: 'accepted',
      atMs: 1,
      amountMinor: 9_007_199_254_740_993n,
      list: [{ dueMinor: 2n, why: '3' }, '4'],
      noMinor: null,
    });
  });
});
