import type { FastifyRequest } from 'fastify';
import type { z } from 'zod';
import type { Evidence } from '../engine/flow.js';
import { RecoupError, type ErrorCode } from '../errors.js';
import type { TaskId } from '../ids.js';
import type { DeductionRecord } from '../intake/records.js';
import type { Closing } from './closing.js';
import type { OutcomeWatch } from './outcome-watch.js';
import type { ApiKey, HttpServices } from './ports.js';
import type { RunGate } from './run-gate.js';

/** What the documentation says of a route beside its schemas. */
export interface RouteDocs {
  readonly description?: string;
  readonly headers?: z.ZodType;
  readonly problems: readonly ErrorCode[];
}

declare module 'fastify' {
  interface FastifyContextConfig {
    docs?: RouteDocs;
  }
  interface FastifyRequest {
    caller: ApiKey | null;
  }
}

export function callerOf(request: FastifyRequest): ApiKey {
  if (request.caller === null) throw new RecoupError('unauthorized');
  return request.caller;
}

/** What the routes share. */
export class HttpContext {
  constructor(
    readonly services: HttpServices,
    readonly gate: RunGate,
    readonly watch: OutcomeWatch<DeductionRecord>,
    /** When the server begins to close nobody waits any longer. */
    readonly closing: Closing,
  ) {}

  /**
   * Runs a task with evidence, and resolves only when the evidence is in the log or says nothing new.
   *
   * An overtaken run has written nothing of what it held, the evidence included: the log has moved,
   * so it is read and judged again, once. Whoever holds the lock is left alone.
   *
   * @throws RecoupError `busy` or `overloaded`: whoever brought it should bring it again; `not_found`
   */
  async submit(id: TaskId, evidence: Evidence): Promise<void> {
    const { executor } = this.services;
    await this.gate.pass(async () => {
      let { outcome } = await executor.run(id, evidence);
      if (outcome === 'overtaken') ({ outcome } = await executor.run(id, evidence));
      switch (outcome) {
        case 'ended':
        case 'review':
        case 'waiting':
          return;
        case 'no_such_task':
          throw new RecoupError('not_found');
        case 'busy':
        case 'overtaken':
        // The evidence may have been written before the lease ran short; bringing it again is harmless.
        case 'lease_lost':
          throw new RecoupError('busy');
      }
    });
  }

  /** Writes down what somebody does by hand, before it is done. */
  async audit(by: ApiKey, action: string, subject: string, detail: object = {}): Promise<void> {
    const { access, clock } = this.services;
    const entry = {
      actor: `${by.name} (${by.id})`,
      action,
      subject,
      detail: JSON.stringify(detail),
    };
    await access.audit(entry, clock.nowMs());
  }
}
