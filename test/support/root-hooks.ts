/** Loaded by mocha before any test: whose stores these are, and what a file of tests left behind. */
import type { RootHookObject } from 'mocha';

const worker = process.env['MOCHA_WORKER_ID'];
if (worker !== undefined) Object.assign(process.env, storesOf(Number(worker)));

/** Files that run side by side would flush each other's Redis and stop each other's databases. */
function storesOf(worker: number): Readonly<Record<string, string>> {
  const sets = JSON.parse(process.env['RECOUP_TEST_STORES'] ?? '[]') as Record<string, string>[];
  const own = sets[worker % sets.length];
  if (own === undefined) throw new Error('tests side by side need stores: run.mjs --stores <n>');
  return own;
}

/** Less than mocha's time-out. */
const lingerMs = 5_000;
/** The streams of the process itself. */
const own = /^(TTYWrap|PipeWrap)$/;

/** What files before have left in this process, and been told of, is not the next one's. */
const reported: string[] = [];

/** After each file, where each has a mocha of its own; else once, at the end. */
export const mochaHooks: RootHookObject = {
  async afterAll() {
    const untilMs = performance.now() + lingerMs;
    let open: readonly string[];
    do {
      // Also before the first look: from here on mocha has a timer for this hook.
      await new Promise((resolve) => void setTimeout(resolve, 10));
      open = openHandles();
    } while (open.length > 0 && performance.now() < untilMs);
    if (open.length === 0) return;
    reported.push(...open);
    throw new Error(`the tests left handles open: ${open.join(', ')}`);
  },
};

function openHandles(): readonly string[] {
  const open = process.getActiveResourcesInfo().filter((kind) => !own.test(kind));
  for (const kind of ['Timeout', ...reported]) {
    const at = open.indexOf(kind);
    if (at >= 0) open.splice(at, 1);
  }
  return open;
}
