import { expect } from 'chai';
import { z } from 'zod';
import { errorTable } from '../../src/errors.js';
import { permissions } from '../../src/http/access.js';
import * as operating from '../../src/http/wire-operations.js';
import * as replies from '../../src/http/wire-replies.js';
import * as requests from '../../src/http/wire-requests.js';
import { Api, type Json } from './api.js';

describe('the OpenAPI document at /docs', () => {
  let api: Api;
  let document: Json;

  before(async () => {
    api = await Api.start();
    document = (await api.call('GET', '/docs/json')).body;
  });
  after(async () => api.close());

  const operations = (): [name: string, operation: Json][] =>
    Object.entries(document['paths'] as Record<string, Record<string, Json>>).flatMap(
      ([path, methods]) =>
        Object.entries(methods).map(([method, operation]): [string, Json] => [
          `${method.toUpperCase()} ${path}`,
          operation,
        ]),
    );

  it('is OpenAPI 3.1, and readable by people', async () => {
    expect(document).to.include({ openapi: '3.1.0' });
    expect(document['info']).to.include.keys('title', 'version', 'description');
    for (const path of ['/docs', '/docs/']) {
      const page = await fetch(api.base + path);
      expect(page.status).to.equal(200);
      expect(await page.text()).to.include('swagger-ui');
    }
    const script = await fetch(`${api.base}/docs/static/swagger-ui-bundle.js`);
    expect(script.status).to.equal(200);
    await script.arrayBuffer();
  });

  it('describes every route, and nothing that is not there', () => {
    const wanted = [
      ...Object.keys(permissions),
      'GET /healthz',
      'GET /readyz',
      'POST /callbacks/:channelId',
      'POST /v1/callbacks/:channelId',
    ].map((route) => route.replaceAll(/:(\w+)/g, '{$1}'));
    expect(
      operations()
        .map(([name]) => name)
        .sort(),
    ).to.deep.equal(wanted.sort());
  });

  it('has for every route: a summary, an id, its parameters, its answers with examples', () => {
    const ids = new Set<unknown>();
    for (const [name, operation] of operations()) {
      expect(operation, name).to.include.keys('summary', 'description', 'operationId', 'tags');
      ids.add(operation['operationId']);
      const parameters = (operation['parameters'] ?? []) as Json[];
      const named = [...name.matchAll(/\{(\w+)\}/g)].map(([, parameter]) => parameter);
      const inPath = parameters.filter((one) => one['in'] === 'path').map((one) => one['name']);
      expect(inPath, name).to.deep.equal(named);
      const responses = operation['responses'] as Record<string, Json>;
      expect(
        Object.keys(responses).some((status) => status.startsWith('2')),
        name,
      ).to.equal(true);
      for (const [status, response] of Object.entries(responses)) {
        expect(response['description'], `${name} ${status}`).to.be.a('string').that.is.not.empty;
        for (const media of Object.values(response['content'] as Record<string, Json>)) {
          expect(media, `${name} ${status}`).to.have.any.keys('example', 'examples');
          expect(media).to.include.keys('schema');
        }
      }
      const body = operation['requestBody'] as Json | undefined;
      for (const media of Object.values((body?.['content'] ?? {}) as Record<string, Json>)) {
        expect(media, name).to.have.any.keys('example', 'examples');
      }
    }
    expect(ids.size).to.equal(operations().length);
  });

  it('refers to nothing that is missing', () => {
    const text = JSON.stringify(document);
    const schemas = (document['components'] as { schemas: Json }).schemas;
    const refs = [...text.matchAll(/"\$ref":"([^"]+)"/g)].map(([, ref = '']) => ref);
    expect(refs.length).to.be.above(20);
    for (const ref of refs) {
      expect(ref).to.match(/^#\/components\/schemas\//);
      expect(schemas).to.have.property(ref.slice('#/components/schemas/'.length));
    }
    expect(text).not.to.include('$defs');
  });

  it('names only codes that exist, under their own status, and who may ask', () => {
    for (const [name, operation] of operations()) {
      for (const [status, response] of Object.entries(operation['responses'] as Json)) {
        const media = (response as { content: Json }).content['application/problem+json'] as Json;
        for (const code of Object.keys(media?.['examples'] ?? {})) {
          expect(errorTable, name).to.have.property(code);
          expect(String(errorTable[code as keyof typeof errorTable][0])).to.equal(status);
        }
      }
      const open = !name.includes('/v1/') || name.includes('/callbacks/{channelId}');
      expect(operation['security'], name).to.deep.equal(open ? [] : [{ api_key: [] }]);
      expect(operation['description']).to.match(open ? /No API key/ : /Roles: /);
    }
  });

  it('has examples that are what they are examples of', () => {
    let checked = 0;
    for (const [name, schema] of Object.entries({ ...requests, ...replies, ...operating })) {
      if (!(schema instanceof z.ZodType)) continue;
      const { examples = [] } = (schema.meta() ?? {}) as { examples?: readonly unknown[] };
      for (const example of examples) {
        const parsed = schema.safeParse(example);
        expect(parsed.error?.issues, name).to.equal(undefined);
        checked += 1;
      }
    }
    expect(checked).to.be.above(12);
  });

  it('asks for the idempotency key', () => {
    const [, operation] = operations().find(([name]) => name === 'POST /v1/deductions') ?? [];
    const headers = ((operation?.['parameters'] ?? []) as Json[]).filter(
      (one) => one['in'] === 'header',
    );
    expect(headers.map(({ name, required }) => [name, required === true])).to.deep.equal([
      ['idempotency-key', true],
      ['prefer', false],
    ]);
    const [, upload = {}] = operations().find(([name]) => name === 'POST /v1/batches') ?? [];
    expect(Object.keys((upload['requestBody'] as { content: Json }).content)).to.deep.equal([
      'application/json',
      'text/csv',
    ]);
  });
});
