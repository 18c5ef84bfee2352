import { formatDecimalAmount } from '../money.js';
import { decodeGbk, encodeGbk } from './gbk.js';
import {
  columnsOf,
  LineFault,
  parseCompactTime,
  parseYuan,
  rawRow,
  trailerOf,
  writeCompactTime,
  type StatementDialect,
} from './statement-dialect.js';
import { statementCurrency } from './statement.js';

const columns = [
  '交易类型',
  '商户订单号',
  '渠道流水号',
  '交易状态',
  '金额(元)',
  '手续费(元)',
  '完成时间',
];

/**
 * Tab-separated GBK with CRLF, as banks write it. No byte of a two-byte character is a tab or a line
 * end, so lines and columns can be told apart before anything is decoded.
 *
 *   对账单 渠道 unionlink 商户号 M-RECOUP-01 对账日期 20261122 币种 CNY
 *   交易类型 商户订单号 渠道流水号 交易状态 金额(元) 手续费(元) 完成时间
 *   扣款 R0…01 UN12AB 成功 1280.50 2.57 20261122150304
 *   合计 笔数 1 扣款 1280.50 退款 0.00 手续费 2.57 校验 <sha256 of all bytes before this line>
 *
 * Where anything was paid out, 付款 and its sum stand after the fees.
 */
export const tabGbkDialect: StatementDialect = {
  compressed: false,
  lineEnd: '\r\n',
  encode: encodeGbk,
  decode(line) {
    try {
      return decodeGbk(line);
    } catch {
      throw new LineFault('encoding', 'GBK');
    }
  },
  head: ({ channelId, merchantId, date }) => [
    [
      '对账单',
      '渠道',
      channelId,
      '商户号',
      merchantId,
      '对账日期',
      date.replaceAll('-', ''),
      '币种',
      statementCurrency,
    ].join('\t'),
    columns.join('\t'),
  ],
  trailerBegins: '合计\t',
  row: (line) => rawRow(line.split('\t')),
  writeRow: (row) => columnsOf(row).join('\t'),
  trailer(line) {
    const match =
      /^合计\t笔数\t([^\t]+)\t扣款\t([^\t]+)\t退款\t([^\t]+)\t手续费\t([^\t]+)(?:\t付款\t([^\t]+))?\t校验\t([^\t]+)$/.exec(
        line,
      );
    if (match === null) throw new LineFault('trailer', '合计 with five named values');
    const [, rows = '', captured = '', refunded = '', fees = '', paidOut, sha256 = ''] = match;
    return trailerOf({ rows, captured, refunded, fees, paidOut, sha256 }, parseYuan);
  },
  writeTrailer: ({ totals, sha256 }) =>
    [
      '合计',
      '笔数',
      totals.rows,
      '扣款',
      formatDecimalAmount(totals.capturedMinor),
      '退款',
      formatDecimalAmount(totals.refundedMinor),
      '手续费',
      formatDecimalAmount(totals.feeMinor),
      ...(totals.paidOutMinor > 0n ? ['付款', formatDecimalAmount(totals.paidOutMinor)] : []),
      '校验',
      sha256,
    ].join('\t'),
  words: { capture: '扣款', refund: '退款', payout: '付款', succeeded: '成功', failed: '失败' },
  parseAmount: parseYuan,
  writeAmount: formatDecimalAmount,
  parseTime: parseCompactTime,
  writeTime: writeCompactTime,
};
