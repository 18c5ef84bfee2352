import { RecoupError } from '../errors.js';
import { isRepaymentId as isOwnId } from '../ids.js';
import type { Member } from '../intake/member.js';
import { amountMinor, type Currency } from '../money.js';
import { callerOf, type HttpContext } from './context.js';
import * as requests from './wire-requests.js';
import * as wire from './withdrawal-wire.js';
import type { App } from './zod-fastify.js';

export function memberRoutes(app: App, context: HttpContext): void {
  openMember(app, context);
  readMember(app, context);
  deposit(app, context);
}

/** @throws RecoupError `member_unknown` */
async function find({ services }: HttpContext, id: string, currency: Currency): Promise<Member> {
  const found = isOwnId(id) ? await services.flows.members.find(id, currency) : null;
  if (found === null) throw new RecoupError('member_unknown');
  return found;
}

function openMember(app: App, context: HttpContext): void {
  const { flows, clock } = context.services;
  app.route({
    method: 'POST',
    url: '/v1/members',
    schema: {
      summary: "Open a member's account",
      body: wire.memberBody,
      response: { 200: wire.member },
    },
    config: {
      docs: {
        description: 'One that is there is left as it is, so repeating is harmless.',
        problems: ['malformed_body', 'invalid_request'],
      },
    },
    handler: async (request) => {
      const { id, currency } = request.body;
      await flows.members.open(id, currency, clock.nowMs());
      return wire.memberView(await find(context, id, currency));
    },
  });
}

function readMember(app: App, context: HttpContext): void {
  const { flows } = context.services;
  app.route({
    method: 'GET',
    url: '/v1/members/:id',
    schema: {
      summary: "Read a member's balance and the money log that explains it",
      params: requests.idParams,
      querystring: wire.memberQuery,
      response: { 200: wire.memberDetail },
    },
    config: { docs: { problems: ['member_unknown', 'invalid_request'] } },
    handler: async (request) => {
      const { currency, limit } = request.query;
      const member = await find(context, request.params.id, currency);
      const entries = await flows.members.entries(member.id, currency, limit);
      return wire.memberDetailView(member, entries);
    },
  });
}

function deposit(app: App, context: HttpContext): void {
  const { flows, clock } = context.services;
  app.route({
    method: 'POST',
    url: '/v1/members/:id/deposits',
    schema: {
      summary: "Add to a member's balance",
      params: requests.idParams,
      body: wire.depositBody,
      response: { 200: wire.member },
    },
    config: {
      docs: {
        description:
          'What the member has paid in elsewhere. The same `deposit_id` again is the same deposit, ' +
          'and moves nothing.',
        problems: [
          'malformed_body',
          'invalid_request',
          'amount_not_positive',
          'member_unknown',
          'deposit_differs',
          'journal_unavailable',
        ],
      },
    },
    handler: async (request) => {
      const { deposit_id: causeId, amount_minor: amount, currency } = request.body;
      if (amount <= 0) throw new RecoupError('amount_not_positive');
      const { id: memberId } = await find(context, request.params.id, currency);
      await context.audit(callerOf(request), 'deposit', memberId, {
        deposit_id: causeId,
        amount_minor: amount,
      });
      const asked = { causeId, memberId, amountMinor: amountMinor(amount), currency };
      await flows.members.deposit(asked, clock.nowMs());
      return wire.memberView(await find(context, memberId, currency));
    },
  });
}
