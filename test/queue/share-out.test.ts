import { expect } from 'chai';
import { shareOut, type Load } from '../../src/queue/share-out.js';

const settings = { consumers: 8, waitingMax: 100, helpersMax: 6 };

function shares(loads: Readonly<Record<string, Load>>): Readonly<Record<string, number>> {
  return Object.fromEntries(shareOut(new Map(Object.entries(loads)), settings));
}

const quiet: Load = { due: 0, busy: 0 };
const full: Load = { due: 100, busy: 8 };
const hanging: Load = { due: 40_000, busy: 8 };

describe('who carries wake-ups out', () => {
  it('up to its bound a kind has its own consumers, however many are idle', () => {
    expect(shares({ a: full, b: quiet, c: quiet })).to.deep.equal({ a: 8, b: 8, c: 8 });
  });

  it('beyond its bound it has the idle ones of the others, too', () => {
    expect(shares({ a: { due: 101, busy: 8 }, b: { due: 0, busy: 5 } })).to.include({ a: 11 });
  });

  it('but never more helpers than one kind may have', () => {
    expect(shares({ a: hanging, b: quiet, c: quiet })).to.include({ a: 14 });
  });

  it('and nobody has fewer consumers for having helped: what hangs is not waited for', () => {
    expect(shares({ a: { due: 40_000, busy: 14 }, b: full, c: quiet })).to.include({ b: 8, c: 8 });
  });

  it('none where the others have work of their own', () => {
    expect(shares({ a: hanging, b: full })).to.deep.equal({ a: 8, b: 8 });
    // One that has helpers may have more at work than it has consumers: it lends nothing.
    expect(shares({ a: hanging, b: { due: 3, busy: 12 } })).to.deep.equal({ a: 8, b: 8 });
  });

  it('in equal parts where several are beyond their bounds', () => {
    expect(shares({ a: hanging, b: hanging, c: { due: 2, busy: 1 } })).to.deep.equal({
      a: 11,
      b: 11,
      c: 8,
    });
  });
});
