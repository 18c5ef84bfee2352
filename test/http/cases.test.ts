import { expect } from 'chai';
import { z } from 'zod';
import * as wire from '../../src/http/case-wire.js';
import { newTaskId } from '../../src/ids.js';
import { sqlTime } from '../../src/store/database.js';
import { Api, type Answer, type Json } from './api.js';

describe('cases over HTTP', () => {
  let api: Api;

  before(async () => {
    api = await Api.start();
    await api.addKey('checker', 'operator');
  });
  after(async () => api.close());

  let openedMs = Date.parse('2026-01-01T00:00:00Z');

  /** A finding of the active check; each is a second younger than the one before. */
  async function someCase(kind = 'cannot_run'): Promise<string> {
    openedMs += 1_000;
    const [result] = (await api.environment.owner.raw(
      `INSERT INTO active_check_finding (task_id, kind, amount_minor, evidence, opened_at, seen_at)
       VALUES (?, ?, 120000, 'it threw', ?, ?)`,
      [newTaskId(), kind, sqlTime(openedMs), sqlTime(openedMs)],
    )) as [{ insertId: number }];
    return `check:${result.insertId}`;
  }

  const post = async (path: string, body?: object, key = 'operator'): Promise<Answer> =>
    await api.call('POST', `/v1/cases/${path}`, {
      headers: { authorization: `Bearer secret-${key}` },
      ...(body === undefined ? {} : { body }),
    });
  const read = async (id: string): Promise<Json> =>
    (await api.call('GET', `/v1/cases/${id}`, { as: 'operator' })).body;
  const list = async (query: string): Promise<Json> =>
    (await api.call('GET', `/v1/cases?${query}`, { as: 'operator' })).body;
  const idsOf = (page: Json): unknown[] => (page['cases'] as Json[]).map((one) => one['id']);

  const writeOff = { action: 'write_off', reason: 'looked into by hand' };

  it('are worked on by people that their keys name, and end by two of them', async () => {
    const id = await someCase();
    expect((await post(`${id}/owner`, { owner: 'Wang Fang' })).body).to.include({
      owner: 'Wang Fang',
    });
    const noted = await post(`${id}/notes`, { note: '已电话联系渠道' });
    const [note] = noted.body['notes'] as Json[];
    expect(note).to.include({ author: 'operator key', note: '已电话联系渠道' });
    const made = await post(`${id}/proposals`, writeOff);
    expect(made.body).to.include({ no: 1, state: 'open', maker: 'operator key' });
    expect(made.body['payload']).to.deep.equal(writeOff);
    const { digest } = made.body;
    const own = await post(`${id}/proposals/1/approve`, { digest });
    expect(own.body).to.include({ code: 'same_person', status: 403 });
    const done = await post(`${id}/proposals/1/approve`, { digest }, 'checker');
    expect(done.body).to.include({ state: 'executed', checker: 'checker key' });
    const detail = await read(id);
    expect(detail['resolution']).to.equal(
      'written off: looked into by hand (operator key, approved by checker key)',
    );
    expect(detail['possible']).to.deep.equal([]);
    // A reply that was lost: the same request again.
    const again = await post(`${id}/proposals/1/approve`, { digest }, 'checker');
    expect(again.body).to.include({ state: 'executed' });
    const audit = await api.rows('SELECT actor, action FROM audit WHERE subject = ? ORDER BY id', [
      id,
    ]);
    expect(audit.map(({ action }) => action)).to.deep.equal([
      'case_assigned',
      'case_noted',
      'proposal_made',
      'approval_refused',
      'proposal_approved',
      'proposal_executed',
    ]);
  });

  it('are listed oldest first, page by page, each once', async () => {
    const mine = [];
    for (let n = 0; n < 7; n += 1) mine.push(await someCase('not_moving'));
    const seen: unknown[] = [];
    let query: string | null = 'kind=not_moving&open=true&limit=3';
    while (query !== null) {
      const page: Json = await list(query);
      seen.push(...idsOf(page));
      query = (page['next'] as string | null)?.split('?')[1] ?? null;
    }
    expect(seen).to.deep.equal(mine);
    await post(`${mine[2]}/owner`, { owner: 'Li Na' });
    expect(idsOf(await list('kind=not_moving&owner=Li+Na'))).to.deep.equal([mine[2]]);
    expect(idsOf(await list('kind=not_moving&unowned=true'))).not.to.include(mine[2]);
    expect(idsOf(await list('source=break'))).to.deep.equal([]);
  });

  describe('and bad input', () => {
    const refusals: readonly (readonly [what: string, path: string, body: object, code: string])[] =
      [
        ['a case that is none', 'task:x:1/owner', { owner: 'x' }, 'case_unknown'],
        ['a case that is not there', 'check:999999/notes', { note: 'x' }, 'case_unknown'],
        ['no owner', 'ID/owner', {}, 'invalid_request'],
        ['an empty note', 'ID/notes', { note: '  ' }, 'invalid_request'],
        ['a note that is too long', 'ID/notes', { note: 'x'.repeat(2_001) }, 'invalid_request'],
        ['a card number', 'ID/notes', { note: 'card 6222 0212 3456 7890 123' }, 'invalid_request'],
        ['an author', 'ID/notes', { note: 'x', author: 'somebody else' }, 'invalid_request'],
        ['an unknown action', 'ID/proposals', { action: 'forget' }, 'invalid_request'],
        ['no reason', 'ID/proposals', { action: 'write_off' }, 'invalid_request'],
        ['a maker', 'ID/proposals', { ...writeOff, maker: 'x' }, 'invalid_request'],
        [
          'an amount below one',
          'ID/proposals',
          { action: 'refund', amount_minor: 0, reason: 'back' },
          'invalid_request',
        ],
        [
          'what does not fit the case',
          'ID/proposals',
          { action: 'mark_not_executed', proof: 'the channel says so' },
          'resolution_not_possible',
        ],
        ['no digest', 'ID/proposals/1/approve', {}, 'invalid_request'],
        [
          'a proposal that is not there',
          'ID/proposals/1/approve',
          { digest: '0'.repeat(64) },
          'proposal_unknown',
        ],
        [
          'a number that is none',
          'ID/proposals/one/reject',
          { reason: 'why not' },
          'invalid_request',
        ],
        ['nothing to reject', 'ID/proposals/1/reject', { reason: 'why not' }, 'proposal_unknown'],
      ];

    for (const [what, path, body, code] of refusals) {
      it(`refuses ${what}, and writes nothing`, async () => {
        const id = await someCase('cannot_run');
        const before = await written();
        const answer = await post(path.replace('ID', id), body);
        expect(answer.body).to.include({ code });
        expect(await written()).to.deep.equal(before);
      });
    }

    it('refuses cursors that it did not give out', async () => {
      for (const cursor of ['x', 'MS9h', Buffer.from('1/5/check:0').toString('base64url')]) {
        expect(await list(`cursor=${cursor}`)).to.include({ code: 'invalid_request' });
      }
    });

    it('refuses everything about a case that is closed', async () => {
      const id = await someCase();
      const { digest } = (await post(`${id}/proposals`, writeOff)).body;
      await post(`${id}/proposals/1/approve`, { digest }, 'checker');
      const late = await post(`${id}/proposals`, writeOff);
      expect(late.body).to.include({ code: 'case_closed', status: 409 });
    });

    const written = async (): Promise<unknown> => {
      const tables = ['case_work', 'case_note', 'case_proposal', 'audit'];
      const counts = await Promise.all(
        tables.map((table) => api.rows(`SELECT COUNT(*) AS n FROM ${table}`)),
      );
      return counts.map(([row]) => String(row?.['n']));
    };
  });

  it('are documented by examples that are what they are examples of', () => {
    let checked = 0;
    for (const [name, schema] of Object.entries(wire)) {
      if (!(schema instanceof z.ZodType)) continue;
      const { examples = [] } = (schema.meta() ?? {}) as { examples?: readonly unknown[] };
      for (const example of examples) {
        expect(schema.safeParse(example).error?.issues, name).to.equal(undefined);
        checked += 1;
      }
    }
    expect(checked).to.be.above(6);
  });
});
