// Test files run side by side where each of them can have stores of its own, else one after the other.

const sets = JSON.parse(process.env.RECOUP_TEST_STORES ?? '[]');

module.exports = {
  spec: ['dist/test/**/*.test.js'],
  require: ['dist/test/support/root-hooks.js'],
  'node-option': ['enable-source-maps'],
  reporter: 'scripts/mocha-reporter.cjs',
  // A machine may be slow or busy: this ends what hangs, and says nothing about speed.
  timeout: 60_000,
  forbidOnly: true,
  exit: false,
  parallel: sets.length > 1,
  jobs: Math.max(1, sets.length),
};
