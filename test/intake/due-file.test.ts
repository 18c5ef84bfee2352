import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { dueColumns, readDueFile, type ReadRow } from '../../src/intake/due-file.js';

const header = dueColumns.join(',');
const good = (n: number): string =>
  `rp_${n},bw_${n},ICBC,tok_account_${n},1234,CNY,1280.50,2026-11-22`;

describe('a file of due repayments', () => {
  let folder: string;
  before(async () => (folder = await mkdtemp(join(tmpdir(), 'recoup-due-'))));
  after(async () => rm(folder, { recursive: true }));

  async function read(content: string | Buffer): Promise<{ rows: ReadRow[]; notes: string[] }> {
    const path = join(folder, 'due.csv');
    await writeFile(path, content);
    const rows: ReadRow[] = [];
    const notes: string[] = [];
    for await (const row of readDueFile(path, (note) => notes.push(note))) rows.push(row);
    return { rows, notes };
  }
  const bad = (rows: readonly ReadRow[]) => rows.flatMap((row) => ('bad' in row ? [row.bad] : []));

  const refusal = async (content: string | Buffer): Promise<unknown> =>
    await read(content).then(
      () => 'read',
      (error: unknown) => (error as { code?: string }).code,
    );

  it('gives rows with their line, in minor units', async () => {
    const { rows } = await read(`${header}\n${good(1)}\n\n${good(2)}\n`);
    expect(rows.map((row) => 'ok' in row && row.ok.lineNo)).to.deep.equal([2, 4]);
    expect('ok' in rows[0]! && rows[0].ok.repayment.dueMinor).to.equal(128_050n);
  });

  it('takes columns in any order, and a part of the amount', async () => {
    const { rows } = await read(
      `amount,${header}\n80.5,${good(1)}\n,${good(2)}\n99999,${good(3)}\n`,
    );
    expect('ok' in rows[0]! && rows[0].ok.amountMinor).to.equal(8_050n);
    expect('ok' in rows[1]! && rows[1].ok.amountMinor).to.equal(null);
    expect(bad(rows)).to.deep.include.members([
      { lineNo: 4, code: 'amount_exceeds_due', detail: 'amount > amount_due' },
    ]);
  });

  it('reports each bad row by its line and goes on', async () => {
    const lines = [
      header,
      good(1),
      good(2).replace('1280.50', '-3'),
      good(3).replace('1280.50', '0'),
      good(4).replace('CNY', 'USD'),
      good(5).replace('2026-11-22', '2026-02-30'),
      `${good(6)},extra`,
      good(7).replace('tok_account_7', '6222021234567890123'),
      good(8).replace('rp_8', ''),
      good(9),
    ];
    const { rows } = await read(lines.join('\n'));
    expect(bad(rows).map(({ lineNo, code }) => `${lineNo} ${code}`)).to.deep.equal([
      '3 row_invalid',
      '4 amount_not_positive',
      '5 row_invalid',
      '6 row_invalid',
      '7 csv_malformed',
      '8 row_invalid',
      '9 row_invalid',
    ]);
    expect(rows).to.have.length(9);
    expect(JSON.stringify(bad(rows)), 'no value is repeated').not.to.include('6222');
  });

  it('reports a row of GBK bytes and goes on', async () => {
    const gbk = Buffer.concat([
      Buffer.from(`${header}\n`),
      Buffer.from('rp_1,'),
      Buffer.from([0xd5, 0xc5, 0xc8, 0xfd]),
      Buffer.from(`,ICBC,tok_account_1,1234,CNY,1.00,2026-11-22\n${good(2)}\n`),
    ]);
    const { rows } = await read(gbk);
    expect(bad(rows)).to.deep.equal([
      { lineNo: 2, code: 'csv_not_utf8', detail: 'column borrower_id' },
    ]);
    expect(rows).to.have.length(2);
  });

  it('ignores a byte order mark, and says so', async () => {
    const { rows, notes } = await read(`\uFEFF${header}\r\n${good(1)}\r\n`);
    expect(notes).to.deep.equal(['csv_bom']);
    expect(bad(rows)).to.deep.equal([]);
  });

  it('loses no good row to a bad line: stray quotes stay in their line', async () => {
    const many = Array.from({ length: 3_000 }, (_, n) => good(n));
    many[10] = '"rp_x"z,unclosed';
    many[11] = '"rp_y,never closed,ICBC,tok_account_1,1234,CNY,1.00,2026-11-22';
    const { rows } = await read(`${header}\n${many.join('\n')}\n`);
    expect(rows).to.have.length(3_000);
    expect(bad(rows).map(({ lineNo }) => lineNo)).to.deep.equal([12, 13]);
  });

  it('loses no good row to another end of line: a file may have them mixed', async () => {
    const { rows } = await read(
      `${header}\r\n${good(1)}\n${good(2)}\r${good(3)}\r\n\r\n${good(4)}`,
    );
    expect(rows.map((row) => 'ok' in row && [row.ok.repayment.id, row.ok.lineNo])).to.deep.equal([
      ['rp_1', 2],
      ['rp_2', 3],
      ['rp_3', 4],
      ['rp_4', 6],
    ]);
  });

  it('reads line ends wherever the file is cut into pieces', async () => {
    // A stream hands out 64 KiB at a time.
    for (const before of [65_534, 65_535, 65_536]) {
      const lines = `${header}\r\n${good(1)}\r\n`;
      const count = Math.floor((before - lines.length) / 80);
      const filler = `${'#'.repeat(78)}\r\n`.repeat(count);
      const rest = before - lines.length - filler.length;
      const text = `${lines}${filler}${'#'.repeat(rest)}\r\n${good(2)}\r\n`;
      const { rows } = await read(text);
      const ids = rows.flatMap((row) => ('ok' in row ? [row.ok.repayment.id] : []));
      expect(ids).to.deep.equal(['rp_1', 'rp_2']);
      expect(rows).to.have.length(count + 3);
    }
  });

  it('reads columns that a program wrote in quotes', async () => {
    const quoted = (line: string) =>
      line
        .split(',')
        .map((text) => `"${text}"`)
        .join(',');
    const { rows } = await read(`\uFEFF${quoted(header)}\n${quoted(good(1))}\n`);
    expect(bad(rows)).to.deep.equal([]);
    expect('ok' in rows[0]! && rows[0].ok.repayment.dueMinor).to.equal(128_050n);
  });

  it('refuses a file with a line that does not end', async () => {
    const endless = `${header}\n${good(1)}\n${'x'.repeat(50_000)}\n${good(2)}\n`;
    expect(await refusal(endless)).to.equal('csv_malformed');
    // No field of it holds anything.
    expect(await refusal(`${header}\n${good(1)}\n${','.repeat(20_000)}\n`)).to.equal(
      'csv_malformed',
    );
    expect(await refusal(','.repeat(20_000))).to.equal('csv_headers');
  });

  it('refuses a file that is wrong as a whole', async () => {
    expect(await refusal('')).to.equal('csv_headers');
    expect(await refusal(`${header}\n`)).to.equal('csv_empty');
    expect(await refusal('id,amount\n1,2\n')).to.equal('csv_headers');
    expect(await refusal(Buffer.from([0, 255, 254, 10, 13, 34]))).to.equal('csv_headers');
    expect(await refusal(good(1))).to.equal('csv_headers');
  });
});
