import { formatDecimalAmount } from '../money.js';
import {
  columnsOf,
  LineFault,
  parseIsoTime,
  parseYuan,
  rawRow,
  trailerOf,
  utf8,
  writeIsoTime,
  type StatementDialect,
} from './statement-dialect.js';
import { statementCurrency } from './statement.js';

const columns = 'type,order_no,channel_ref,status,amount,fee,completed_at';

/**
 * CSV in UTF-8 with line feeds. No column ever needs a quote, so a quote is no part of the form: one
 * bad line can so never swallow those after it.
 *
 *   statement,v1,swiftpay,M-RECOUP-01,2026-11-22,CNY
 *   type,order_no,channel_ref,status,amount,fee,completed_at
 *   capture,R0…01,SW12AB,succeeded,1280.50,2.57,2026-11-22T15:03:04.123+08:00
 *   total,1,1280.50,0.00,2.57,<sha256 of all bytes before this line>
 *
 * Where anything was paid out, its sum stands after the fees.
 */
export const csvDialect: StatementDialect = {
  compressed: false,
  lineEnd: '\n',
  ...utf8,
  head: ({ channelId, merchantId, date }) => [
    `statement,v1,${channelId},${merchantId},${date},${statementCurrency}`,
    columns,
  ],
  trailerBegins: 'total,',
  row: (line) => rawRow(line.split(',')),
  writeRow: (row) => columnsOf(row).join(','),
  trailer(line) {
    const fields = line.split(',');
    if (fields.length !== 6 && fields.length !== 7) {
      throw new LineFault('trailer', 'total and five values, or six with what was paid out');
    }
    const [, rows = '', captured = '', refunded = '', fees = ''] = fields;
    const paidOut = fields.length === 7 ? fields[5] : undefined;
    const sha256 = fields.at(-1) ?? '';
    return trailerOf({ rows, captured, refunded, fees, paidOut, sha256 }, parseYuan);
  },
  writeTrailer: ({ totals, sha256 }) =>
    [
      'total',
      totals.rows,
      formatDecimalAmount(totals.capturedMinor),
      formatDecimalAmount(totals.refundedMinor),
      formatDecimalAmount(totals.feeMinor),
      ...(totals.paidOutMinor > 0n ? [formatDecimalAmount(totals.paidOutMinor)] : []),
      sha256,
    ].join(','),
  words: {
    capture: 'capture',
    refund: 'refund',
    payout: 'payout',
    succeeded: 'succeeded',
    failed: 'failed',
  },
  parseAmount: parseYuan,
  writeAmount: formatDecimalAmount,
  parseTime: parseIsoTime,
  writeTime: writeIsoTime,
};
