import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import type { Book } from './book.js';
import { placementOf, type BookOrder } from './book-order.js';
import { channelRefOf } from './channel-ref.js';
import type { Placement, SandboxChannelId } from './channel-spec.js';

/**
 * What a channel says of a day, from the book: every capture, refund and payout and every order that was
 * declined on it, in the channel's own form. Dates are those of Shanghai. A small book is held in memory.
 */

interface StatementEntry {
  readonly type: 'capture' | 'refund' | 'payout';
  readonly orderNo: string;
  readonly ref: string;
  readonly succeeded: boolean;
  readonly amount: number;
  readonly fee: number;
  readonly at: number;
}

interface Totals {
  readonly rows: number;
  readonly captured: number;
  readonly refunded: number;
  readonly paidOut: number;
  readonly fees: number;
}

const shanghaiOffsetMs = 8 * 3_600_000;

export const isStatementDate = (text: string): boolean =>
  /^\d{4}-\d{2}-\d{2}$/.test(text) && !Number.isNaN(Date.parse(text));

export function statementOf(
  book: Book,
  channel: SandboxChannelId,
  date: string,
  merchant: string,
): Buffer {
  const entries = [...entriesOf(book, channel)]
    .filter(({ at }) => wall(at).startsWith(date))
    .sort((a, b) => a.at - b.at);
  const of = (type: StatementEntry['type']): number => total(entries, type, ({ amount }) => amount);
  const totals: Totals = {
    rows: entries.length,
    captured: of('capture'),
    refunded: of('refund'),
    paidOut: of('payout'),
    fees: total(entries, null, ({ fee }) => fee),
  };
  return (forms[channel] ?? csv)({ channel, date, merchant }, entries, totals);
}

function total(
  entries: readonly StatementEntry[],
  type: StatementEntry['type'] | null,
  what: (entry: StatementEntry) => number,
): number {
  return entries
    .filter((one) => one.succeeded && (type === null || one.type === type))
    .reduce((sum, one) => sum + what(one), 0);
}

function* entriesOf(book: Book, channel: SandboxChannelId): Generator<StatementEntry> {
  for (const order of book.orders(channel)) {
    const { orderNo, captures, refunds } = order;
    for (const [nth, { captureId, amountMinor, feeMinor, at }] of captures.entries()) {
      const ref = nth === 0 ? channelRefOf(order) : captureId;
      const money = { amount: amountMinor, fee: feeMinor, at };
      yield { type: 'capture', orderNo, ref, succeeded: true, ...money };
    }
    for (const { orderNo: own, refundId, amountMinor, at } of refunds) {
      const refundOrder = book.find(channel, own);
      const ref = refundOrder === undefined ? refundId : channelRefOf(refundOrder);
      yield { type: 'refund', orderNo: own, ref, succeeded: true, amount: amountMinor, fee: 0, at };
    }
    for (const [nth, execution] of order.executions.entries()) {
      const { executionId, amountMinor: amount, feeMinor: fee, at } = execution;
      const ref = nth === 0 ? channelRefOf(order) : executionId;
      yield { type: 'payout', orderNo, ref, succeeded: true, amount, fee, at };
    }
    if (order.state === 'declined' && order.fields !== null) {
      yield declined(order, placementOf(order.fields));
    }
  }
}

const declined = (order: BookOrder, placement: Placement): StatementEntry => ({
  type: placement === 'payout' || placement === 'refund' ? placement : 'capture',
  orderNo: order.orderNo,
  ref: channelRefOf(order),
  succeeded: false,
  amount: order.fields?.amountMinor ?? 0,
  fee: 0,
  at: order.lastAt,
});

interface About {
  readonly channel: SandboxChannelId;
  readonly date: string;
  readonly merchant: string;
}

type Form = (about: About, entries: readonly StatementEntry[], totals: Totals) => Buffer;

const csv: Form = ({ channel, date, merchant }, entries, totals) => {
  const { rows, captured, refunded, fees, paidOut } = totals;
  const lines = [
    `statement,v1,${channel},${merchant},${date},CNY`,
    'type,order_no,channel_ref,status,amount,fee,completed_at',
    ...entries.map(({ type, orderNo, ref, succeeded, amount, fee, at }) =>
      [type, orderNo, ref, status(succeeded), yuan(amount), yuan(fee), iso(at)].join(','),
    ),
  ];
  const body = Buffer.from(lines.map((line) => `${line}\n`).join(''));
  const paid = paidOut > 0 ? [yuan(paidOut)] : [];
  const sums = [rows, yuan(captured), yuan(refunded), yuan(fees), ...paid, sha256(body)];
  return Buffer.concat([body, Buffer.from(`total,${sums.join(',')}\n`)]);
};

const gbkTypes = { capture: '扣款', refund: '退款', payout: '付款' } as const;

const tabGbk: Form = ({ channel, date, merchant }, entries, totals) => {
  const { rows, captured, refunded, fees, paidOut } = totals;
  const day = date.replaceAll('-', '');
  const lines = [
    ['对账单', '渠道', channel, '商户号', merchant, '对账日期', day, '币种', 'CNY'],
    ['交易类型', '商户订单号', '渠道流水号', '交易状态', '金额(元)', '手续费(元)', '完成时间'],
    ...entries.map(({ type, orderNo, ref, succeeded, amount, fee, at }) => [
      gbkTypes[type],
      orderNo,
      ref,
      succeeded ? '成功' : '失败',
      yuan(amount),
      yuan(fee),
      wall(at).replaceAll(/\D/g, '').slice(0, 14),
    ]),
  ];
  const body = gbk(lines.map((line) => `${line.join('\t')}\r\n`).join(''));
  const money = ['扣款', yuan(captured), '退款', yuan(refunded), '手续费', yuan(fees)];
  if (paidOut > 0) money.push('付款', yuan(paidOut));
  const trailer = ['合计', '笔数', rows, ...money, '校验', sha256(body)];
  return Buffer.concat([body, gbk(`${trailer.join('\t')}\r\n`)]);
};

const jsonl: Form = ({ channel, date, merchant }, entries, totals) => {
  const lines = [
    { statement: 'v1', channel, merchant_id: merchant, date, currency: 'CNY' },
    ...entries.map(({ type, orderNo, ref, succeeded, amount, fee, at }) => ({
      type,
      order_no: orderNo,
      channel_ref: ref,
      status: succeeded ? 'SUCCESS' : 'FAILED',
      amount,
      fee,
      completed_at: iso(at),
    })),
  ];
  const body = Buffer.from(lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  const { paidOut, ...sums } = totals;
  const paid = paidOut > 0 ? { paid_out: paidOut } : {};
  const trailer = JSON.stringify({ total: { ...sums, ...paid, sha256: sha256(body) } });
  return gzipSync(Buffer.concat([body, Buffer.from(`${trailer}\n`)]));
};

const forms: Readonly<Partial<Record<SandboxChannelId, Form>>> = {
  swiftpay: csv,
  unionlink: tabGbk,
  oldbank: jsonl,
  voucherpay: csv,
};

const status = (succeeded: boolean): string => (succeeded ? 'succeeded' : 'failed');
const yuan = (minor: number): string => (minor / 100).toFixed(2);
const wall = (at: number): string => new Date(at + shanghaiOffsetMs).toISOString();
const iso = (at: number): string => wall(at).replace('Z', '+08:00');
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** The characters of the form above, and their two bytes each in GBK. */
const gbkCharacters =
  '交元功单号合商型失完对币态成户手扣数日时易期校款水流渠状种笔类续计订败账费退道金间额验付';
const gbkBytes =
  'bdbbd4aab9a6b5a5bac5bacfc9ccd0cdcaa7cdeab6d4b1d2ccacb3c9bba7cad6bfdbcafdc8d5cab1d2d7c6dad0a3bfee' +
  'cbaec1f7c7fed7b4d6d6b1cac0e0d0f8bcc6b6a9b0dcd5cbb7d1cdcbb5c0bdf0bce4b6eed1e9b8b6';

function gbk(text: string): Buffer {
  const parts = Array.from(text, (character) => {
    const at = gbkCharacters.indexOf(character);
    return at === -1
      ? Buffer.from(character, 'ascii')
      : Buffer.from(gbkBytes.slice(at * 4, at * 4 + 4), 'hex');
  });
  return Buffer.concat(parts);
}
