import { createHash } from 'node:crypto';
import { gunzipSync, gzipSync } from 'node:zlib';
import { expect } from 'chai';
import * as fc from 'fast-check';
import { RecoupError } from '../../src/errors.js';
import { decodeGbk, encodeGbk } from '../../src/reconciliation/gbk.js';
import type { StatementFormat } from '../../src/reconciliation/statement.js';
import { anyRow, bytesOf, expectedOf, formats, parsed, someRow } from './statements.js';

/** Millions with RECOUP_FUZZ_RUNS; here a sample. */
const runs = Number(process.env['RECOUP_FUZZ_RUNS'] ?? 100);
const damagesAFile = 100;

async function refusal(bytes: Buffer, format: StatementFormat): Promise<RecoupError> {
  try {
    await parsed(bytes, expectedOf(format));
  } catch (error) {
    if (error instanceof RecoupError) return error;
    throw error;
  }
  throw new Error('the file was taken');
}

/** The lines of a form's file with its trailer made anew, so that only what was changed is wrong. */
const form = {
  csv: { end: '\n', bytes: (text: string) => Buffer.from(text), text: (b: Buffer) => b.toString() },
  tab_gbk: { end: '\r\n', bytes: encodeGbk, text: (b: Buffer) => decodeGbk(b) },
  jsonl_gzip: {
    end: '\n',
    bytes: (text: string) => gzipSync(Buffer.from(text)),
    text: (b: Buffer) => gunzipSync(b).toString(),
  },
} as const;

async function changed(
  format: StatementFormat,
  change: (lines: string[]) => string[],
): Promise<Buffer> {
  const { end, bytes, text } = form[format];
  const rows = [
    someRow(),
    someRow({ status: 'failed' }),
    someRow({ type: 'refund', feeMinor: 0n }),
  ];
  const lines = text(await bytesOf(rows, expectedOf(format))).split(end);
  lines.pop();
  const trailer = lines.pop() ?? '';
  const before = change(lines);
  const raw = before.map((line) => line + end).join('');
  const plain = format === 'tab_gbk' ? encodeGbk(raw) : Buffer.from(raw);
  const sha256 = createHash('sha256').update(plain).digest('hex');
  return bytes(`${raw}${trailer.replace(/[0-9a-f]{64}/, sha256)}${end}`);
}

const withLine = (no: number, change: (line: string) => string) => (lines: string[]) =>
  lines.with(no - 1, change(lines[no - 1] ?? ''));

describe('a statement', () => {
  for (const format of formats) {
    describe(`as ${format}`, () => {
      it('reads back as it was written, however it is cut into pieces', async () => {
        const anyFile = fc.array(anyRow(), { maxLength: 6 });
        await fc.assert(
          fc.asyncProperty(anyFile, fc.integer({ min: 1, max: 300 }), async (rows, size) => {
            const bytes = await bytesOf(rows, expectedOf(format));
            const read = await parsed(bytes, expectedOf(format), size);
            expect(read.rows).to.eql(rows);
            expect(read.totals.rows).to.equal(rows.length);
            expect(read.digest).to.equal(createHash('sha256').update(bytes).digest('hex'));
          }),
          { numRuns: runs },
        );
      });

      it('is never verified with other rows once bytes have changed', async () => {
        const anyFile = fc.array(anyRow(), { maxLength: 4 });
        await fc.assert(
          fc.asyncProperty(anyFile, fc.nat(), async (rows, seed) => {
            const bytes = await bytesOf(rows, expectedOf(format));
            const draw = drawing(seed);
            for (let time = 0; time < damagesAFile; time += 1) {
              const broken = damaged(bytes, draw);
              const read = await parsed(broken, expectedOf(format), 4_096).catch(coded);
              if (read !== null) expect(read.rows, broken.toString('base64')).to.eql(rows);
            }
          }),
          { numRuns: Math.ceil(runs / 25) },
        );
      });

      it('refuses anything else with a coded error', async () => {
        const [head = ''] = form[format].text(await bytesOf([], expectedOf(format))).split('\n');
        const begin = head === '' ? Buffer.alloc(0) : form[format].bytes(`${head}\n`);
        await fc.assert(
          fc.asyncProperty(
            fc.boolean(),
            fc.uint8Array({ maxLength: 400 }),
            async (after, noise) => {
              const bytes = Buffer.concat(after ? [begin, noise] : [noise]);
              expect((await refusal(bytes, format)).code).to.match(/^statement_/);
            },
          ),
          { numRuns: runs },
        );
      });

      const rowsBegin = format === 'jsonl_gzip' ? 2 : 3;
      const wrong: readonly (readonly [
        what: string,
        code: string,
        line: number,
        Promise<Buffer>,
      ])[] = [
        [
          'of another day',
          'statement_head',
          1,
          changed(
            format,
            withLine(1, (l) => l.replace('22', '23')),
          ),
        ],
        [
          'of another merchant',
          'statement_head',
          1,
          changed(
            format,
            withLine(1, (l) => l.replace('-01', '-02')),
          ),
        ],
        [
          'with a negative amount',
          'statement_row',
          rowsBegin,
          changed(
            format,
            withLine(rowsBegin, (l) => l.replace('1280', '-1280')),
          ),
        ],
        [
          'with an amount in another form',
          'statement_row',
          rowsBegin,
          changed(
            format,
            withLine(rowsBegin, (l) => l.replace(/1280\.50|128050/, '1280.5')),
          ),
        ],
        [
          'with an unknown status',
          'statement_row',
          rowsBegin + 1,
          changed(
            format,
            withLine(rowsBegin + 1, (l) => l.replace(/failed|FAILED|失败/, 'maybe')),
          ),
        ],
        [
          'with a time of another week',
          'statement_row',
          rowsBegin,
          changed(
            format,
            withLine(rowsBegin, (l) => l.replace(/2026-?11-?22/, (d) => d.replace('22', '29'))),
          ),
        ],
        [
          'with a row less than its trailer says',
          'statement_totals',
          rowsBegin + 2,
          changed(format, (lines) => lines.slice(0, -1)),
        ],
      ];
      for (const [what, code, line, bytes] of wrong) {
        it(`${what} is refused as ${code}, by line`, async () => {
          const error = await refusal(await bytes, format);
          expect(error.code).to.equal(code);
          expect(error.details['line']).to.equal(line);
        });
      }

      it('that was changed after its digest was made is refused', async () => {
        const { text, bytes } = form[format];
        const sound = text(await bytesOf([someRow()], expectedOf(format)));
        const error = await refusal(bytes(sound.replace(/SW\d+/, 'SW0')), format);
        expect(error.code).to.equal('statement_digest');
      });

      it('without its trailer, or with a line too many, is refused', async () => {
        const { text, bytes, end } = form[format];
        const sound = text(await bytesOf([someRow()], expectedOf(format)));
        const lines = sound.split(end);
        const withoutTrailer = lines.slice(0, -2).join(end) + end;
        expect((await refusal(bytes(withoutTrailer), format)).code).to.equal('statement_truncated');
        const more = sound + lines.at(-3) + end;
        expect((await refusal(bytes(more), format)).code).to.equal('statement_trailer');
        const torn = sound.slice(0, -end.length);
        expect((await refusal(bytes(torn), format)).code).to.equal('statement_truncated');
      });
    });
  }

  it('with a byte order mark, other line ends or another encoding is refused by line', async () => {
    const csv = await bytesOf([someRow()], expectedOf('csv'));
    const marked = await refusal(Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), csv]), 'csv');
    expect([marked.code, marked.details['line']]).to.eql(['statement_encoding', 1]);
    const dos = await refusal(Buffer.from(csv.toString().replaceAll('\n', '\r\n')), 'csv');
    expect([dos.code, dos.details['line']]).to.eql(['statement_line_end', 1]);
    const gbk = await bytesOf([someRow()], expectedOf('tab_gbk'));
    const unix = Buffer.from(gbk.toString('latin1').replaceAll('\r\n', '\n'), 'latin1');
    expect((await refusal(unix, 'tab_gbk')).code).to.equal('statement_line_end');
    const utf8 = await refusal(Buffer.from(decodeGbk(gbk)), 'tab_gbk');
    expect(utf8.code).to.be.oneOf(['statement_encoding', 'statement_head']);
    const half = Buffer.from(gbk.toString('latin1').replace('1280', '\xff\xff'), 'latin1');
    expect((await refusal(half, 'tab_gbk')).code).to.be.oneOf([
      'statement_encoding',
      'statement_row',
    ]);
  });

  it('that is cut inside its compression, or is none, is refused', async () => {
    const bytes = await bytesOf([someRow()], expectedOf('jsonl_gzip'));
    expect((await refusal(bytes.subarray(0, -9), 'jsonl_gzip')).code).to.equal(
      'statement_truncated',
    );
    expect((await refusal(gunzipSync(bytes), 'jsonl_gzip')).code).to.equal('statement_encoding');
  });

  it('whose line has no end is refused before it is in memory', async () => {
    let given = 0;
    async function* endless() {
      for (;;) {
        given += 64;
        yield Buffer.alloc(64, 'a');
      }
    }
    const { parseStatement } = await import('../../src/reconciliation/read-statement.js');
    let code = '';
    try {
      for await (const part of parseStatement(endless(), expectedOf('csv'))) void part;
    } catch (error) {
      ({ code } = error as RecoupError);
    }
    expect(code).to.equal('statement_too_large');
    expect(given).to.be.below(4_096);
  });

  it('repeats nothing of a bad row in its error', async () => {
    const planted = '6222020200112345678';
    const bytes = await changed(
      'csv',
      withLine(3, (l) => l.replace(/R\d+/, `${planted} `)),
    );
    const error = await refusal(bytes, 'csv');
    expect(JSON.stringify([error.message, error.details])).not.to.include(planted);
  });
});

/** Null for a coded refusal; anything else is a bug. */
function coded(error: unknown): null {
  if (error instanceof RecoupError && error.code.startsWith('statement_')) return null;
  throw error;
}

/** Whole numbers below `below`, the same for the same seed. */
function drawing(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

function damaged(bytes: Buffer, draw: (below: number) => number): Buffer {
  let broken = bytes;
  for (let times = 1 + draw(3); times > 0; times -= 1) {
    const place = draw(broken.length);
    const [before, after] = [broken.subarray(0, place), broken.subarray(place)];
    const ways = [
      () => [before, Buffer.of(draw(256)), after.subarray(1)],
      () => [before, Buffer.of(draw(256)), after],
      () => [before, after.subarray(1 + draw(40))],
      () => [before],
      () => [before, after, after],
      () => [before, broken.subarray(draw(broken.length)), after],
    ] as const;
    broken = Buffer.concat(ways[draw(ways.length)]?.() ?? []);
  }
  return broken;
}
