import { expect } from 'chai';
import type { Services } from '../../src/composition/root.js';
import { eventually } from '../ledger/books.js';
import { Nursery } from '../support/nursery.js';
import { startEnvironment, type TestEnvironment } from '../support/environment.js';
import { boundaries, type Doom } from './doomed-sender.js';
import { Receiver } from './receiver.js';

const secretEnv = 'RECOUP_NOTICE_SECRET_TEST';

describe('kill -9 between an outcome and whoever is told of it', () => {
  let environment: TestEnvironment;
  let services: Services;
  let receiver: Receiver;
  const nursery = new Nursery<Doom>(
    new URL('./doomed-sender.js', import.meta.url),
    2,
    boundaries.length,
  );

  before(async () => {
    [environment, receiver] = await Promise.all([startEnvironment(), Receiver.start()]);
    services = await environment.compose({
      config: {
        noticeAllowInternal: true,
        noticeTimeoutMs: 1_000,
        noticeClaimMs: 2_000,
        noticeRetryMs: [100],
      },
      env: { [secretEnv]: receiver.secret },
    });
    const url = receiver.url();
    const types = ['deduction.succeeded'];
    await services.notices.desk.add({ id: 'crm', url, types, secretEnvs: [secretEnv] }, 'test');
  });
  after(async () => {
    await nursery.close();
    await environment.close();
    await receiver.close();
  });

  // Each leaves what it has not finished to the next, who meets a fate of its own.
  it('no notice is lost, and each has one id and one body however often it comes', async function () {
    this.timeout(120_000);
    const env = {
      ...environment.env,
      [secretEnv]: receiver.secret,
      RECOUP_NOTICE_ALLOW_INTERNAL: 'yes',
      RECOUP_NOTICE_TIMEOUT_MS: '1000',
      RECOUP_NOTICE_CLAIM_MS: '2000',
      RECOUP_NOTICE_RETRY_MS: '100',
    };
    const repayments: string[] = [];
    for (const killAt of boundaries) {
      const { id: repayment } = await environment.repayment();
      repayments.push(repayment);
      const { killed, lines } = await nursery.run({ env, repayment, killAt });
      expect(killed, `${killAt}: ${lines.join()}`).to.equal(true);
    }
    const tasks: string[] = [];
    for (const repayment of repayments) tasks.push(await finish(repayment));

    services.notices.start();
    await eventually(async () => {
      const [crm] = await services.notices.desk.destinations();
      const [[row]] = (await environment.owner.raw(
        'SELECT COUNT(*) AS pending FROM notice WHERE pending = 1',
      )) as [[{ pending: number | string }]];
      return crm?.waiting === 0 && Number(row.pending) === 0;
    });
    expect(receiver.forged).to.eql([]);
    const bodies = new Map<string, Set<string>>();
    for (const { id, body } of receiver.received) {
      bodies.set(id, (bodies.get(id) ?? new Set()).add(body));
    }
    expect([...bodies.values()].map((all) => all.size)).to.eql(tasks.map(() => 1));
    const told = [...bodies.values()].map(([body = '']) => idIn(body));
    expect(told.sort()).to.eql([...tasks].sort());
    // One of them was sent, and nobody wrote it down: it came again.
    expect(receiver.received.length).to.be.above(tasks.length);
  });

  const idIn = (body: string): string => (JSON.parse(body) as { data: { id: string } }).data.id;

  /** A deduction whose process died before its outcome was written is taken over. */
  async function finish(repayment: string): Promise<string> {
    await services.redis.del(`recoup:lock:repayment:${repayment}`);
    const accepted = await services.deductions.findByRequest(`doomed:${repayment}`);
    if (accepted === null) throw new Error(`${repayment} was never accepted`);
    await eventually(async () => (await services.resume(accepted.id)) === 'ended');
    return accepted.id;
  }
});
