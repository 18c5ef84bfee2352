import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { mutants } from '../../src/simulation/mutants.js';

const dist = join(import.meta.dirname, '..', '..');

describe('the mutants', () => {
  it('each break a place that stands exactly once in the compiled code', () => {
    const lost = mutants.flatMap(({ name, also = [], ...edit }) =>
      [edit, ...also]
        .filter(({ file, find }) => readFileSync(join(dist, file), 'utf8').split(find).length !== 2)
        .map(({ file }) => `${name}: ${file}`),
    );
    expect(lost).to.deep.equal([]);
  });

  it('have names of their own, and tests that are there', () => {
    expect(new Set(mutants.map(({ name }) => name)).size).to.equal(mutants.length);
    const tests = new Set(mutants.flatMap(({ test }) => test ?? []));
    expect([...tests].filter((test) => !existsSync(join(dist, 'test', test)))).to.deep.equal([]);
  });
});
