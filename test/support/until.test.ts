import { expect } from 'chai';
import { until } from '../sandbox/sandbox-process.js';

describe('Waiting until it is so', () => {
  it('is over at what is true or there, and not at what is empty', async () => {
    const answers = [null, undefined, false, '', [], { so: 'it is' }];
    expect(await until('it', async () => answers.shift())).to.deep.equal({ so: 'it is' });
    expect(answers).to.deep.equal([]);
  });

  it('ends with an error when it never is', async () => {
    const failed = await until('never', async () => false, 30).catch(
      (error: Error) => error.message,
    );
    expect(failed).to.include('not within 30 ms: never');
  });

  it('knows no number, which might count what is left or what was done', () => {
    // @ts-expect-error -- a bare 0 was once taken for done
    const count = async () => await until('it', async () => [].length);
    expect(count).to.be.a('function');
  });
});
