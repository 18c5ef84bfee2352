import { expect } from 'chai';
import { z } from 'zod';
import * as wire from '../../src/http/wire-notices.js';
import { recoupHere } from '../cli/recoup.js';
import { Api, type Json } from '../http/api.js';
import { Receiver } from './receiver.js';

const secretEnv = 'RECOUP_NOTICE_SECRET_TEST';

describe('notices, for operators', () => {
  let api: Api;
  let receiver: Receiver;
  let env: Readonly<Record<string, string>>;

  before(async () => {
    receiver = await Receiver.start();
    api = await Api.start({
      config: { noticeAllowInternal: true, noticeTimeoutMs: 5_000 },
      env: { [secretEnv]: receiver.secret },
    });
    env = { ...api.environment.env, RECOUP_NOTICE_ALLOW_INTERNAL: 'yes' };
  });
  after(async () => {
    await api.close();
    await receiver.close();
  });

  const send = async (): Promise<void> => {
    await api.services.notices.directory.refresh();
    await api.services.notices.relay.tick();
    await api.services.notices.relay.idle();
  };
  const as = 'operator';

  it('a destination is added, told, paused and resumed', async () => {
    const url = receiver.url('/crm');
    const body = { id: 'crm', url, secret_envs: [secretEnv] };
    const added = await api.call('POST', '/v1/notice-destinations', { as, body });
    expect(added.status).to.equal(200);
    expect(added.body).to.deep.include({ id: 'crm', url, types: '*', paused: null, waiting: 0 });
    const again = await api.call('POST', '/v1/notice-destinations', { as, body });
    expect(again.status).to.equal(409);
    expect(again.body).to.include({ code: 'destination_exists' });

    const paused = await api.call('POST', '/v1/notice-destinations/crm/pause', { as });
    expect(paused.body['paused']).to.include({ why: 'by hand' });
    await api.services.notices.directory.refresh();
    const { id: repayment_id } = await api.environment.repayment();
    const { body: deduction } = await api.deduct(
      { repayment_id },
      { headers: { prefer: 'wait=10' } },
    );
    expect(deduction['status']).to.equal('succeeded');
    await send();
    expect(receiver.received).to.eql([]);
    const [waits] = (await api.call('GET', '/v1/notice-destinations', { as })).body[
      'destinations'
    ] as Json[];
    expect(waits).to.include({ waiting: 1, exhausted: 0 });
    expect(waits!['overdue_since']).to.be.a('string');
    expect((await recoupHere(env, 'notices', 'destinations', 'resume', 'crm')).code).to.equal(0);
    await send();
    expect(receiver.received).to.have.length(1);
  });

  it('a notice is listed, shown with every try, and sent again under its id', async () => {
    const { body: listed } = await api.call('GET', '/v1/notices?state=delivered', { as });
    const [notice] = listed['notices'] as Json[];
    const id = String(notice!['id']);
    expect(notice).to.deep.include({ type: 'deduction.succeeded' });
    expect((await api.call('GET', '/v1/notices?state=waiting', { as })).body['notices']).to.eql([]);
    const again = await api.call('POST', `/v1/notices/${id}/redeliver?destination_id=crm`, { as });
    expect(again.status).to.equal(200);
    await send();
    const { code } = await recoupHere(env, 'notices', 'redeliver', id);
    expect(code).to.equal(0);
    await send();
    expect(receiver.received.map((one) => one.id)).to.eql([id, id, id]);
    const { body: shown } = await api.call('GET', `/v1/notices/${id}`, { as });
    expect(shown['body']).to.equal(receiver.received[0]!.body);
    expect((shown['tries'] as Json[]).map((one) => one['http_status'])).to.eql([204, 204, 204]);
    const { json, out } = await recoupHere(env, 'notices', 'show', id, '--json');
    expect(json).to.eql(shown);
    expect(out).to.not.include(receiver.secret);
    expect((await recoupHere(env, 'notices', 'list')).out).to.match(/1 delivered/);

    const other = await api.call('POST', `/v1/notices/${id}/redeliver?destination_id=erp`, { as });
    expect(other.body).to.include({ code: 'destination_unknown' });
    const none = await api.call('GET', `/v1/notices/msg_${'0'.repeat(32)}`, { as });
    expect(none.body).to.include({ code: 'notice_unknown' });
  });

  it('a page leads to the next', async () => {
    const { owner } = api.environment;
    await owner.raw(`INSERT INTO notice (message_id, type, body, created_at, pending)
      VALUES ('msg_a', 'case.opened', '{}', NOW(3), NULL), ('msg_b', 'case.opened', '{}', NOW(3), NULL)`);
    const ids: unknown[] = [];
    for (let next: string | null = '/v1/notices?limit=2'; next !== null;) {
      const { body }: { body: Json } = await api.call('GET', next, { as });
      ids.push(...(body['notices'] as Json[]).map((one) => one['id']));
      next = body['next'] as string | null;
    }
    expect(ids.slice(0, 2)).to.eql(['msg_b', 'msg_a']);
    expect(ids).to.have.length(3);
  });

  it('a destination that will not do is refused, and says why', async () => {
    const good = { id: 'erp', url: 'https://erp.example.com/', secret_envs: [secretEnv] };
    const wrong: readonly (readonly [Json, string])[] = [
      [{ url: 'ftp://erp.example.com/' }, 'url'],
      [{ url: 'https://user:pass@erp.example.com/' }, 'url'],
      [{ types: ['deduction.ended'] }, 'types'],
      [{ types: [] }, 'types'],
      [{ secret_envs: ['RECOUP_DATABASE_URL'] }, 'secret_envs'],
      [{ secret_envs: [] }, 'secret_envs'],
      [{ secret_envs: [secretEnv, secretEnv] }, 'secret_envs'],
      [{ id: 'E R P' }, 'id'],
    ];
    for (const [change, field] of wrong) {
      const body = { ...good, ...change };
      const answer = await api.call('POST', '/v1/notice-destinations', { as, body });
      expect(answer.status, JSON.stringify(change)).to.equal(422);
      const problems = answer.body['problems'] as Json[];
      expect(problems.map((one) => one['field'])).to.eql([field]);
    }
    // What the development setting allows here is refused without it.
    const { code, err } = await recoupHere(
      api.environment.env,
      'notices',
      'destinations',
      'add',
      'erp',
      'http://10.0.0.1/',
      '--secret-env',
      secretEnv,
    );
    expect(code).to.equal(2);
    expect(err).to.include('https://');
  });

  it('a secret is replaced without a gap, and a destination removed', async () => {
    const names = [`${secretEnv}_2`, secretEnv];
    const change = { as, body: { secret_envs: names } } as const;
    const path = '/v1/notice-destinations/crm';
    const { body } = await api.call('POST', `${path}/secrets`, change);
    expect(body['secret_envs']).to.eql(names);
    const { out } = await recoupHere(env, 'notices', 'secret');
    expect(out.trim()).to.match(/^whsec_/);
    expect((await api.call('DELETE', path, { as })).body).to.eql({ id: 'crm', removed: true });
    expect((await api.call('DELETE', path, { as })).status).to.equal(404);
    const { body: left } = await api.call('GET', '/v1/notice-destinations', { as });
    expect(left['destinations']).to.eql([]);
    const actions = await api.rows(`SELECT action FROM audit WHERE action LIKE 'notice%'`);
    expect(actions.map((one) => one['action'])).to.include.members([
      'notice_destination_add',
      'notice_destination_pause',
      'notice_destination_resume',
      'notice_redeliver',
      'notice_destination_secrets',
      'notice_destination_remove',
    ]);
  });

  it('the documentation has examples that are what they are examples of', () => {
    let checked = 0;
    for (const [name, schema] of Object.entries(wire)) {
      if (!(schema instanceof z.ZodType)) continue;
      const { examples = [] } = (schema.meta() ?? {}) as { examples?: readonly unknown[] };
      for (const example of examples) {
        expect(schema.safeParse(example).error?.issues, name).to.equal(undefined);
        checked += 1;
      }
    }
    expect(checked, 'examples').to.be.above(3);
  });
});
