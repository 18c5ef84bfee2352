import { createHash } from 'node:crypto';
import type { Clock } from '../clock.js';
import { RecoupError } from '../errors.js';
import type { ApiKey, KeyStore, Role } from './ports.js';

const everyone = ['app', 'batch', 'agent', 'operator'] as const;

/**
 * Who may do what: every route under /v1, and nothing else, stands here.
 *
 * A deduction's source is the role of the key that asked for it, so an operator, who is no source,
 * cannot start one: whoever collects by hand does it as an agent, with a reason.
 */
export const permissions = {
  'POST /v1/deductions': ['app', 'agent'],
  'GET /v1/deductions': everyone,
  'GET /v1/deductions/:id': everyone,
  'POST /v1/deductions/:id/ask': ['operator'],
  // Whoever collects does not also decide what goes back.
  'POST /v1/deductions/:id/refunds': ['operator'],
  'POST /v1/withdrawals': ['app'],
  'GET /v1/withdrawals': everyone,
  'GET /v1/withdrawals/:id': everyone,
  'POST /v1/withdrawals/:id/ask': ['operator'],
  'POST /v1/top-ups': ['app'],
  'GET /v1/top-ups': everyone,
  'GET /v1/top-ups/:id': everyone,
  'POST /v1/top-ups/:id/ask': ['operator'],
  // Whoever withdraws may not say what there is to withdraw.
  'POST /v1/members': ['batch', 'operator'],
  'GET /v1/members/:id': everyone,
  'POST /v1/members/:id/deposits': ['batch', 'operator'],
  'POST /v1/repayments': ['batch', 'operator'],
  'GET /v1/repayments/:id': everyone,
  'POST /v1/batches': ['batch', 'operator'],
  'GET /v1/batches/:id': ['batch', 'operator'],
  'GET /v1/batches/:id/rejected': ['batch', 'operator'],
  'POST /v1/batches/:id/pause': ['batch', 'operator'],
  'POST /v1/batches/:id/resume': ['batch', 'operator'],
  'POST /v1/routes/preview': everyone,
  'GET /v1/cases': ['operator'],
  'GET /v1/cases/:id': ['operator'],
  'POST /v1/cases/:id/owner': ['operator'],
  'POST /v1/cases/:id/notes': ['operator'],
  'POST /v1/cases/:id/proposals': ['operator'],
  'POST /v1/cases/:id/proposals/:no/approve': ['operator'],
  'POST /v1/cases/:id/proposals/:no/reject': ['operator'],
  'GET /v1/channels': ['operator'],
  'GET /v1/work-queues': ['operator'],
  'GET /v1/ledger/balances': ['operator'],
  'GET /v1/ledger/dead-letters': ['operator'],
  'POST /v1/ledger/dead-letters/:id/replay': ['operator'],
  'GET /v1/channels/:id/callbacks': ['operator'],
  'POST /v1/reconciliations': ['operator'],
  'GET /v1/reconciliations': ['operator'],
  'GET /v1/reconciliations/:id': ['operator'],
  'GET /v1/breaks': ['operator'],
  'GET /v1/deductions/:id/calls': ['operator'],
  'GET /v1/notices': ['operator'],
  'GET /v1/notices/:id': ['operator'],
  'POST /v1/notices/:id/redeliver': ['operator'],
  'GET /v1/notice-destinations': ['operator'],
  'POST /v1/notice-destinations': ['operator'],
  'POST /v1/notice-destinations/:id/pause': ['operator'],
  'POST /v1/notice-destinations/:id/resume': ['operator'],
  'POST /v1/notice-destinations/:id/secrets': ['operator'],
  'DELETE /v1/notice-destinations/:id': ['operator'],
} as const satisfies Record<string, readonly Role[]>;

/** The roles that may use a route; undefined for a route that is not in the table. */
export function rolesFor(method: string, url: string): readonly Role[] | undefined {
  const table: Readonly<Record<string, readonly Role[]>> = permissions;
  return table[`${method === 'HEAD' ? 'GET' : method} ${url}`];
}

/** A revoked key works this much longer, at most. */
const cacheMs = 5_000;
const cachedMax = 1_000;
const bearer = /^Bearer ([\x21-\x7e]{8,200})$/i;

/** Finds who a key belongs to. The key itself is kept nowhere: it is looked up by its digest. */
export class Keyring {
  readonly #cache = new Map<string, { readonly key: ApiKey; readonly untilMs: number }>();

  constructor(
    private readonly store: KeyStore,
    private readonly clock: Clock,
  ) {}

  /** @throws RecoupError `unauthorized` */
  async identify(authorization: string | undefined): Promise<ApiKey> {
    const [, secret] = bearer.exec(authorization ?? '') ?? [];
    if (secret === undefined) throw new RecoupError('unauthorized');
    const digest = createHash('sha256').update(secret).digest('hex');
    const nowMs = this.clock.monotonicMs();
    const cached = this.#cache.get(digest);
    if (cached !== undefined && nowMs < cached.untilMs) return cached.key;
    this.#cache.delete(digest);
    const key = await this.store.findKey(digest);
    if (key === null) throw new RecoupError('unauthorized');
    const [oldest] = this.#cache.keys();
    if (this.#cache.size >= cachedMax && oldest !== undefined) this.#cache.delete(oldest);
    this.#cache.set(digest, { key, untilMs: nowMs + cacheMs });
    return key;
  }
}
