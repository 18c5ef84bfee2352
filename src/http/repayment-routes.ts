import { RecoupError } from '../errors.js';
import { isRepaymentId } from '../ids.js';
import { sameRepayment, type NewRepayment, type Repayment } from '../intake/repayment.js';
import { amountMinor } from '../money.js';
import type { z } from 'zod';
import type { HttpContext } from './context.js';
import { repaymentView } from './views.js';
import * as replies from './wire-replies.js';
import * as requests from './wire-requests.js';
import type { App } from './zod-fastify.js';

export function repaymentRoutes(app: App, { services }: HttpContext): void {
  const { repayments, clock } = services;

  app.route({
    method: 'POST',
    url: '/v1/repayments',
    schema: {
      summary: 'Register repayments',
      body: requests.repaymentsBody,
      response: { 200: replies.repaymentList },
    },
    config: {
      docs: {
        description:
          'Registers those that are not there yet; one that is registered with the same details is ' +
          'left as it is, so repeating is harmless. All or none: one that differs refuses them all.',
        problems: [
          'invalid_request',
          'amount_not_positive',
          'row_duplicate',
          'repayment_mismatch',
          'journal_unavailable',
        ],
      },
    },
    handler: async (request) => {
      const described = request.body.repayments.map(describedRepayment);
      refuseDuplicates(described);
      const ids = described.map(({ id }) => id);
      refuseMismatches(described, await repayments.findMany(ids));
      await repayments.register(described, clock.nowMs());
      // Read back: another caller may have registered one of them a moment before.
      const registered = await repayments.findMany(ids);
      refuseMismatches(described, registered);
      const found = ids.map((id) => registered.get(id)).filter((one) => one !== undefined);
      return { repayments: found.map(repaymentView) };
    },
  });

  app.route({
    method: 'GET',
    url: '/v1/repayments/:id',
    schema: {
      summary: 'Read a repayment',
      params: requests.idParams,
      response: { 200: replies.repayment },
    },
    config: { docs: { problems: ['repayment_unknown'] } },
    handler: async (request) => {
      const { id } = request.params;
      const found = isRepaymentId(id) ? await repayments.find(id) : null;
      if (found === null) throw new RecoupError('repayment_unknown');
      return repaymentView(found);
    },
  });
}

type Described = z.output<typeof requests.repaymentsBody>['repayments'][number];

function describedRepayment(wire: Described): NewRepayment {
  if (wire.due_minor <= 0) throw new RecoupError('amount_not_positive', { repayment_id: wire.id });
  return {
    id: wire.id,
    borrowerId: wire.borrower_id,
    currency: wire.currency,
    dueMinor: amountMinor(wire.due_minor),
    dueDate: wire.due_date,
    account: {
      token: wire.account_token,
      bankCode: wire.bank_code,
      last4: wire.account_last4,
    },
  };
}

function refuseDuplicates(described: readonly NewRepayment[]): void {
  const seen = new Set<string>();
  for (const { id } of described) {
    if (seen.has(id)) throw new RecoupError('row_duplicate', { repayment_id: id });
    seen.add(id);
  }
}

function refuseMismatches(
  described: readonly NewRepayment[],
  registered: ReadonlyMap<string, Repayment>,
): void {
  const differing = described.filter((one) => {
    const known = registered.get(one.id);
    return known !== undefined && !sameRepayment(known, one);
  });
  if (differing.length === 0) return;
  throw new RecoupError('repayment_mismatch', { repayment_ids: differing.map(({ id }) => id) });
}
