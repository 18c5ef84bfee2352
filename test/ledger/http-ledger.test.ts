import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import type { Services } from '../../src/composition/root.js';
import { entryFor } from '../../src/ledger/entry-for.js';
import type { LedgerEntry } from '../../src/ledger/entry.js';
import { HttpLedger, judged } from '../../src/ledger/http-ledger.js';
import { startEnvironment, type TestEnvironment } from '../support/environment.js';
import { bodyFor, Books, straight } from './books.js';

/** A lender's accounting service: it books a key once, and says what it has. */
class AccountingService {
  /** Idempotency key -> the digest it was booked with. */
  readonly booked = new Map<string, string>();
  readonly requests: { key: string; authorization: string | undefined; body: string }[] = [];
  /** What it does instead of answering well, for the keys given. */
  readonly spoilt = new Map<string, (response: ServerResponse) => void>();

  private constructor(private readonly server: Server) {}

  static async start(): Promise<AccountingService> {
    const server = createServer();
    const service = new AccountingService(server);
    server.on('request', (request, response) => void service.#answer(request, response));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return service;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/entries`;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = '';
    for await (const chunk of request) body += String(chunk);
    const key = String(request.headers['idempotency-key']);
    this.requests.push({ key, authorization: request.headers.authorization, body });
    const { content_sha256: digest } = JSON.parse(body) as { content_sha256: string };
    const before = this.booked.get(key);
    this.booked.set(key, before ?? digest);
    const spoil = this.spoilt.get(key);
    if (spoil !== undefined) return spoil(response);
    response.statusCode = before === undefined ? 201 : 409;
    response.end(JSON.stringify({ content_sha256: this.booked.get(key) }));
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }
}

function entry(key: string, amountMinor = '120000'): LedgerEntry {
  const body = bodyFor(key, { amountMinor });
  const topic = 'ledger.repayment_collected';
  const reading = entryFor({ id: '1', topic, key, body, createdAtMs: 0, tries: 0 });
  if (reading.kind !== 'entry') throw new Error(reading.kind);
  return reading.entry;
}

describe("a lender's accounting service", () => {
  let service: AccountingService;
  beforeEach(async () => {
    service = await AccountingService.start();
  });
  afterEach(async () => service.stop());

  const ledger = (timeoutMs = 5_000): HttpLedger =>
    new HttpLedger({ url: service.url, token: 'secret', timeoutMs });

  it('gets each entry under its source as idempotency key', async () => {
    expect(await ledger().post([entry('d-1'), entry('d-2')])).to.eql([
      { kind: 'posted' },
      { kind: 'posted' },
    ]);
    const [first] = service.requests;
    expect(first?.key).to.equal('ledger.repayment_collected/d-1');
    expect(first?.authorization).to.equal('Bearer secret');
    expect(JSON.parse(first?.body ?? '')).to.deep.include({
      currency: 'CNY',
      deduction_id: 'd-1',
      transfers: [
        {
          debit_account: 'channel_clearing:swiftpay',
          credit_account: 'borrower_receivable',
          amount_minor: 120_000,
        },
      ],
    });
  });

  it('is sent the very same again after a time-out, and says that it has it', async () => {
    service.spoilt.set('ledger.repayment_collected/d-1', () => undefined);
    const [lost] = await ledger(500).post([entry('d-1')]);
    expect(lost?.kind).to.equal('unknown');
    service.spoilt.clear();
    expect(await ledger().post([entry('d-1')])).to.eql([{ kind: 'posted' }]);
    const [first, second] = service.requests;
    expect(second?.body).to.equal(first?.body);
    expect(second?.key).to.equal(first?.key);
  });

  it('is not believed when it takes the key but holds other content', async () => {
    await ledger().post([entry('d-1')]);
    const [result] = await ledger().post([entry('d-1', '999')]);
    expect(result).to.include({ kind: 'refused', reason: 'conflict' });
  });

  it('is left in peace when it does not answer: the rest of a batch is not tried', async () => {
    const gone = new HttpLedger({ url: 'http://127.0.0.1:1/', token: null, timeoutMs: 1_000 });
    const results = await gone.post(Array.from({ length: 60 }, (_, at) => entry(`d-${at}`)));
    const kinds = results.map(({ kind }) => kind);
    expect(kinds.filter((kind) => kind === 'unknown').length).to.be.within(8, 16);
    expect(kinds.at(-1)).to.equal('not_tried');
  });

  const digest = 'a'.repeat(64);
  const echo = JSON.stringify({ content_sha256: digest });
  const judgements: readonly (readonly [number, string, string])[] = [
    [200, echo, 'posted'],
    [201, echo, 'posted'],
    [409, echo, 'posted'],
    [200, '<html>welcome</html>', 'unknown'],
    [200, JSON.stringify({ content_sha256: 'b'.repeat(64) }), 'unknown'],
    [202, echo, 'unknown'],
    [302, '', 'unknown'],
    [409, '', 'unknown'],
    [409, JSON.stringify({ content_sha256: 'b'.repeat(64) }), 'refused'],
    [400, 'no', 'refused'],
    [422, 'no', 'refused'],
    [401, 'no', 'unknown'],
    [404, 'no', 'unknown'],
    [429, 'no', 'unknown'],
    [500, echo, 'unknown'],
    [503, '', 'unknown'],
  ];
  for (const [status, text, kind] of judgements) {
    it(`${status} ${text.slice(0, 30)} is ${kind}`, () => {
      expect(judged(status, text, digest).kind).to.equal(kind);
    });
  }

  it('does not bring account numbers into our evidence', () => {
    const result = judged(422, 'account 6222 0212 3456 7890 123 is closed', digest);
    expect(result).to.deep.include({ kind: 'refused', evidence: '422: account # is closed' });
  });

  describe('instead of our tables', () => {
    let environment: TestEnvironment;
    before(async () => {
      environment = await startEnvironment();
    });
    after(async () => environment.close());

    it('has every message once, and our books have none', async () => {
      const books = new Books(environment);
      const services: Services = await environment.compose({
        config: { ledgerUrl: service.url, ledgerTimeoutMs: 5_000, ledgerRetryMs: [0, 0, 0, 0] },
        wrappers: { ledger: { queue: () => straight(() => services.ledger.consumer) } },
      });
      const poison = await books.tell({ key: 'poison' });
      await Promise.all(Array.from({ length: 10 }, (_, at) => books.tell({ key: `m-${at}` })));
      service.spoilt.set('ledger.repayment_collected/poison', (response) => {
        response.statusCode = 422;
        response.end('no such channel');
      });
      // Booked, and the answer lost, once.
      service.spoilt.set('ledger.repayment_collected/m-3', (response) => {
        service.spoilt.delete('ledger.repayment_collected/m-3');
        response.destroy();
      });
      await books.deliver(services);
      expect(service.booked.size).to.equal(11);
      const resent = service.requests.filter(({ key }) => key.endsWith('/m-3'));
      expect(resent).to.have.length(2);
      expect(resent[1]).to.eql(resent[0]);
      expect(await books.deadLetter(poison)).to.include({
        kind: 'refused',
        evidence: '422: no such channel',
      });
      const balance = await services.ledger.reads.trialBalance();
      expect(balance).to.include({ keptBy: 'lender', deadLettersOpen: 1 });
      expect(balance.accounts).to.eql([]);
      expect(balance.undelivered.messages).to.equal(1);
    });
  });
});
