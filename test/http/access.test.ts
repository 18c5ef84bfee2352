import { expect } from 'chai';
import { permissions } from '../../src/http/access.js';
import { Api } from './api.js';

const roles = ['app', 'batch', 'agent', 'operator'] as const;

describe('API keys and roles', () => {
  let api: Api;

  before(async () => {
    api = await Api.start();
  });
  after(async () => api.close());

  for (const [route, allowed] of Object.entries(permissions)) {
    it(`${route}: ${allowed.join(', ')}`, async () => {
      const [method = '', url = ''] = route.split(' ');
      const path = url.replace(':id', 'none');
      const before = await api.counts();
      for (const as of roles) {
        // No body and no key for the request: whoever may, gets no further than that.
        const { status, body } = await api.call(method, path, { as });
        if ((allowed as readonly string[]).includes(as)) {
          expect(status, as).to.not.be.oneOf([401, 403, 500]);
        } else {
          expect(status, as).to.equal(403);
          expect(body).to.include({ code: 'forbidden', role: as });
          expect(body['roles']).to.deep.equal(allowed);
        }
      }
      const { status, body, headers } = await api.call(method, path);
      expect(status).to.equal(401);
      expect(body).to.include({ code: 'unauthorized' });
      expect(headers.get('www-authenticate')).to.match(/^Bearer/);
      expect(await api.counts()).to.deep.equal(before);
    });
  }

  it('knows no key but whole ones, however they are sent', async () => {
    for (const authorization of [
      'Bearer secret-ap',
      'Bearer secret-appp',
      'Bearer ',
      'Bearer secret-app secret-app',
      'Basic secret-app',
      'secret-app',
      `Bearer ${'x'.repeat(201)}`,
    ]) {
      const { status } = await api.call('GET', '/v1/deductions', { headers: { authorization } });
      expect(status, authorization).to.equal(401);
    }
    const lower = { authorization: 'bearer secret-app' };
    expect((await api.call('GET', '/v1/deductions', { headers: lower })).status).to.equal(200);
  });

  it('refuses a revoked key within seconds', async () => {
    const id = await api.addKey('leaver', 'app');
    const headers = { authorization: 'Bearer secret-leaver' };
    const ask = async () => (await api.call('GET', '/v1/deductions', { headers })).status;
    expect(await ask()).to.equal(200);
    await api.services.access.revokeKey(id, Date.now());
    const { clock } = api.services;
    const original = clock.monotonicMs.bind(clock);
    clock.monotonicMs = () => original() + 5_000;
    try {
      expect(await ask()).to.equal(401);
    } finally {
      clock.monotonicMs = original;
    }
    expect(await ask(), 'for good').to.equal(401);
  });

  it('asks the database once for a key in use', async () => {
    await api.addKey('busy', 'app');
    const { access } = api.services;
    const original = access.findKey.bind(access);
    let asked = 0;
    access.findKey = async (digest) => {
      asked += 1;
      return await original(digest);
    };
    const headers = { authorization: 'Bearer secret-busy' };
    for (let n = 0; n < 5; n += 1) await api.call('GET', '/v1/channels', { headers });
    access.findKey = original;
    expect(asked).to.equal(1);
  });
});
