import type { z } from 'zod';
import type { DeadLetter, TrialBalance } from '../ledger/records.js';
import { callerOf, type HttpContext } from './context.js';
import { minor } from './views.js';
import { deadLetterList, replayed, trialBalance } from './wire-ledger.js';
import { casesQuery, idParams } from './wire-requests.js';
import type { App } from './zod-fastify.js';

/** The books, and what could not be posted, for operators. */
export function ledgerRoutes(app: App, { services }: HttpContext): void {
  const { ledger, clock } = services;

  app.route({
    method: 'GET',
    url: '/v1/ledger/balances',
    schema: { summary: 'The trial balance', response: { 200: trialBalance } },
    config: {
      docs: {
        description:
          'Totals of every account at one moment. What is `undelivered` has happened and is not in ' +
          'them yet.',
        problems: [],
      },
    },
    handler: async () => balanceView(await ledger.reads.trialBalance()),
  });

  app.route({
    method: 'GET',
    url: '/v1/ledger/dead-letters',
    schema: {
      summary: 'List ledger messages that could not be posted, oldest first',
      querystring: casesQuery,
      response: { 200: deadLetterList },
    },
    config: { docs: { problems: ['invalid_request'] } },
    handler: async (request) => {
      const { open, limit } = request.query;
      const filter = { open: open === undefined ? undefined : open === 'true', limit };
      return { dead_letters: (await ledger.reads.deadLetters(filter)).map(deadLetterView) };
    },
  });

  app.route({
    method: 'POST',
    url: '/v1/ledger/dead-letters/:id/replay',
    schema: {
      summary: 'Send a dead letter again',
      params: idParams,
      response: { 200: replayed },
    },
    config: {
      docs: {
        description:
          'Its schedule starts anew. It closes when the message is in the books; replayed twice, it ' +
          'is posted once.',
        problems: ['dead_letter_unknown', 'dead_letter_closed'],
      },
    },
    handler: async (request) => {
      const { id } = request.params;
      const by = callerOf(request);
      await ledger.replay(id, `${by.name} (${by.id})`, clock.nowMs());
      return { id, replayed: true as const };
    },
  });
}

export function balanceView(balance: TrialBalance): z.input<typeof trialBalance> {
  const { keptBy, balanced, totals, accounts, undelivered, deadLettersOpen } = balance;
  return {
    kept_by: keptBy,
    balanced,
    totals: totals.map(({ currency, debitMinor, creditMinor }) => ({
      currency,
      debit_minor: minor(debitMinor),
      credit_minor: minor(creditMinor),
    })),
    accounts: accounts.map((one) => ({
      account: one.account,
      class: one.class,
      currency: one.currency,
      debit_minor: minor(one.debitMinor),
      credit_minor: minor(one.creditMinor),
      balance_minor: minor(one.balanceMinor),
    })),
    undelivered: {
      messages: undelivered.messages,
      oldest_at: undelivered.oldestAt?.toISOString() ?? null,
    },
    dead_letters_open: deadLettersOpen,
  };
}

export const deadLetterView = (
  letter: DeadLetter,
): z.input<typeof deadLetterList>['dead_letters'][number] => ({
  id: letter.id,
  topic: letter.topic,
  message_key: letter.messageKey,
  kind: letter.kind,
  amount_minor: minor(letter.amountMinor),
  evidence: letter.evidence,
  tries: letter.tries,
  replays: letter.replays,
  opened_at: letter.openedAt.toISOString(),
  closed_at: letter.closedAt?.toISOString() ?? null,
  resolution: letter.resolution,
});
