import { expect } from 'chai';
import { request } from 'node:http';
import { errorTable, type ErrorCode } from '../../src/errors.js';
import type { Role } from '../../src/http/ports.js';
import { amountMinor } from '../../src/money.js';
import { Api, unionAccount, type Answer, type Json } from './api.js';

interface Case {
  readonly name: string;
  readonly code: ErrorCode;
  readonly path?: string;
  readonly as?: Role;
  readonly body?: object | string;
  readonly headers?: Readonly<Record<string, string>>;
  /** What the answer holds beside the usual. */
  readonly holds?: Json;
}

const json = { 'content-type': 'application/json' };
const repaymentWire = {
  id: 'rp_new_1',
  borrower_id: 'bw_1',
  currency: 'CNY',
  due_minor: 100,
  due_date: '2026-11-22',
  bank_code: 'ICBC',
  account_token: 'tok_12345678',
  account_last4: '1234',
};
const registered = (change: object) => ({ repayments: [{ ...repaymentWire, ...change }] });

describe('bad input gets its code, and nothing is written', () => {
  let api: Api;

  before(async () => {
    api = await Api.start({ config: { bodyLimitBytes: 2_048 } });
    const named = (id: string, fields: object = {}) =>
      api.environment.repayment({ id: id as never, ...fields });
    await named('rp_open');
    await named('rp_paid');
    await named('rp_live', { account: unionAccount });
    await named('rp_bank', { account: { ...unionAccount, bankCode: 'NOBANK' } });
    await named('rp_huge', { dueMinor: amountMinor(3_000_000_000) });
    await api.holdBack();
    const paid = await api.deduct({ repayment_id: 'rp_paid' }, { headers: { prefer: 'wait=10' } });
    expect(paid.body).to.include({ status: 'succeeded' });
    await api.deduct({ repayment_id: 'rp_live' }, { headers: { prefer: 'wait=1' } });
  });
  after(async () => api.close());

  const cases: readonly Case[] = [
    { name: 'half a JSON', code: 'malformed_body', body: '{"repayment_id":', headers: json },
    { name: 'no JSON at all', code: 'malformed_body', body: 'hello', headers: json },
    { name: 'a list instead of an object', code: 'invalid_request', body: '[]', headers: json },
    { name: 'no body', code: 'invalid_request', headers: json },
    {
      name: 'an oversized body',
      code: 'body_too_large',
      body: { repayment_id: 'x'.repeat(3_000) },
    },
    {
      name: 'XML',
      code: 'unsupported_media_type',
      body: '<a/>',
      headers: { 'content-type': 'text/xml' },
    },
    {
      name: 'CSV where JSON belongs',
      code: 'unsupported_media_type',
      body: 'a,b',
      headers: { 'content-type': 'text/csv' },
    },
    {
      name: 'a compressed body',
      code: 'unsupported_media_type',
      body: { repayment_id: 'rp_open' },
      headers: { 'content-encoding': 'gzip' },
    },
    {
      name: 'a field too many',
      code: 'invalid_request',
      body: { repayment_id: 'rp_open', account: 1 },
    },
    {
      name: 'a prototype',
      code: 'invalid_request',
      body: '{"repayment_id":"rp_open","__proto__":{}}',
      headers: json,
    },
    {
      name: 'an amount as text',
      code: 'invalid_request',
      body: { repayment_id: 'rp_open', amount_minor: '100' },
    },
    {
      name: 'an amount with a fraction',
      code: 'invalid_request',
      body: { repayment_id: 'rp_open', amount_minor: 10.5 },
    },
    {
      name: 'an amount beyond numbers',
      code: 'invalid_request',
      body: '{"repayment_id":"rp_open","amount_minor":1e400}',
      headers: json,
    },
    { name: 'an id of the wrong form', code: 'invalid_request', body: { repayment_id: '../etc' } },
    {
      name: 'an app with a reason',
      code: 'invalid_request',
      body: { repayment_id: 'rp_open', reason: 'because' },
    },
    {
      name: 'amount zero',
      code: 'amount_not_positive',
      body: { repayment_id: 'rp_open', amount_minor: 0 },
    },
    {
      name: 'a negative amount',
      code: 'amount_not_positive',
      body: { repayment_id: 'rp_open', amount_minor: -5 },
    },
    {
      name: 'more than is due',
      code: 'amount_exceeds_due',
      body: { repayment_id: 'rp_open', amount_minor: 120_001 },
      holds: { outstanding_minor: 120_000 },
    },
    { name: 'an unknown repayment', code: 'repayment_unknown', body: { repayment_id: 'rp_none' } },
    { name: 'a paid repayment', code: 'repayment_settled', body: { repayment_id: 'rp_paid' } },
    {
      name: 'a second deduction while one is live',
      code: 'live_deduction_exists',
      body: { repayment_id: 'rp_live' },
      holds: { source: 'app', deduction_status: 'processing' },
    },
    {
      name: 'an unknown bank',
      code: 'bank_unknown',
      body: { repayment_id: 'rp_bank' },
      holds: { bank_code: 'NOBANK' },
    },
    {
      name: 'an amount no channel takes',
      code: 'no_eligible_channel',
      body: { repayment_id: 'rp_huge' },
    },
    {
      name: 'a repayment by an id of the wrong form',
      code: 'invalid_request',
      path: '/v1/repayments',
      as: 'operator',
      body: registered({ id: '' }),
    },
    {
      name: 'a repayment of nothing',
      code: 'amount_not_positive',
      path: '/v1/repayments',
      as: 'operator',
      body: registered({ due_minor: 0 }),
    },
    {
      name: 'a repayment with a card number',
      code: 'invalid_request',
      path: '/v1/repayments',
      as: 'operator',
      body: registered({ account_token: '6222021234567890123' }),
    },
    {
      name: 'a repayment on a day that never was',
      code: 'invalid_request',
      path: '/v1/repayments',
      as: 'operator',
      body: registered({ due_date: '2026-02-30' }),
    },
    {
      name: 'a repayment twice in one request',
      code: 'row_duplicate',
      path: '/v1/repayments',
      as: 'operator',
      body: { repayments: [repaymentWire, repaymentWire] },
    },
    {
      name: 'a repayment that is registered with other details, among good ones',
      code: 'repayment_mismatch',
      path: '/v1/repayments',
      as: 'operator',
      body: { repayments: [repaymentWire, { ...repaymentWire, id: 'rp_open' }] },
      holds: { repayment_ids: ['rp_open'] },
    },
    {
      name: 'a batch of no day',
      code: 'invalid_request',
      path: '/v1/batches',
      as: 'batch',
      body: { business_date: 'today' },
    },
    { name: 'a batch of nothing', code: 'invalid_request', path: '/v1/batches', as: 'batch' },
    {
      name: 'a preview of nothing',
      code: 'amount_not_positive',
      path: '/v1/routes/preview',
      body: { bank_code: 'ICBC', amount_minor: 0, currency: 'CNY' },
    },
    {
      name: 'a preview in dollars',
      code: 'invalid_request',
      path: '/v1/routes/preview',
      body: { bank_code: 'ICBC', amount_minor: 1, currency: 'USD' },
    },
  ];

  for (const { name, code, path = '/v1/deductions', as = 'app', body, headers, holds } of cases) {
    it(`${name}: ${code}`, async () => {
      const before = await api.counts();
      const answer = await api.call('POST', path, {
        as,
        headers: { 'idempotency-key': name.replaceAll(' ', '-'), ...headers },
        ...(body === undefined ? {} : { body }),
      });
      expectProblem(answer, code);
      expect(answer.body).to.deep.include(holds ?? {});
      expect(await api.counts()).to.deep.equal(before);
    });
  }

  it('says of every field what is wrong, and never repeats a value', async () => {
    const answer = await api.deduct({
      repayment_id: 6222,
      amount_minor: '4111111111111111',
      card: 1,
    });
    expect(answer.body['problems']).to.deep.include.members([
      {
        in: 'body',
        field: 'repayment_id',
        message: 'Invalid input: expected string, received number',
      },
      {
        in: 'body',
        field: 'amount_minor',
        message: 'a whole number of minor units (fen)',
      },
      { in: 'body', field: 'card', message: 'there is no field card' },
    ]);
    expect(answer.text).not.to.include('4111');
  });

  it('text that is not UTF-8: malformed_body', async () => {
    const bytes = Buffer.concat([
      Buffer.from('{"repayment_id":"'),
      Buffer.from([0xbb, 0xb9, 0xbf, 0xee]),
      Buffer.from('"}'),
    ]);
    const answer = await raw(api, bytes, { ...json, 'idempotency-key': 'gbk' });
    expect(answer).to.deep.include({ status: 400, code: 'malformed_body' });
  });

  it('an oversized body without a length is cut off: body_too_large', async () => {
    const before = await api.counts();
    const big = Buffer.from(`{"repayment_id":"${'x'.repeat(100_000)}"}`);
    const answer = await raw(api, big, {
      ...json,
      'idempotency-key': 'big',
      'transfer-encoding': 'chunked',
    });
    expect(answer).to.deep.include({ status: 413, code: 'body_too_large' });
    expect(await api.counts()).to.deep.equal(before);
  });

  for (const [method, path, as, code] of [
    ['GET', '/v1/deductions/019a9e6c-5a00-7c3e-8f1d-0242ac120002', 'app', 'deduction_unknown'],
    ['GET', '/v1/deductions/none', 'app', 'deduction_unknown'],
    ['POST', '/v1/deductions/none/ask', 'operator', 'deduction_unknown'],
    ['GET', '/v1/repayments/none', 'app', 'repayment_unknown'],
    ['GET', '/v1/repayments/%20', 'app', 'repayment_unknown'],
    ['GET', '/v1/batches/none', 'batch', 'batch_unknown'],
    ['POST', '/v1/batches/none/pause', 'batch', 'batch_unknown'],
    ['GET', '/v1/batches/019a9e6c-5a00-7c3e-8f1d-0242ac120002/rejected', 'batch', 'batch_unknown'],
    ['GET', '/v1/deductions?limit=101', 'app', 'invalid_request'],
    ['GET', '/v1/deductions?limit=0', 'app', 'invalid_request'],
    ['GET', '/v1/deductions?cursor=abc', 'app', 'invalid_request'],
    ['GET', '/v1/deductions?status=lost', 'app', 'invalid_request'],
    ['GET', '/v1/deductions?colour=red', 'app', 'invalid_request'],
    ['GET', '/v1/cases?open=maybe', 'operator', 'invalid_request'],
    ['GET', '/v1/nothing', 'app', 'not_found'],
    ['GET', '/', 'app', 'not_found'],
    ['GET', '/v1/deductions/%zz', 'app', 'malformed_request'],
    ['DELETE', '/v1/deductions', 'app', 'method_not_allowed'],
    ['GET', '/v1/routes/preview', 'app', 'method_not_allowed'],
    ['PUT', '/healthz', undefined, 'method_not_allowed'],
  ] as const) {
    it(`${method} ${path}: ${code}`, async () => {
      expectProblem(await api.call(method, path, { as }), code);
    });
  }

  it('names the methods that are allowed', async () => {
    const answer = await api.call('PATCH', '/v1/deductions', { as: 'app', body: '{' });
    expect(answer.headers.get('allow')).to.equal('GET, HEAD, POST');
  });
});

function expectProblem(answer: Answer, code: ErrorCode): void {
  const [status, title, action] = errorTable[code];
  expect(answer.body, answer.text).to.include({
    type: `urn:recoup:problem:${code}`,
    code,
    status,
    title,
    action,
  });
  expect(answer.status).to.equal(status);
  expect(answer.headers.get('content-type')).to.equal('application/problem+json; charset=utf-8');
  expect(answer.body['request_id']).to.equal(answer.headers.get('x-request-id'));
}

/** Bytes as they are: fetch would mend them. */
async function raw(
  api: Api,
  body: Buffer,
  headers: Readonly<Record<string, string>>,
): Promise<{ status: number | undefined; code: unknown }> {
  return await new Promise((resolve, reject) => {
    const asking = request(
      `${api.base}/v1/deductions`,
      { method: 'POST', headers: { authorization: 'Bearer secret-app', ...headers } },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        response.on('end', () => {
          resolve({ status: response.statusCode, code: (JSON.parse(text) as Json)['code'] });
        });
      },
    );
    asking.on('error', reject);
    asking.end(body);
  });
}
