import { expect } from 'chai';
import type { Services } from '../../src/composition/root.js';
import type { TaskId } from '../../src/ids.js';
import type { FaultRule } from '../../src/sandbox/faults.js';
import type { BookedOrder } from '../sandbox/sandbox-process.js';
import { startEnvironment, type TestEnvironment } from '../support/environment.js';
import { finish } from '../support/finish.js';
import { shareOut, unannounced } from '../support/kills.js';
import { Nursery } from '../support/nursery.js';
import type { Doom, DoomedWithdrawal } from '../engine/doomed-process.js';
import { aMember, expectExplained } from './practice.js';

const inFlightMs = 25;
const amount = 50_000;

interface Scenario {
  readonly name: string;
  readonly remote: boolean;
  readonly faults: readonly FaultRule[];
  /** Where it is killed; the longest of them is killed everywhere. */
  readonly passes: readonly string[];
  /** Killed there first, then at each of these of the recovery, and resumed a second time. */
  readonly again: { readonly after: string; readonly at: readonly string[] };
}

const around = (call: string): readonly string[] =>
  ['before', 'during', 'after'].map((when) => `${when} ${call} 1`);
const commits = (count: number): readonly string[] =>
  Array.from({ length: count }, (_, nth) => [
    `before commit ${nth + 1}`,
    `after commit ${nth + 1}`,
  ]).flat();

const refused: FaultRule = {
  channel: '*',
  operation: 'payout',
  fault: 'decline',
  params: { outcome: 'account_closed' },
};

const scenarios: readonly Scenario[] = [
  {
    name: 'refused: given back once',
    remote: false,
    faults: [refused],
    passes: ['before commit 1', 'during payout 1', 'before commit 2', 'after commit 2'],
    again: { after: 'during payout 1', at: ['before commit 2', 'after commit 2'] },
  },
  {
    name: 'debited elsewhere, and refused: restored once',
    remote: true,
    faults: [refused],
    passes: [...commits(4), ...around('debit'), ...around('payout'), ...around('restore')],
    again: { after: 'during restore 1', at: ['before commit 1', 'after query 1'] },
  },
  {
    name: 'debited elsewhere, and paid: once each',
    remote: true,
    faults: [],
    passes: ['during debit 1', 'before commit 2', 'during payout 1', 'before commit 3'],
    again: { after: 'during payout 1', at: ['before query 1', 'after commit 2'] },
  },
];

describe('a withdrawal and a kill -9 at a durable boundary', () => {
  let environment: TestEnvironment;
  let services: Services;
  let lives = 0;
  const nursery = new Nursery<Doom>(new URL('../engine/doomed-process.js', import.meta.url), 1);

  before(async () => {
    environment = await startEnvironment({ sandbox: { latencyScale: 1 }, parties: ['accounts'] });
    services = await environment.compose();
  });
  after(async () => {
    await nursery.close();
    await environment.close();
  });
  afterEach(async () =>
    expect(await unannounced(environment), 'orders that no log announced').to.eql([]),
  );

  for (const scenario of scenarios) {
    it(scenario.name, async function () {
      this.timeout(120_000);
      await environment.sandbox.setFaults(scenario.faults);
      const killed = await Promise.all(
        shareOut(scenario.passes).map(async (places) => {
          const { lives } = await liveThrough(scenario, places, null);
          return places.filter((_place, at) => lives[at]?.killed);
        }),
      );
      expect(killed.flat().toSorted(), 'boundaries killed at').to.eql(scenario.passes.toSorted());
      const { after: first, at } = scenario.again;
      const twice = await liveThrough(
        scenario,
        at.map(() => first),
        at,
      );
      for (const { killed } of [...twice.lives, ...twice.again]) expect(killed).to.equal(true);
      expect(twice.again).to.have.length(at.length);
    });
  }

  /** Each killed at its boundary, killed again in recovery (null: not), resumed for good, compared. */
  async function liveThrough(
    scenario: Scenario,
    places: readonly string[],
    second: readonly string[] | null,
  ) {
    const dooms = await Promise.all(
      places.map(async (killAt) => ({ killAt, withdrawal: await aWithdrawal(scenario) })),
    );
    const { env } = environment;
    const found = async (): Promise<readonly (TaskId | null)[]> =>
      await Promise.all(
        dooms.map(async ({ withdrawal }) => {
          const accepted = await services.flows.withdrawals.findByRequest(withdrawal.key);
          if (accepted !== null) await forgetLock(accepted.id);
          return accepted?.id ?? null;
        }),
      );
    const process = await nursery.doomed<Doom>();
    const lives = await process.live({ env, inFlightMs, lives: dooms });
    const tasks = await found();
    let again: typeof lives = [];
    if (second !== null) {
      const dooms = tasks.map((task, at) => ({ killAt: second[at] ?? '', task: task ?? '' }));
      again = await (await nursery.doomed<Doom>()).live({ env, inFlightMs, lives: dooms });
      await found();
    }
    await Promise.all(
      dooms.map(async ({ killAt, withdrawal }, at) => {
        const task = tasks[at] ?? null;
        if (task !== null) await finish(services, task);
        await compare(withdrawal.memberId, task, scenario, `${killAt}, then ${second?.[at]}`);
      }),
    );
    return { lives, again };
  }

  async function aWithdrawal({ remote }: Scenario): Promise<DoomedWithdrawal> {
    lives += 1;
    const life = lives;
    return {
      memberId: await aMember(services, 2 * amount),
      key: `doomed:${life}`,
      amount,
      token: `tok_ok_killed_${life}`,
      serviceToken: remote ? `tok_ok_from_${life}` : null,
    };
  }

  /** The dead process's lock would expire by itself; the test need not wait for it. */
  async function forgetLock(id: string): Promise<void> {
    await services.redis.del(`recoup:lock:withdrawal:${id}`);
  }

  async function compare(
    memberId: string,
    id: TaskId | null,
    { remote, faults }: Scenario,
    story: string,
  ): Promise<void> {
    const left = await expectExplained(environment.owner, memberId);
    const untouched = BigInt(2 * amount);
    if (id === null) {
      // Killed before the first commit: it never existed.
      expect(left, story).to.equal(untouched);
      return;
    }
    const record = await services.flows.withdrawals.find(id);
    const paid = faults.length === 0;
    expect(record?.status, story).to.equal(paid ? 'succeeded' : 'failed');
    expect(left, story).to.equal(paid && !remote ? untouched - BigInt(amount) : untouched);
    const own = new Set((await services.deductions.attempts(id)).map(({ orderNo }) => orderNo));
    const books = await Promise.all([
      environment.sandbox.book(),
      environment.parties.accounts?.book() ?? Promise.resolve([]),
    ]);
    const done = (operation: BookedOrder['operation']): number =>
      books
        .flat()
        .filter((one) => one.operation === operation && own.has(one.orderNo))
        .flatMap((one) => one.executions).length;
    expect(
      { debit: done('debit'), payout: done('payout'), restore: done('restore') },
      story,
    ).to.eql({ debit: remote ? 1 : 0, payout: paid ? 1 : 0, restore: remote && !paid ? 1 : 0 });
    const entries = await services.flows.members.entries(memberId, 'CNY', 10);
    const back = entries.filter(({ kind }) => kind === 'given_back').length;
    expect(back, story).to.equal(remote || paid ? 0 : 1);
  }
});
