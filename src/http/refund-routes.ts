/** `POST /v1/deductions/:id/refunds`: a person asks; another approves the case that it opens. */
import { personOf } from './case-routes.js';
import type { HttpContext } from './context.js';
import * as wire from './refund-wire.js';
import { idempotencyKey } from './request-headers.js';
import { idParams } from './wire-requests.js';
import type { App } from './zod-fastify.js';

export function refundRoutes(app: App, { services: { cases } }: HttpContext): void {
  app.route({
    method: 'POST',
    url: '/v1/deductions/:id/refunds',
    schema: {
      summary: 'Ask that a credited deduction be given back, in whole or in part',
      params: idParams,
      body: wire.refundBody,
      response: { 200: wire.refundRequest, 201: wire.refundRequest },
    },
    config: { docs },
    handler: async (request, reply) => {
      const by = personOf(request);
      const requestKey = idempotencyKey(request.headers['idempotency-key'], by.keyId);
      const asked = wire.askedOf(request.params.id, request.body, requestKey);
      const { request: made, repeated } = await cases.refundRequests.request(asked, by);
      reply.code(repeated ? 200 : 201).header('location', `/v1/cases/${made.caseId}`);
      if (repeated) reply.header('idempotency-replayed', 'true');
      return wire.refundRequestView(made);
    },
  });
}

const docs = {
  description:
    'Opens a case, `refund_requested`, with its proposal already made by whoever asks. Nothing moves until ' +
    'another person approves that; rejecting it closes the request. Only what was credited to the ' +
    'repayment goes back so, and is then owed again. The same key and body again are the same request, ' +
    'answered 200 as it now stands (`Idempotency-Replayed: true`).',
  headers: wire.refundHeaders,
  problems: [
    'idempotency_key_missing',
    'idempotency_key_invalid',
    'idempotency_key_reused',
    'malformed_body',
    'invalid_request',
    'amount_not_positive',
    'deduction_unknown',
    'deduction_not_ended',
    'nothing_credited',
    'capture_not_available',
    'refund_not_offered',
    'journal_unavailable',
  ],
} as const;
