import { expect } from 'chai';
import { loadConfig } from '../../src/config.js';

describe('the configuration', () => {
  it('refuses a variable that nobody knows, and passes over one that earlier releases had', () => {
    expect(() => loadConfig({ ...process.env, RECOUP_COMPENSATOR_AGE: '1' })).to.throw();
    expect(() => loadConfig({ ...process.env, RECOUP_IN_FLIGHT_KEEP_MS: '1' })).not.to.throw();
  });
});
