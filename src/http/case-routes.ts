import type { FastifyRequest } from 'fastify';
import { placeOf, type CaseRecord, type Person } from '../cases/case.js';
import { RecoupError } from '../errors.js';
import * as wire from './case-wire.js';
import { nextPage } from './cursor.js';
import { callerOf, type HttpContext } from './context.js';
import type { App } from './zod-fastify.js';

/** The person is whoever the key belongs to; no body can say otherwise. */
export function personOf(request: FastifyRequest): Person {
  const { id: keyId, name } = callerOf(request);
  return { keyId, name };
}

export function caseRoutes(app: App, context: HttpContext): void {
  listCases(app, context);
  readCase(app, context);
  workOnCase(app, context);
  propose(app, context);
  decide(app, context);
}

function listCases(
  app: App,
  {
    services: {
      cases: { desk },
    },
  }: HttpContext,
): void {
  app.route({
    method: 'GET',
    url: '/v1/cases',
    schema: {
      summary: 'List what only a person can decide, oldest first',
      querystring: wire.casesQuery,
      response: { 200: wire.casePage },
    },
    config: { docs: { problems: ['invalid_request'] } },
    handler: async (request) => {
      const { open, source, kind, owner, unowned, task_id, cursor, limit } = request.query;
      const rows = await desk.list({
        open: open === undefined ? undefined : open === 'true',
        source,
        kind,
        owner: unowned === 'true' ? null : owner,
        taskId: task_id,
        after: cursor === undefined ? undefined : fromCursor(cursor),
        limit: limit + 1,
      });
      const page = rows.slice(0, limit);
      const last = page.at(-1);
      const next = rows.length > limit && last !== undefined ? cursorOf(last) : null;
      return {
        cases: page.map(wire.caseView),
        next_cursor: next,
        next: next === null ? null : nextPage('/v1/cases', { ...request.query, cursor: next }),
      };
    },
  });
}

function readCase(
  app: App,
  {
    services: {
      cases: { desk },
    },
  }: HttpContext,
): void {
  app.route({
    method: 'GET',
    url: '/v1/cases/:id',
    schema: {
      summary: 'Read a case with its notes and proposals, and what may be proposed',
      params: wire.caseParams,
      response: { 200: wire.caseDetail },
    },
    config: { docs: { problems: ['case_unknown'] } },
    handler: async (request) => wire.caseStoryView(await desk.show(request.params.id)),
  });
}

function workOnCase(
  app: App,
  {
    services: {
      cases: { desk },
    },
  }: HttpContext,
): void {
  app.route({
    method: 'POST',
    url: '/v1/cases/:id/owner',
    schema: {
      summary: 'Say whose case it is',
      params: wire.caseParams,
      body: wire.ownerBody,
      response: { 200: wire.caseDetail },
    },
    config: { docs: { problems: [...writing] } },
    handler: async (request) => {
      const { id } = request.params;
      await desk.assign(id, request.body.owner, personOf(request));
      return wire.caseStoryView(await desk.show(id));
    },
  });

  app.route({
    method: 'POST',
    url: '/v1/cases/:id/notes',
    schema: {
      summary: 'Add a note',
      params: wire.caseParams,
      body: wire.noteBody,
      response: { 200: wire.caseDetail },
    },
    config: { docs: { description: 'Notes are kept as they are.', problems: [...writing] } },
    handler: async (request) => {
      const { id } = request.params;
      return wire.caseStoryView(await desk.note(id, request.body.note, personOf(request)));
    },
  });
}

function propose(
  app: App,
  {
    services: {
      cases: { desk },
    },
  }: HttpContext,
): void {
  app.route({
    method: 'POST',
    url: '/v1/cases/:id/proposals',
    schema: {
      summary: 'Propose how the case ends',
      params: wire.caseParams,
      body: wire.resolutionBody,
      response: { 200: wire.proposal },
    },
    config: {
      docs: {
        description:
          'Nothing happens until another person approves it; it expires by itself. One proposal a ' +
          'case at a time; the same one by the same key is answered with the one that is there.',
        problems: [
          ...writing,
          'case_closed',
          'resolution_not_possible',
          'refund_not_whole',
          'proposal_open',
        ],
      },
    },
    handler: async (request) => {
      const resolution = wire.resolutionOf(request.body);
      const made = await desk.propose(request.params.id, resolution, personOf(request));
      return wire.proposalView(made);
    },
  });
}

function decide(
  app: App,
  {
    services: {
      cases: { desk },
    },
  }: HttpContext,
): void {
  app.route({
    method: 'POST',
    url: '/v1/cases/:id/proposals/:no/approve',
    schema: {
      summary: 'Approve a proposal, and have it carried out',
      params: wire.proposalParams,
      body: wire.approvalBody,
      response: { 200: wire.proposal },
    },
    config: {
      docs: {
        description:
          'By another person than the one who proposed it. `executed` in the answer: it is done. ' +
          '`approved`: it will be, also when this process dies now.',
        problems: [...deciding, 'case_closed', 'same_person', 'payload_changed'],
      },
    },
    handler: async (request) => {
      const { id, no } = request.params;
      const { digest } = request.body;
      return wire.proposalView(await desk.approve(id, no, digest, personOf(request)));
    },
  });

  app.route({
    method: 'POST',
    url: '/v1/cases/:id/proposals/:no/reject',
    schema: {
      summary: 'Reject a proposal, or take back your own',
      params: wire.proposalParams,
      body: wire.rejectionBody,
      response: { 200: wire.proposal },
    },
    config: { docs: { problems: [...deciding] } },
    handler: async (request) => {
      const { id, no } = request.params;
      return wire.proposalView(await desk.reject(id, no, request.body.reason, personOf(request)));
    },
  });
}

const writing = [
  'malformed_body',
  'invalid_request',
  'case_unknown',
  'journal_unavailable',
] as const;
const deciding = [...writing, 'proposal_unknown', 'proposal_decided', 'proposal_expired'] as const;

/** Opaque to callers: what it holds may change. */
const cursorOf = ({ openedAt, id }: CaseRecord): string =>
  Buffer.from(`1/${openedAt.getTime()}/${id}`).toString('base64url');

/** @throws RecoupError `invalid_request` */
function fromCursor(cursor: string): { openedAt: Date; id: CaseRecord['id'] } {
  const text = Buffer.from(cursor, 'base64url').toString('latin1');
  const [, ms = '', id = ''] = /^1\/(\d{1,15})\/([^/]+)$/.exec(text) ?? [];
  if (placeOf(id) !== null) return { openedAt: new Date(Number(ms)), id: id as CaseRecord['id'] };
  const message = 'not a cursor that we gave out';
  throw new RecoupError('invalid_request', {
    problems: [{ in: 'query', field: 'cursor', message }],
  });
}
