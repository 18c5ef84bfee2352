// mocha's spec output, then one plain line for machines: `N passed, N failed`.
//
// mocha does not end the process itself here (`exit: false`), so that a handle left open is noticed;
// this reporter sees to it that such a handle fails the run instead of hanging it.

const { reporters } = require('mocha');

const lingerMs = 5_000;

module.exports = class SpecWithSummary extends reporters.Spec {
  epilogue() {
    super.epilogue();
    const { passes, failures } = this.stats;
    process.stdout.write(`${passes} passed, ${failures} failed\n`);
    // Unreferenced: it only fires when something else keeps the process alive.
    setTimeout(() => {
      const open = process
        .getActiveResourcesInfo()
        .filter((kind) => !/^(TTYWrap|PipeWrap)$/.test(kind));
      process.stderr.write(`tests left handles open: ${open.join(', ') || 'unknown kind'}\n`);
      process.exit(1);
    }, lingerMs).unref();
  }
};
