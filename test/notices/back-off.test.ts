import { expect } from 'chai';
import { loadConfig } from '../../src/config.js';
import { verdictOn } from '../../src/notices/back-off.js';
import type { NoticeAnswer } from '../../src/notices/ports.js';

const { noticeRetryMs: retryMs, noticeGiveUpMs: giveUpMs } = loadConfig(process.env);
const settings = { retryMs, giveUpMs };
const day = 86_400_000;
const answered = (status: number, retryAfterMs: number | null = null): NoticeAnswer => ({
  kind: 'answered',
  status,
  excerpt: '',
  retryAfterMs,
});
const away: NoticeAnswer = { kind: 'unanswered', why: 'no answer' };

describe('what follows from an answer to a notice', () => {
  const first = { tries: 0, beganAtMs: 1_000, nowMs: 1_000 };

  it('2xx is delivered, 410 is gone, and everything else comes again', () => {
    const of = (answer: NoticeAnswer): string => verdictOn(answer, first, settings, 0.5).kind;
    expect([200, 201, 204, 299].map((one) => of(answered(one)))).to.eql(
      Array.from({ length: 4 }, () => 'delivered'),
    );
    expect(of(answered(410))).to.equal('gone');
    const again = [100, 199, 301, 302, 400, 401, 404, 409, 429, 500, 503].map((one) =>
      answered(one),
    );
    expect([...again, away].map((one) => of(one))).to.eql(
      Array.from({ length: 12 }, () => 'again'),
    );
  });

  for (const random of [0, 0.5, 1]) {
    it(`goes on for a day, slower and slower, and ends (jitter ${random})`, () => {
      let nowMs = 0;
      const waits: number[] = [];
      for (let tries = 0; tries < 100; tries += 1) {
        const verdict = verdictOn(away, { tries, beganAtMs: 0, nowMs }, settings, random);
        if (verdict.kind === 'exhausted') break;
        if (verdict.kind !== 'again') throw new Error(verdict.kind);
        waits.push(verdict.atMs - nowMs);
        nowMs = verdict.atMs;
      }
      expect(nowMs).to.equal(day);
      expect(waits.length).to.be.within(14, 24);
      expect(waits[0]).to.be.closeTo(5_000 * (0.8 + 0.4 * random), 1);
      const rising = waits.slice(0, -1);
      expect(rising).to.eql(rising.toSorted((a, b) => a - b));
    });
  }

  it('waits as long as it is asked to, up to an hour', () => {
    const at = (ms: number | null): unknown => verdictOn(answered(503, ms), first, settings, 0.5);
    expect(at(60_000)).to.eql({ kind: 'again', atMs: 61_000 });
    expect(at(day)).to.eql({ kind: 'again', atMs: 3_601_000 });
    expect(at(1)).to.eql({ kind: 'again', atMs: 6_000 });
  });
});
