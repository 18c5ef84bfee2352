/** The OpenAPI 3.1 document, out of the routes' own schemas. */
import type { SwaggerTransform, SwaggerTransformObject } from '@fastify/swagger';
import type { FastifySchema } from 'fastify';
import { z } from 'zod';
import { errorTable, type ErrorCode } from '../errors.js';
import { rolesFor } from './access.js';
import { problemType, problemUri } from './problems.js';
import { problem } from './wire-operations.js';

type Json = Record<string, unknown>;

export const openapiInfo = {
  openapi: '3.1.0',
  info: {
    title: 'Recoup',
    version: '1',
    description:
      'Collects repayments through payment channels: never twice, never lost. Amounts are whole ' +
      'numbers of minor units (fen); times are UTC. Errors are RFC 9457 problem documents.',
  },
  components: {
    securitySchemes: {
      api_key: {
        type: 'http' as const,
        scheme: 'bearer',
        description: 'An API key; one role each',
      },
    },
  },
  tags: [
    { name: 'deductions' },
    { name: 'withdrawals', description: 'Balances that are paid out' },
    { name: 'top-ups', description: 'Stored-value cards that customers pay for' },
    { name: 'repayments' },
    { name: 'batches' },
    { name: 'reconciliation' },
    { name: 'cases', description: 'What only people can decide; two of them' },
    { name: 'notices', description: 'What business systems are told' },
    { name: 'operations' },
    { name: 'callbacks', description: 'For channels, not for callers' },
    { name: 'health' },
  ],
};

/** Any route under /v1 may answer these. */
const everywhere: readonly ErrorCode[] = ['unauthorized', 'forbidden', 'internal'];

/** Makes the two halves of `@fastify/swagger`'s transform; they share the named schemas. */
export function openapiTransforms(): {
  transform: SwaggerTransform;
  transformObject: SwaggerTransformObject;
} {
  const named: Record<string, Json> = {};
  const json = (type: unknown, io: 'input' | 'output'): Json => {
    const { $schema: _, $defs = {}, ...schema } = z.toJSONSchema(type as z.ZodType, { io });
    Object.assign(named, relinked($defs));
    return relinked(schema) as Json;
  };
  json(problem, 'output');
  const content = (body: Json): Json => ({
    content: Object.fromEntries(
      Object.entries(body).map(([type, part]) => [
        type,
        { schema: json((part as Json)['schema'], 'input') },
      ]),
    ),
  });

  const transform: SwaggerTransform = ({ schema, url, route }) => {
    const docs = route.config?.docs;
    const method = [route.method].flat()[0] ?? 'GET';
    if (docs === undefined || method === 'HEAD') return { schema: { hide: true }, url };
    const roles = rolesFor(method, url);
    const given = schema as FastifySchema & { summary?: string };
    const body = given.body as Json | undefined;
    const described = [
      docs.description,
      roles === undefined ? 'No API key.' : `Roles: ${roles.join(', ')}.`,
    ];
    const codes = roles === undefined ? docs.problems : [...docs.problems, ...everywhere];
    return {
      url,
      schema: {
        summary: given.summary,
        description: described.filter(Boolean).join('\n\n'),
        tags: [tagOf(url)],
        operationId: operationId(method, url),
        security: roles === undefined ? [] : [{ api_key: [] }],
        ...(given.params !== undefined && { params: json(given.params, 'input') }),
        ...(given.querystring !== undefined && { querystring: json(given.querystring, 'input') }),
        ...(docs.headers !== undefined && { headers: json(docs.headers, 'input') }),
        ...(body !== undefined && {
          body: 'content' in body ? content(body['content'] as Json) : json(body, 'input'),
        }),
        response: {
          ...goodResponses(given.response as Json | undefined, json, named),
          ...problemResponses(codes),
        },
      } as FastifySchema,
    };
  };
  const transformObject: SwaggerTransformObject = (document) => {
    if (!('openapiObject' in document)) return {};
    const { openapiObject } = document;
    return {
      ...openapiObject,
      components: { ...openapiObject.components, schemas: named },
    } as ReturnType<SwaggerTransformObject>;
  };
  return { transform, transformObject };
}

/** zod's `#/$defs/X` are the document's `#/components/schemas/X`. */
function relinked(schema: unknown): unknown {
  return JSON.parse(JSON.stringify(schema).replaceAll('"#/$defs/', '"#/components/schemas/'));
}

const meanings: Readonly<Record<string, string>> = {
  200: 'As asked',
  202: 'Accepted; see `Location`',
  503: 'Not ready',
};

function goodResponses(
  response: Json | undefined,
  json: (type: unknown, io: 'output') => Json,
  named: Readonly<Record<string, Json>>,
): Json {
  if (response === undefined) {
    return {
      200: { description: "The channel's own word", type: 'string', examples: ['success'] },
    };
  }
  return Object.fromEntries(
    Object.entries(response).map(([status, type]) => {
      const schema = json(type, 'output');
      const name = String(schema['$ref']).split('/').at(-1) ?? '';
      const [example] = (named[name]?.['examples'] ?? []) as readonly unknown[];
      const media = { schema, example };
      return [
        status,
        { description: meanings[status] ?? '', content: { 'application/json': media } },
      ];
    }),
  );
}

/** One response a status, with an example for each code that it may bring. */
function problemResponses(codes: readonly ErrorCode[]): Json {
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of codes) {
    const [status] = errorTable[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  return Object.fromEntries(
    [...byStatus].map(([status, those]) => [
      status,
      {
        description: those.map((code) => `\`${code}\``).join(', '),
        content: {
          [problemType]: {
            schema: { $ref: '#/components/schemas/Problem' },
            examples: Object.fromEntries(
              those.map((code) => [code, { value: problemExample(code) }]),
            ),
          },
        },
      },
    ]),
  );
}

function problemExample(code: ErrorCode): Json {
  const [status, title, action] = errorTable[code];
  const request_id = 'req-019a9e6c';
  return { type: problemUri(code), title, status, detail: title, code, action, request_id };
}

const tags: readonly (readonly [prefix: string, tag: string])[] = [
  ['/v1/deductions', 'deductions'],
  ['/v1/withdrawals', 'withdrawals'],
  ['/v1/top-ups', 'top-ups'],
  ['/v1/members', 'withdrawals'],
  ['/v1/repayments', 'repayments'],
  ['/v1/batches', 'batches'],
  ['/v1/reconciliations', 'reconciliation'],
  ['/v1/breaks', 'reconciliation'],
  ['/v1/cases', 'cases'],
  ['/v1/notice', 'notices'],
  ['/v1/', 'operations'],
  ['/v1/callbacks', 'callbacks'],
  ['/callbacks', 'callbacks'],
];

const tagOf = (url: string): string =>
  tags.find(([prefix]) => url.startsWith(prefix))?.[1] ?? 'health';

const operationId = (method: string, url: string): string =>
  `${method} ${url}`
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '_')
    .replace(/_$/, '');
