import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import type { LookupAddress } from 'node:dns';
import { expect } from 'chai';
import { isPublic } from '../../src/notices/addresses.js';
import { urlProblem } from '../../src/notices/guard.js';
import { HttpPoster, type PosterParts } from '../../src/notices/http-poster.js';

const internal = [
  '127.0.0.1',
  '127.255.255.254',
  '0.0.0.0',
  '0.1.2.3',
  '10.1.2.3',
  '100.64.0.1',
  '100.100.100.200',
  '169.254.169.254',
  '168.63.129.16',
  '172.16.0.1',
  '172.31.255.255',
  '192.0.0.192',
  '192.168.1.1',
  '198.18.0.1',
  '224.0.0.1',
  '240.0.0.1',
  '255.255.255.255',
  '::',
  '::1',
  '::ffff:127.0.0.1',
  '::ffff:8.8.8.8',
  '::127.0.0.1',
  '64:ff9b::7f00:1',
  '2001::1',
  '2001:db8::1',
  '2002:7f00:1::',
  'fc00::1',
  'fd00:ec2::254',
  'fe80::1',
  'fe80::1%eth0',
  '2606:4700::1111%eth0',
  'fec0::1',
  'ff02::1',
  '100::1',
  '',
  'localhost',
  '8.8.8.8.',
  '0x7f000001',
];
const outside = ['8.8.8.8', '100.63.0.1', '100.128.0.1', '172.32.0.1', '2606:4700:4700::1111'];

describe('where notices may be sent', () => {
  it('is to public addresses and no others', () => {
    expect(internal.filter((address) => isPublic(address))).to.eql([]);
    expect(outside.filter((address) => !isPublic(address))).to.eql([]);
  });

  it('is to URLs that begin with https and say nothing odd', () => {
    const strict = { allowInternal: false };
    const wrong = [
      'http://example.com/',
      'ftp://example.com/',
      'file:///etc/passwd',
      'example.com',
      'https://user:pass@example.com/',
      'https://example.com/#x',
      'https://127.0.0.1/',
      'https://127.1/',
      'https://2130706433/',
      'https://0x7f.1/',
      'https://0177.0.0.1/',
      'https://[::1]/',
      'https://[::ffff:127.0.0.1]/',
      'https://[fd00:ec2::254]/',
      'https://169.254.169.254/latest/meta-data/',
      'https://localhost:8443/',
      'https://db.internal/',
      'https://db.internal./',
      `https://example.com/${'x'.repeat(500)}`,
    ];
    expect(wrong.filter((url) => urlProblem(url, strict) === null)).to.eql([]);
    const right = ['https://example.com/hooks?x=1', 'https://8.8.8.8:8443/', 'https://例え.jp/'];
    expect(right.filter((url) => urlProblem(url, strict) !== null)).to.eql([]);
    const open = { allowInternal: true };
    expect(urlProblem('http://127.0.0.1:9/', open)).to.equal(null);
    expect(urlProblem('gopher://127.0.0.1/', open)).to.not.equal(null);
  });
});

describe('posting a notice', () => {
  /** The internal one must never be reached; both listen on one port. */
  let internalServer: Server;
  let publicServer: Server;
  let port: number;
  const arrived: string[] = [];
  let answer: (path: string) => { status: number; headers?: Record<string, string>; body?: string };
  const posters: HttpPoster[] = [];

  const listen = async (host: string, at: number): Promise<Server> => {
    const server = createServer((request, response) => {
      arrived.push(`${host}${request.url}`);
      request.resume();
      if (request.url === '/hang') return;
      if (request.url === '/drip') {
        response.writeHead(500).write('x');
        const drip = setInterval(() => response.write('x'), 100);
        response.on('close', () => clearInterval(drip));
        return;
      }
      const { status, headers = {}, body = '' } = answer(request.url ?? '');
      response.writeHead(status, headers).end(body);
    });
    server.listen(at, host);
    await once(server, 'listening');
    return server;
  };

  before(async () => {
    internalServer = await listen('127.0.0.1', 0);
    ({ port } = internalServer.address() as AddressInfo);
    // In this test 127.0.0.2 is the internet.
    publicServer = await listen('127.0.0.2', port);
  });
  beforeEach(() => {
    arrived.length = 0;
    answer = () => ({ status: 204 });
  });
  after(async () => {
    await Promise.all(posters.map((one) => one.close()));
    for (const server of [internalServer, publicServer]) server.closeAllConnections();
    internalServer.close();
    publicServer.close();
  });

  const isAllowed = (address: string): boolean => address === '127.0.0.2';

  /** Answers each lookup with the next of these, and the last for ever. */
  function resolving(...answers: readonly (readonly string[])[]) {
    const asked: string[] = [];
    const resolve: PosterParts['resolve'] = (host, done) => {
      const addresses = answers[Math.min(asked.length, answers.length - 1)] ?? [];
      asked.push(host);
      done(
        null,
        addresses.map((address): LookupAddress => ({ address, family: 4 })),
      );
    };
    const poster = new HttpPoster(
      { timeoutMs: 1_000, allowInternal: true },
      { resolve, isAllowed },
    );
    posters.push(poster);
    const post = async (path = '/', host = 'crm.example.com') =>
      await poster.post({ url: `http://${host}:${port}${path}`, headers: {}, body: '{}' });
    return { post, asked };
  }

  it('goes to the address that was checked, and to no other', async () => {
    const { post, asked } = resolving(['127.0.0.2'], ['127.0.0.1']);
    expect(await post()).to.include({ kind: 'answered', status: 204 });
    expect(arrived).to.eql(['127.0.0.2/']);
    expect(asked).to.eql(['crm.example.com']);
  });

  it('is refused when the name answers differently the second time', async () => {
    const { post, asked } = resolving(['127.0.0.2'], ['127.0.0.1']);
    answer = () => ({ status: 500, headers: { connection: 'close' } });
    await post();
    const second = await post();
    expect(asked).to.have.length(2);
    expect(second).to.eql({
      kind: 'unanswered',
      why: 'not sent: crm.example.com resolves to 127.0.0.1, an internal address',
    });
    expect(arrived).to.eql(['127.0.0.2/']);
  });

  it('is refused when only one of several addresses is internal', async () => {
    const { post } = resolving(['127.0.0.2', '127.0.0.1']);
    expect(await post()).to.include({ kind: 'unanswered' });
    expect(await resolving([]).post()).to.include({ kind: 'unanswered' });
    expect(arrived).to.eql([]);
  });

  it('is refused for an address that is not looked up at all', async () => {
    const { post } = resolving(['127.0.0.2']);
    for (const host of ['127.0.0.1', '2130706433', '[::ffff:127.0.0.1]']) {
      const { why = '' } = (await post('/', host)) as { why?: string };
      expect(why, host).to.match(/^not sent: .* internal/);
    }
    expect(arrived).to.eql([]);
  });

  it('follows no redirect', async () => {
    const { post } = resolving(['127.0.0.2']);
    answer = () => ({ status: 302, headers: { location: `http://127.0.0.1:${port}/inside` } });
    expect(await post()).to.include({ kind: 'answered', status: 302 });
    expect(arrived).to.eql(['127.0.0.2/']);
  });

  it('ends within its time-out, and reads little of the answer', async () => {
    const { post } = resolving(['127.0.0.2']);
    const began = performance.now();
    expect(await post('/hang')).to.eql({
      kind: 'unanswered',
      why: 'no answer within the time-out',
    });
    expect(await post('/drip')).to.include({ kind: 'answered', status: 500 });
    expect(performance.now() - began).to.be.lessThan(10_000);
    answer = () => ({ status: 500, body: 'card 6222020200112233445 '.repeat(400_000) });
    const long = await post();
    expect(long).to.include({ kind: 'answered', status: 500 });
    const { excerpt } = long as { excerpt: string };
    expect(excerpt.length).to.be.lessThan(201);
    expect(excerpt).to.match(/^card \[digits\] card/);
  });

  it('says what a destination asks us to wait', async () => {
    const { post } = resolving(['127.0.0.2']);
    answer = () => ({ status: 429, headers: { 'retry-after': '120' } });
    expect(await post()).to.include({ status: 429, retryAfterMs: 120_000 });
  });
});
