import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { startEnvironment, type TestEnvironment } from '../support/environment.js';
import { ended, ready, recoup, recoupHere, start } from './recoup.js';

describe('Processes of recoup that stay', () => {
  let surroundings: TestEnvironment;
  let folder = '';
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'recoup-cli-'));
    surroundings = await startEnvironment();
  });
  after(async () => {
    await surroundings.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it('serve: is ready when it says so, collects with --worker, and ends at SIGTERM', async () => {
    const server = start(surroundings.env, 'serve', '--port', '0', '--worker', '--json');
    const gone = ended(server);
    const { url } = await ready<{ url: string }>(server);
    expect((await fetch(`${url}/healthz`)).status).to.equal(200);
    expect((await fetch(`${url}/readyz`)).status).to.equal(200);
    expect((await fetch(`${url}/v1/deductions`)).status).to.equal(401);
    const create = ['keys', 'create', '--role', 'app', '--name', 'shop', '--json'];
    const made = await recoupHere(surroundings.env, ...create);
    const { key } = made.json as unknown as { key: string };
    const { id } = await surroundings.repayment();
    const answer = await fetch(`${url}/v1/deductions`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${key}`,
        'content-type': 'application/json',
        'idempotency-key': 'first',
        prefer: 'wait=10',
      },
      body: JSON.stringify({ repayment_id: id }),
    });
    expect(answer.status).to.equal(200);
    expect(await answer.json()).to.include({ status: 'succeeded' });
    server.kill('SIGTERM');
    const { code, json } = await gone;
    expect(code).to.equal(0);
    expect(json).to.include({ stopped: true, drained: true });
  });

  it('serve: exits 5 where the address is taken', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as AddressInfo;
    const env = surroundings.env;
    const { code, json } = await recoup(env, 'serve', '--port', String(port), '--json');
    taken.close();
    expect(code).to.equal(5);
    expect(json['error']).to.include({ code: 'address_in_use' });
  });

  it('worker and serve: exit 5 on a schema that is not up to date, and name the cure', async () => {
    const bare = new URL(surroundings.env['RECOUP_MIGRATION_URL'] ?? '');
    bare.pathname = '/mysql';
    const env = { ...surroundings.env, RECOUP_DATABASE_URL: bare.href };
    const { code, err } = await recoup(env, 'worker');
    expect(code).to.equal(5);
    expect(err).to.include('[schema_outdated]').and.to.include('recoup migrate');
  });

  it('migrate: applies nothing twice', async () => {
    const { code, json } = await recoupHere(surroundings.env, 'migrate', '--json');
    expect(code).to.equal(0);
    expect(json).to.deep.equal({ applied: [] });
  });

  it('sandbox: prints and writes the environment that the channels’ profiles ask for', async () => {
    const file = join(folder, 'sandbox.env');
    const book = join(folder, 'book');
    const sandbox = start({}, 'sandbox', '--book', book, '--write-env', file, '--json');
    const gone = ended(sandbox);
    const { admin, env } = await ready<{ admin: string; env: Record<string, string> }>(sandbox);
    expect((await fetch(`${admin}/_health`)).status).to.equal(200);
    expect(env).to.include.keys('RECOUP_SANDBOX_SWIFTPAY_URL', 'RECOUP_SANDBOX_SWIFTPAY_HMAC_KEY');
    expect(readFileSync(file, 'utf8')).to.match(/^export RECOUP_SANDBOX_ADMIN_URL='http/m);
    expect(statSync(file).mode & 0o077).to.equal(0);
    sandbox.kill('SIGTERM');
    expect((await gone).code).to.equal(0);
  });
});
