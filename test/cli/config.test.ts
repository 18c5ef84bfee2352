import { expect } from 'chai';
import { loadConfig } from '../../src/config.js';
import type { RecoupError } from '../../src/errors.js';

describe('the configuration', () => {
  it('refuses a variable that nobody knows, and passes over one that earlier releases had', () => {
    expect(() => loadConfig({ ...process.env, RECOUP_COMPENSATOR_AGE: '1' })).to.throw();
    expect(() => loadConfig({ ...process.env, RECOUP_IN_FLIGHT_KEEP_MS: '1' })).not.to.throw();
  });

  it('says which variable is required and not set', () => {
    let problems: unknown = 'it was taken';
    try {
      loadConfig({ RECOUP_REDIS_URL: 'redis://127.0.0.1/0' });
    } catch (error) {
      problems = (error as RecoupError).details['problems'];
    }
    expect(problems).to.deep.equal([
      { variable: 'RECOUP_DATABASE_URL', message: 'it is required and not set' },
    ]);
  });
});
