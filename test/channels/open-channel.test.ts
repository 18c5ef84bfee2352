import { expect } from 'chai';
import { openChannels, type EnvironmentProblem } from '../../src/channels/open-channel.js';
import { RecoupError } from '../../src/errors.js';
import { practiceProfiles } from './practice.js';

function problemsIn(env: Record<string, string>): readonly EnvironmentProblem[] {
  try {
    openChannels(practiceProfiles(), env);
  } catch (error) {
    if (!(error instanceof RecoupError) || error.code !== 'config_invalid') throw error;
    return error.details['problems'] as EnvironmentProblem[];
  }
  throw new Error('it opened');
}

describe('Opening channels', () => {
  it('names every variable that is missing, of all channels at once', () => {
    const variables = problemsIn({}).map(({ channel, variable }) => `${channel} ${variable}`);
    expect(variables).to.have.members([
      'swiftpay RECOUP_SANDBOX_SWIFTPAY_HMAC_KEY',
      'swiftpay RECOUP_SANDBOX_SWIFTPAY_URL',
      'unionlink RECOUP_SANDBOX_UNIONLINK_PRIVATE_KEY',
      'unionlink RECOUP_SANDBOX_UNIONLINK_PUBLIC_KEY',
      'unionlink RECOUP_SANDBOX_UNIONLINK_PUBLIC_KEY_B',
      'unionlink RECOUP_SANDBOX_UNIONLINK_URL',
      'oldbank RECOUP_SANDBOX_OLDBANK_HMAC_KEY',
      'oldbank RECOUP_SANDBOX_OLDBANK_URL',
      'voucherpay RECOUP_SANDBOX_VOUCHERPAY_CALLBACK_KEY',
      'voucherpay RECOUP_SANDBOX_VOUCHERPAY_HMAC_KEY',
      'voucherpay RECOUP_SANDBOX_VOUCHERPAY_HMAC_KEY_B',
      'voucherpay RECOUP_SANDBOX_VOUCHERPAY_URL',
    ]);
  });

  it('never repeats a value: what is unusable may be a secret', () => {
    const env = {
      RECOUP_SANDBOX_UNIONLINK_PRIVATE_KEY: 'hunter2-hunter2',
      RECOUP_SANDBOX_UNIONLINK_PUBLIC_KEY: Buffer.from('hunter2').toString('base64'),
      RECOUP_SANDBOX_VOUCHERPAY_CALLBACK_KEY: 'hunter2',
      RECOUP_SANDBOX_SWIFTPAY_URL: 'ftp://user:hunter2@127.0.0.1',
    };
    const problems = problemsIn(env);
    expect(JSON.stringify(problems)).not.to.include('hunter2');
    const unusable = problems.filter(({ message }) => message === 'is not a usable key');
    expect(unusable.map(({ variable }) => variable)).to.have.members([
      'RECOUP_SANDBOX_UNIONLINK_PRIVATE_KEY',
      'RECOUP_SANDBOX_UNIONLINK_PUBLIC_KEY',
      'RECOUP_SANDBOX_VOUCHERPAY_CALLBACK_KEY',
    ]);
  });
});
