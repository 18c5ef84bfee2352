import { expect } from 'chai';
import type { Order } from '../../src/engine/order.js';
import type { ChargeAnswer } from '../../src/engine/reply.js';
import type { FaultName, FaultParams, FaultRule } from '../../src/sandbox/faults.js';
import { SandboxProcess, until, type BookedOrder } from '../sandbox/sandbox-process.js';
import { Practice, practiceOrder, practiceOrderOn } from './practice.js';

/** Short, so that what hangs does not hang for long; long enough for a machine that is busy. */
const chargeMs = 1_800;
const queryMs = 1_200;

interface Case {
  readonly fault: FaultName;
  readonly params?: FaultParams;
  /** Kind, then what distinguishes it: the why, the code, the proof or the field. */
  readonly answer: string;
  /** What the book says in the end. */
  readonly book: 'captured' | 'captured twice' | 'declined' | 'nothing';
}

const cases: readonly Case[] = [
  {
    fault: 'decline',
    params: { outcome: 'bank_unavailable' },
    answer: 'declined bank_unavailable',
    book: 'declined',
  },
  {
    fault: 'decline',
    params: { outcome: 'insufficient_funds' },
    answer: 'declined insufficient_funds',
    book: 'declined',
  },
  { fault: 'timeout_before', answer: 'unknown timeout', book: 'nothing' },
  { fault: 'timeout_after', answer: 'unknown timeout', book: 'captured' },
  { fault: 'late_effect', params: { delay_ms: 900 }, answer: 'unknown timeout', book: 'captured' },
  {
    fault: 'late_effect',
    params: { delay_ms: 100, answer: 'server_error' },
    answer: 'unknown server_error',
    book: 'captured',
  },
  { fault: 'reset_before', answer: 'unknown connection_lost', book: 'nothing' },
  { fault: 'reset_after', answer: 'unknown connection_lost', book: 'captured' },
  { fault: 'http_5xx_before', answer: 'unknown server_error', book: 'nothing' },
  { fault: 'http_5xx_after', answer: 'unknown server_error', book: 'captured' },
  {
    fault: 'http_5xx_after',
    params: { signed: true, status: 500 },
    answer: 'unknown server_error',
    book: 'captured',
  },
  { fault: 'garbage', answer: 'unknown bad_signature', book: 'captured' },
  { fault: 'half_response', answer: 'unknown connection_lost', book: 'captured' },
  { fault: 'slow_drip', params: { interval_ms: 50 }, answer: 'unknown timeout', book: 'captured' },
  { fault: 'huge_response', answer: 'unknown bad_response', book: 'captured' },
  { fault: 'throttled', answer: 'unknown throttled', book: 'nothing' },
  { fault: 'bad_signature', answer: 'unknown bad_signature', book: 'captured' },
  { fault: 'mismatch', params: { field: 'amount' }, answer: 'mismatch amount', book: 'captured' },
  {
    fault: 'mismatch',
    params: { field: 'order_no' },
    answer: 'mismatch order_no',
    book: 'captured',
  },
  {
    fault: 'mismatch',
    params: { field: 'currency' },
    answer: 'mismatch currency',
    book: 'captured',
  },
  {
    fault: 'mismatch',
    params: { field: 'merchant' },
    answer: 'mismatch merchant',
    book: 'captured',
  },
  {
    fault: 'unlisted_code',
    params: { code: 'E777' },
    answer: 'unknown unlisted_code',
    book: 'captured',
  },
  {
    fault: 'contradiction',
    params: { outcome: 'not_found' },
    answer: 'unknown unlisted_code',
    book: 'captured',
  },
];

const direct: readonly Case[] = [
  { fault: 'duplicate_capture', answer: 'succeeded', book: 'captured twice' },
  { fault: 'succeed', answer: 'succeeded', book: 'captured' },
  {
    fault: 'contradiction',
    params: { outcome: 'risk_refused' },
    answer: 'declined risk_refused',
    book: 'captured',
  },
];
const accepted: readonly Case[] = [
  { fault: 'duplicate_capture', answer: 'pending', book: 'captured twice' },
  { fault: 'succeed', answer: 'pending', book: 'captured' },
];

const channels = [
  { id: 'swiftpay', cases: [...cases, ...direct] },
  { id: 'oldbank', cases: [...cases, ...direct] },
  {
    id: 'unionlink',
    // It only says "accepted": the decline comes later.
    cases: [
      ...cases.map((one) => (one.fault === 'decline' ? { ...one, answer: 'pending' } : one)),
      ...accepted,
    ],
  },
];

function brief(answer: ChargeAnswer | { kind: 'not_found' }): string {
  const detail = { code: '', why: '', proof: '', field: '', ...answer };
  return `${answer.kind} ${detail.code}${detail.why}${detail.proof}${detail.field}`.trim();
}

const nameOf = (channel: string, { fault, params }: Case): string =>
  `${channel}: ${fault} ${params === undefined ? '' : JSON.stringify(params)}`.trim();

const ended = (order: BookedOrder | undefined): BookedOrder | false =>
  order !== undefined && order.state !== 'executing' && order;

describe('What the adapter makes of every fault of a charge', () => {
  let sandbox: SandboxProcess;
  let practice: Practice;
  const answers = new Map<string, Promise<ChargeAnswer>>();
  const orders = new Map<string, Order>();

  before(async () => {
    sandbox = await SandboxProcess.start({ latencyScale: 0.02 });
    practice = new Practice(sandbox.ready.env, (profile) => ({
      ...profile,
      timeouts: { charge_ms: chargeMs, query_ms: queryMs, close_ms: queryMs },
    }));
    // Whatever is slow the first time is not to be mistaken for a fault.
    for (const { id } of channels) await practice.channel(id).charge(practiceOrder(id));
    const rules: FaultRule[] = [];
    for (const { id, cases: own } of channels) {
      for (const one of own) {
        const order = practiceOrderOn(id, `tok_ok_${orders.size}`);
        orders.set(nameOf(id, one), order);
        const { fault, params = {} } = one;
        rules.push({
          channel: id as 'swiftpay',
          operation: 'charge',
          fault,
          orderNo: order.orderNo,
          params,
        });
      }
    }
    await sandbox.setFaults(rules);
    for (const { id, cases: own } of channels) {
      for (const one of own) {
        const order = orders.get(nameOf(id, one))!;
        const answer = practice.channel(order.channelId).charge(order);
        answers.set(nameOf(id, one), answer);
        // What hangs may hang together; what answers is not kept waiting by the others until it is late.
        if (!one.answer.endsWith('timeout')) await answer;
      }
    }
  });

  after(async () => {
    await practice.shutDown();
    await sandbox.stop();
  });

  for (const { id, cases: own } of channels) {
    for (const one of own) {
      it(`${nameOf(id, one)} → ${one.answer}`, async () => {
        const answer = await answers.get(nameOf(id, one));
        expect(brief(answer!)).to.equal(one.answer);
        await booked(one.book, orders.get(nameOf(id, one))!);
      });
    }
  }

  async function booked(what: Case['book'], { orderNo }: Order): Promise<void> {
    if (what === 'nothing') {
      expect(await sandbox.order(orderNo)).to.equal(undefined);
      return;
    }
    const order = await until('the order ends', async () => ended(await sandbox.order(orderNo)));
    const captures = { captured: 1, 'captured twice': 2, declined: 0 };
    expect(order.captures.length).to.equal(captures[what]);
    expect(order.state).to.equal(what === 'declined' ? 'declined' : 'captured');
  }

  it('ends every call within its time-out, however the answer drips', async () => {
    const order = practiceOrder('swiftpay');
    await sandbox.setFaults([
      { channel: 'swiftpay', operation: 'charge', fault: 'slow_drip', params: { interval_ms: 25 } },
    ]);
    const startedMs = performance.now();
    const answer = await practice.channel('swiftpay').charge(order);
    // Bytes every 25 ms keep any idle time-out from firing; the total one must.
    expect(brief(answer)).to.equal('unknown timeout');
    expect(performance.now() - startedMs).to.be.within(chargeMs - 20, chargeMs + 5_000);
  });

  it('says of each failed question that nothing is known', async () => {
    const faults = [
      'timeout_before',
      'reset_before',
      'http_5xx_after',
      'garbage',
      'half_response',
      'throttled',
      'bad_signature',
    ] as const;
    const asked = faults.flatMap((fault) =>
      ['swiftpay', 'unionlink'].map((id) => ({ id, fault, order: practiceOrder(id) })),
    );
    await sandbox.setFaults(
      asked.map(({ id, fault, order: { orderNo } }) => ({
        channel: id as 'swiftpay',
        operation: 'query',
        fault,
        orderNo,
      })),
    );
    const said = await Promise.all(asked.map(({ id, order }) => practice.channel(id).query(order)));
    expect(new Set(said.map(({ kind }) => kind))).to.deep.equal(new Set(['unknown']));
  });

  it('says of a failed close that nothing is known', async () => {
    const faults = [
      'timeout_before',
      'timeout_after',
      'reset_after',
      'http_5xx_after',
      'garbage',
      'bad_signature',
      'mismatch',
    ] as const;
    const closed = faults.map((fault) => ({ fault, order: practiceOrder('unionlink') }));
    await sandbox.setFaults(
      closed.map(({ fault, order: { orderNo } }) => ({
        channel: 'unionlink',
        operation: 'close',
        fault,
        orderNo,
        ...(fault === 'mismatch' ? { params: { field: 'order_no' as const } } : {}),
      })),
    );
    const said = await Promise.all(
      closed.map(async ({ order }) => await practice.channel('unionlink').close?.(order)),
    );
    expect(new Set(said.map((answer) => answer?.kind))).to.deep.equal(new Set(['unknown']));
  });
});
