/** zod as fastify's validator and serializer, and as the types of requests and replies. */
import type {
  FastifyBaseLogger,
  FastifyInstance,
  FastifySchema,
  FastifySchemaCompiler,
  FastifyTypeProvider,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerDefault,
} from 'fastify';
import { z } from 'zod';
import type { Log } from '../engine/ports.js';
import { RecoupError } from '../errors.js';

export interface ZodTypes extends FastifyTypeProvider {
  readonly validator: this['schema'] extends z.ZodType ? z.output<this['schema']> : unknown;
  readonly serializer: this['schema'] extends z.ZodType ? z.input<this['schema']> : unknown;
}

export type App = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  FastifyBaseLogger,
  ZodTypes
>;

export const validatorCompiler: FastifySchemaCompiler<FastifySchema> = ({ schema, httpPart }) => {
  const type = schema as unknown as z.ZodType;
  return (data: unknown) => {
    const parsed = type.safeParse(data);
    return parsed.success
      ? { value: parsed.data }
      : { error: invalidRequest(httpPart ?? 'body', parsed.error.issues) };
  };
};

const problemsMax = 20;

/** Every field at once. No value is repeated: it may be a card number in the wrong place. */
function invalidRequest(part: string, issues: readonly z.core.$ZodIssue[]): RecoupError {
  const problems = issues.slice(0, problemsMax).map((issue) => ({
    in: part === 'querystring' ? 'query' : part,
    field: fieldOf(issue),
    message: messageOf(issue),
  }));
  return new RecoupError('invalid_request', { problems });
}

/** An unknown field stands by its name where it is one and could be a field's. */
function fieldOf({ path, ...issue }: z.core.$ZodIssue): string {
  const key =
    issue.code === 'unrecognized_keys' && issue.keys.length === 1 ? String(issue.keys[0]) : '';
  return [...path.map(String), ...(isFieldName(key) ? [key] : [])].join('.');
}

const isFieldName = (key: string): boolean => /^[A-Za-z_]{1,40}$/.test(key);

function messageOf(issue: z.core.$ZodIssue): string {
  if (issue.code !== 'unrecognized_keys') return issue.message;
  const named = issue.keys.filter(isFieldName).slice(0, 5);
  return named.length === issue.keys.length
    ? `there is no field ${named.join(', ')}`
    : 'there are fields that are not known here';
}

/** A reply that is not what the documentation promises is sent all the same, and said so loudly. */
export function serializerCompiler(log: Log) {
  return ({ schema, url }: { schema: unknown; url: string }) => {
    if (!(schema instanceof z.ZodType)) return (data: unknown) => JSON.stringify(data);
    return (data: unknown) => {
      const parsed = schema.safeParse(data);
      if (!parsed.success) {
        const problems = parsed.error.issues.map(({ path, code }) => `${path.join('.')}: ${code}`);
        log.error('the reply is not as documented', { route: url, problems });
      }
      return JSON.stringify(data);
    };
  };
}
