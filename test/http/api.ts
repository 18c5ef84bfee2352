/** The API of a process of Recoup, listening, on real stores and a real sandbox. */
import { createHash } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import type { FastifyInstance } from 'fastify';
import type { Services, Wrappers } from '../../src/composition/root.js';
import type { Config } from '../../src/config.js';
import type { Log } from '../../src/engine/ports.js';
import type { Role } from '../../src/http/ports.js';
import { createHttpServer, type HttpOptions } from '../../src/http/server.js';
import {
  startEnvironment,
  type EnvironmentOptions,
  type TestEnvironment,
} from '../support/environment.js';

export type Json = Record<string, unknown>;

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The body as JSON; empty where it is none. */
  readonly body: Json;
}

export interface Call {
  /** The role whose key is sent; none: no key. */
  readonly as?: Role | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  /** An object is sent as JSON, a text or bytes as they are. */
  readonly body?: object | string | Buffer;
  readonly signal?: AbortSignal;
}

export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export class Api {
  readonly lines: LogLine[] = [];
  readonly log: Log;
  #keys = 0;

  private constructor(
    readonly environment: TestEnvironment,
    private opened: { services: Services; server: FastifyInstance } | null = null,
  ) {
    const write =
      (level: string) =>
      (message: string, fields: Readonly<Record<string, unknown>> = {}): void =>
        void this.lines.push({ level, message, fields });
    this.log = {
      debug: write('debug'),
      info: write('info'),
      warn: write('warn'),
      error: write('error'),
    };
  }

  static async start(
    options: HttpOptions & {
      readonly config?: Partial<Config>;
      readonly environment?: EnvironmentOptions;
      readonly wrappers?: Wrappers;
      readonly env?: Readonly<Record<string, string>>;
    } = {},
  ): Promise<Api> {
    const api = new Api(await startEnvironment(options.environment));
    const services = await api.environment.compose({
      log: api.log,
      ...(options.config === undefined ? {} : { config: options.config }),
      ...(options.wrappers === undefined ? {} : { wrappers: options.wrappers }),
      ...(options.env === undefined ? {} : { env: options.env }),
    });
    const server = createHttpServer(services, options);
    await server.listen({ port: 0, host: '127.0.0.1' });
    api.opened = { services, server };
    for (const role of ['app', 'batch', 'agent', 'operator'] as const) await api.addKey(role, role);
    return api;
  }

  get services(): Services {
    return this.#opened.services;
  }

  get server(): FastifyInstance {
    return this.#opened.server;
  }

  get #opened() {
    if (this.opened === null) throw new Error('the API is not open');
    return this.opened;
  }

  get base(): string {
    return `http://127.0.0.1:${(this.server.server.address() as AddressInfo).port}`;
  }

  /** @returns the id of the new key, whose secret is `secret-<name>` */
  async addKey(name: string, role: Role): Promise<string> {
    const id = `key_${name}`;
    const digest = createHash('sha256').update(`secret-${name}`).digest('hex');
    await this.services.access.addKey({ id, name: `${name} key`, role }, digest, Date.now());
    return id;
  }

  async call(method: string, path: string, { as, headers, body, signal }: Call = {}) {
    const isObject = typeof body === 'object' && !Buffer.isBuffer(body);
    const response = await fetch(`${this.base}${path}`, {
      method,
      redirect: 'manual',
      headers: {
        ...(as === undefined ? {} : { authorization: `Bearer secret-${as}` }),
        ...(isObject ? { 'content-type': 'application/json' } : {}),
        ...headers,
      },
      ...(body === undefined
        ? {}
        : { body: isObject ? JSON.stringify(body) : (body as string | Uint8Array<ArrayBuffer>) }),
      ...(signal === undefined ? {} : { signal }),
    });
    const text = await response.text();
    const isJson = text !== '' && /[/+]json/.test(response.headers.get('content-type') ?? '');
    const answer: Answer = {
      status: response.status,
      headers: response.headers,
      text,
      body: isJson ? (JSON.parse(text) as Json) : {},
    };
    return answer;
  }

  /** Asks for a deduction under a key of its own, unless one is given. */
  async deduct(body: object, { headers = {}, ...call }: Call & { key?: string } = {}) {
    this.#keys += 1;
    return await this.call('POST', '/v1/deductions', {
      as: 'app',
      body,
      ...call,
      headers: { 'idempotency-key': call.key ?? `key-${this.#keys}`, ...headers },
    });
  }

  /** From now on unionlink executes and says `processing`; asked again, it says the truth. */
  async holdBack(): Promise<void> {
    await this.environment.sandbox.setFaults([
      {
        channel: 'unionlink',
        operation: 'charge',
        fault: 'contradiction',
        params: { outcome: 'processing' },
      },
    ]);
  }

  /** How many rows each table holds. */
  async counts(): Promise<Record<string, number>> {
    const counts: Record<string, number> = {};
    for (const table of tables) {
      const [[row]] = (await this.environment.owner.raw(`SELECT COUNT(*) AS n FROM ${table}`)) as [
        [{ n: number | string }],
      ];
      counts[table] = Number(row.n);
    }
    return counts;
  }

  async rows(sql: string, bindings: readonly (string | number)[] = []): Promise<Json[]> {
    const [rows] = (await this.environment.owner.raw(sql, [...bindings])) as [Json[]];
    return rows;
  }

  /** @throws Error when a reply was not as the documentation promises. */
  async close(): Promise<void> {
    await this.server.close();
    await this.environment.close();
    const undocumented = this.lines.filter(({ message }) => message.includes('not as documented'));
    if (undocumented.length > 0) throw new Error(JSON.stringify(undocumented.slice(0, 3)));
  }
}

const tables = [
  'repayment',
  'execution_log',
  'in_flight',
  'deduction',
  'attempt',
  'review_case',
  'outbox',
  'batch',
  'batch_item',
  'audit',
] as const;

/**
 * Nothing is asked again while a test lasts: else whatever runs a task after its first 300 ms asks the channel,
 * and moves it by what the channel says.
 */
export function seldomAsked(profile: Record<string, unknown>): void {
  (profile['nature'] as Record<string, unknown>)['poll_schedule_ms'] = [3_600_000];
}

/** PSBC is served by unionlink first. */
export const unionAccount = { token: 'tok_ok_psbc_0001', bankCode: 'PSBC', last4: '1111' };
