// Writes the due repayments that the demo collects: the same bytes every time.
//
//   node scripts/make-due-repayments.mjs [rows] > due.csv
//   node scripts/make-due-repayments.mjs > examples/due-repayments.csv
//
// Good rows: nine banks (some of which only one or two channels serve), amounts mostly of an ordinary
// instalment and now and then exactly at a channel's limit or a fen past it, and accounts whose token
// tells the sandbox's bank what to answer (docs/sandbox.md). Bad rows: one of each kind that a file
// from a lender is known to hold.

import { writeSync } from 'node:fs';

const goodRowsUsual = 2_200;
const dueDate = '2026-11-25';
const header =
  'repayment_id,borrower_id,bank_code,account_token,account_last4,currency,amount_due,due_date';

/** Share of the rows in per cent. CMB and BCM are small: one cheap channel serves them. */
const banks = [
  ['ICBC', 22],
  ['CCB', 19],
  ['ABC', 16],
  ['BOC', 13],
  ['CMB', 7],
  ['BCM', 6],
  ['PSBC', 8],
  ['CITIC', 5],
  ['CEB', 4],
];

/** What the account's bank will say, per mille of the rows. The rest is left to the sandbox's dice. */
const fates = [
  ['insufficient', 25],
  ['closed', 6],
  ['invalid', 5],
  ['cancelled', 5],
  ['risk', 8],
  ['bankdown', 8],
  ['limit', 5],
  ['nocontract', 5],
  ['slow', 12],
  ['ok', 60],
];

/** At and around what the channels of examples/channels.demo.yaml take in one go, in fen. */
const edges = [
  ['ICBC', 5_000_000],
  ['ICBC', 5_000_001],
  ['CCB', 5_000_001],
  ['ABC', 2_000_000],
  ['ABC', 2_000_001],
  ['BOC', 500_000],
  ['BOC', 500_001],
  ['BCM', 1_000_000],
  ['CMB', 500_000],
  ['CMB', 500_001],
  ['PSBC', 500_000],
  ['PSBC', 500_001],
  ['CITIC', 5_000_000],
  ['CEB', 5_000_000],
  ['ICBC', 100],
  ['CCB', 99],
  ['ABC', 1],
];

function random(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

function pick(weighted, whole, draw) {
  let left = draw * whole;
  for (const [name, weight] of weighted) {
    left -= weight;
    if (left < 0) return name;
  }
  return null;
}

const yuan = (fen) => `${Math.floor(fen / 100)}.${String(fen % 100).padStart(2, '0')}`;
const padded = (number) => String(number).padStart(6, '0');

function goodRow(number, count, draw) {
  const edge = number % 120 === 60 ? edges[Math.floor(number / 120) % edges.length] : undefined;
  const bank = edge?.[0] ?? pick(banks, 100, draw());
  // Many small instalments and a few large ones: 60 to about 2,000 yuan.
  const fen = edge?.[1] ?? Math.round(6_000 + 190_000 * draw() ** 3);
  const drawn = pick(fates, 1_000, draw()) ?? 'acct';
  // A slow bank takes up to half a minute: at the end of the file everybody would wait for it.
  const fate = drawn === 'slow' && number > count * 0.6 ? 'ok' : drawn;
  const last4 = String(Math.floor(draw() * 10_000)).padStart(4, '0');
  const token = `tok_${edge === undefined ? fate : 'ok'}_${padded(number)}`;
  const id = `RP-2611-${padded(number)}`;
  return [id, `B-${padded(number)}`, bank, token, last4, 'CNY', yuan(fen), dueDate].join(',');
}

/** Bytes of 张三 as a GBK export writes them: no UTF-8. */
const gbkName = Buffer.from([0xd5, 0xc5, 0xc8, 0xfd]);

function badRows(firstRow) {
  const row = (n, changes) =>
    Object.values({
      id: `RP-BAD-${String(n).padStart(2, '0')}`,
      borrower: `B-BAD-${n}`,
      bank: 'ICBC',
      token: `tok_ok_bad${n}00`,
      last4: '0001',
      currency: 'CNY',
      amount: '100.00',
      due: dueDate,
      ...changes,
    }).join(',');
  return [
    row(1, { amount: '-5.00' }),
    row(2, { amount: '0.00' }),
    row(3, { amount: '1280.505' }),
    row(4, { amount: '"1,280.50"' }),
    firstRow,
    Buffer.concat([
      Buffer.from('RP-BAD-06,'),
      gbkName,
      Buffer.from(`,ICBC,tok_ok_bad600,0001,CNY,100.00,${dueDate}`),
    ]),
    row(7, {}).split(',').slice(0, 6).join(','),
    `${row(8, {})},one column too many,and another`,
    row(9, { bank: 'NOBANK' }),
    row(10, { bank: 'icbc' }),
    row(11, { currency: 'USD' }),
    // Not a real number, but the form of one: never let into a table (rule 13).
    row(12, { token: '6222020000000000' }),
    row(13, { due: '2026-02-30' }),
    row(14, { last4: '12' }),
    row(15, { bank: 'ICBC', amount: '200000.01' }),
    row(16, { id: 'RP BAD 16' }),
  ];
}

function lines(count) {
  const draw = random(20_261_122);
  const good = Array.from({ length: count }, (_, index) => goodRow(index + 1, count, draw));
  const bad = badRows(good[0]);
  const all = [...good];
  // Spread over the file, never on its first lines: whoever reads it sees good rows first.
  for (const [index, row] of bad.entries()) {
    all.splice(Math.floor(((index + 1) * all.length) / (bad.length + 1)), 0, row);
  }
  return [header, ...all];
}

const count = Number(process.argv[2] ?? goodRowsUsual);
if (!(Number.isInteger(count) && count >= 1 && count <= 1_000_000)) {
  console.error('usage: node scripts/make-due-repayments.mjs [rows: 1 to 1000000] > due.csv');
  process.exit(2);
}
const feed = Buffer.from('\n');
const file = Buffer.concat(
  lines(count).flatMap((line) => [Buffer.isBuffer(line) ? line : Buffer.from(line), feed]),
);
for (let at = 0; at < file.length;) at += writeSync(1, file, at);
