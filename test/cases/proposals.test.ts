import { expect } from 'chai';
import type { CaseId, Person } from '../../src/cases/case.js';
import { Decisions } from '../../src/cases/decisions.js';
import type { CaseSource } from '../../src/cases/case.js';
import type { Carrier, Decided } from '../../src/cases/ports.js';
import type { CarriedOut, Proposal } from '../../src/cases/proposal.js';
import { CaseDesk } from '../../src/cases/case-desk.js';
import { RecoupError } from '../../src/errors.js';
import { newTaskId } from '../../src/ids.js';
import { silentLog } from '../../src/log.js';
import { CaseStore } from '../../src/store/case-book.js';
import { CaseProposalStore } from '../../src/store/case-proposals.js';
import { openDatabase, sqlTime, type Database } from '../../src/store/database.js';
import { until } from '../sandbox/sandbox-process.js';
import { startEnvironment, type TestEnvironment } from '../support/environment.js';

const wang: Person = { name: 'Wang Fang', keyId: 'key_wang' };
const li: Person = { name: 'Li Na', keyId: 'key_li' };
const ttlMs = 60_000;

describe('proposals for a case', () => {
  let environment: TestEnvironment;
  let database: Database;
  let book: CaseStore;
  let proposals: CaseProposalStore;
  let nowMs = Date.now();
  const clock = {
    nowMs: () => nowMs,
    monotonicMs: () => performance.now(),
    sleep: async () => undefined,
  };

  before(async () => {
    environment = await startEnvironment();
    database = openDatabase(environment.config.databaseUrl, 8, silentLog);
    book = new CaseStore(database);
    proposals = new CaseProposalStore(database);
  });
  after(async () => {
    await database.destroy();
    await environment.close();
  });
  beforeEach(() => {
    nowMs = Date.now();
  });

  /** A case that belongs to nothing else: a finding of the active check. */
  async function someCase(): Promise<CaseId> {
    const [result] = (await environment.owner.raw(
      `INSERT INTO active_check_finding (task_id, kind, amount_minor, evidence, opened_at, seen_at)
       VALUES (?, 'cannot_run', 120000, 'it threw', ?, ?)`,
      [newTaskId(), sqlTime(nowMs), sqlTime(nowMs)],
    )) as [{ insertId: number }];
    return `check:${result.insertId}` as CaseId;
  }

  const carriedBy = (check: Carrier): Readonly<Record<CaseSource, Carrier>> => ({
    task: check,
    dead: check,
    break: check,
    notice: check,
    refund: check,
    check,
  });

  const decisionsWith = (carrier: Carrier, store = proposals): Decisions =>
    new Decisions(book, store, carriedBy(carrier), clock, silentLog);

  const deskWith = (decisions: Pick<Decisions, 'carryOutOne'>): CaseDesk =>
    new CaseDesk(book, proposals, decisions, clock, { proposalTtlMs: ttlMs });

  const neverCarriedOut = { carryOutOne: async () => undefined };

  /** Counts what was carried out; a second time finds it done, as every real carrier does. */
  function counting(): { carrier: Carrier; done: Decided[] } {
    const done: Decided[] = [];
    const carrier: Carrier = async (decided) => {
      done.push(decided);
      return { kind: 'done', outcome: 'written off' };
    };
    return { carrier, done };
  }

  const writeOff = { action: 'write_off', reason: 'below the cost of asking' } as const;

  async function proposed(): Promise<Proposal> {
    return await deskWith(neverCarriedOut).propose(await someCase(), writeOff, wang);
  }

  async function approved(): Promise<Proposal> {
    const { caseId, no, payloadDigest } = await proposed();
    return await proposals.approve(caseId, no, payloadDigest, li, nowMs);
  }

  const codeOf = async (promise: Promise<unknown>): Promise<string> => {
    try {
      await promise;
      return 'resolved';
    } catch (error) {
      return error instanceof RecoupError ? error.code : (error as Error).message;
    }
  };

  const stateOf = async ({ caseId, no }: Proposal): Promise<string | undefined> =>
    (await proposals.findProposal(caseId, no))?.state;

  const auditOf = async (id: CaseId): Promise<string[]> => {
    const [rows] = (await environment.owner.raw(
      'SELECT actor, action FROM audit WHERE subject = ? ORDER BY id',
      [id],
    )) as [{ actor: string; action: string }[]];
    return rows.map(({ actor, action }) => `${action} ${actor}`);
  };

  it('are carried out when another person approves them, and every step is audited', async () => {
    const { carrier, done } = counting();
    const desk = deskWith(decisionsWith(carrier));
    const id = await someCase();
    const made = await desk.propose(id, writeOff, wang);
    expect(made).to.include({ no: 1, state: 'open', maker: 'Wang Fang' });
    const end = await desk.approve(id, 1, made.payloadDigest, li);
    expect(end).to.include({ state: 'executed', checker: 'Li Na', outcome: 'written off' });
    expect(done).to.have.length(1);
    expect(done[0]).to.deep.include({ resolution: writeOff, by: 'Wang Fang', approvedBy: 'Li Na' });
    expect(await auditOf(id)).to.deep.equal([
      'proposal_made Wang Fang (key_wang)',
      'proposal_approved Li Na (key_li)',
      'proposal_executed recoup (sweep)',
    ]);
  });

  for (const [how, same] of [
    ['with the same key', wang],
    ['with another key of the same name', { name: 'Wang Fang', keyId: 'key_wang_2' }],
    ['under a name written otherwise', { name: 'WANG  Fang '.replace('  ', ' '), keyId: 'key_w3' }],
    ['under another name, with the same key', { name: 'Zhao Min', keyId: 'key_wang' }],
  ] as const) {
    it(`are not approved by whoever made them, ${how}`, async () => {
      const { caseId, no, payloadDigest } = await proposed();
      const attempt = proposals.approve(caseId, no, payloadDigest, same, nowMs);
      expect(await codeOf(attempt)).to.equal('same_person');
      expect((await proposals.findProposal(caseId, no))?.state).to.equal('open');
      expect(await auditOf(caseId)).to.include(`approval_refused ${same.name} (${same.keyId})`);
    });
  }

  it('are not approved by whoever made them behind the back of the program either', async () => {
    const { caseId, no, payloadDigest } = await proposed();
    const update = environment.owner.raw(
      `UPDATE case_proposal SET state = 'approved', checker = maker, checker_key = 'key_other',
         decided_at = made_at, approved_digest = ?, try_at = made_at
       WHERE case_id = ? AND proposal_no = ?`,
      [payloadDigest, caseId, no],
    );
    expect(await codeOf(Promise.resolve(update))).to.match(/case_proposal_two_people/);
  });

  it('are not approved by the digest of something else', async () => {
    const { caseId, no } = await proposed();
    const other = (await proposed()).payloadDigest;
    const attempt = proposals.approve(caseId, no, other, li, nowMs);
    expect(await codeOf(attempt)).to.equal('payload_changed');
    expect((await proposals.findProposal(caseId, no))?.state).to.equal('open');
  });

  it('never change, whoever tries', async () => {
    const { caseId, no } = await approved();
    for (const change of [
      `payload = '{"action":"write_off","reason":"more"}'`,
      `action = 'refund'`,
      `maker = 'Somebody'`,
      `expires_at = '2099-01-01'`,
      `state = 'open', checker = NULL, checker_key = NULL, decided_at = NULL`,
    ]) {
      const update = environment.owner.raw(
        `UPDATE case_proposal SET ${change} WHERE case_id = ? AND proposal_no = ?`,
        [caseId, no],
      );
      expect(await codeOf(Promise.resolve(update)), change).to.match(/does not change/);
    }
    const gone = environment.owner.raw('DELETE FROM case_proposal WHERE case_id = ?', [caseId]);
    expect(await codeOf(Promise.resolve(gone))).to.match(/are kept/);
  });

  describe('whose payload somebody has changed all the same', () => {
    // Whoever owns the schema can take the trigger out; the digests are the second line.
    const trigger = async (work: () => Promise<unknown>): Promise<void> => {
      const [[row]] = (await environment.owner.raw('SHOW CREATE TRIGGER case_proposal_fixed')) as [
        [Record<string, string>],
      ];
      await environment.owner.raw('DROP TRIGGER case_proposal_fixed');
      try {
        await work();
      } finally {
        const sql = (row['SQL Original Statement'] ?? '').replace(/DEFINER=\S+ /, '');
        await environment.owner.raw(sql.replaceAll('?', '\\?'));
      }
    };
    const changed = '{"action":"refund","amountMinor":"120000","reason":"to me"}';

    it('are void: what was approved is what is carried out', async () => {
      const proposal = await approved();
      await trigger(async () =>
        environment.owner.raw('UPDATE case_proposal SET payload = ? WHERE case_id = ?', [
          changed,
          proposal.caseId,
        ]),
      );
      const { carrier, done } = counting();
      await decisionsWith(carrier).runOnce();
      expect(done.filter((one) => one.case.id === proposal.caseId)).to.have.length(0);
      expect(await stateOf(proposal)).to.equal('void');
    });

    it('are void by the audit, when the digests were made to fit', async () => {
      const proposal = await approved();
      const { digestOf } = await import('../../src/cases/resolution.js');
      const digest = digestOf({ ...proposal, payload: changed });
      await trigger(async () =>
        environment.owner.raw(
          `UPDATE case_proposal SET payload = ?, payload_digest = ?, approved_digest = ?
           WHERE case_id = ?`,
          [changed, digest, digest, proposal.caseId],
        ),
      );
      const { carrier, done } = counting();
      await decisionsWith(carrier).runOnce();
      expect(done.filter((one) => one.case.id === proposal.caseId)).to.have.length(0);
      expect(await stateOf(proposal)).to.equal('void');
    });
  });

  it('are not approved once they have expired', async () => {
    const proposal = await proposed();
    nowMs += ttlMs;
    const { caseId, no, payloadDigest } = proposal;
    const attempt = proposals.approve(caseId, no, payloadDigest, li, nowMs);
    expect(await codeOf(attempt)).to.equal('proposal_expired');
    expect(await stateOf(proposal)).to.equal('expired');
    // The place is free again.
    const again = await deskWith(neverCarriedOut).propose(caseId, writeOff, li);
    expect(again).to.include({ no: 2, state: 'open' });
  });

  it('cannot be approved late behind the back of the program either', async () => {
    const { caseId, no, payloadDigest } = await proposed();
    const update = environment.owner.raw(
      `UPDATE case_proposal SET state = 'approved', checker = 'Li Na', checker_key = 'key_li',
         decided_at = expires_at, approved_digest = ?, try_at = expires_at
       WHERE case_id = ? AND proposal_no = ?`,
      [payloadDigest, caseId, no],
    );
    expect(await codeOf(Promise.resolve(update))).to.match(/case_proposal_in_time/);
  });

  it('expire by the sweep when nobody comes', async () => {
    const proposal = await proposed();
    nowMs += ttlMs;
    await decisionsWith(counting().carrier).runOnce();
    expect(await stateOf(proposal)).to.equal('expired');
    expect(await auditOf(proposal.caseId)).to.include('proposal_expired recoup (sweep)');
  });

  it('stand one at a time; the same one sent twice is one', async () => {
    const desk = deskWith(neverCarriedOut);
    const id = await someCase();
    const made = await Promise.all(
      Array.from({ length: 8 }, () => desk.propose(id, writeOff, wang)),
    );
    expect(new Set(made.map(({ no }) => no))).to.deep.equal(new Set([1]));
    const other = { action: 'ask_again' } as const;
    expect(await codeOf(desk.propose(id, other, wang))).to.equal('proposal_open');
    expect(await codeOf(desk.propose(id, writeOff, li))).to.equal('proposal_open');
    await desk.reject(id, 1, 'not mine to lose', wang);
    const rivals = await Promise.allSettled(
      [wang, li, { name: 'Zhao Min', keyId: 'key_zhao' }].map((by) => desk.propose(id, other, by)),
    );
    expect(rivals.filter(({ status }) => status === 'fulfilled')).to.have.length(1);
  });

  it('are decided once, whoever comes second', async () => {
    const { caseId, no, payloadDigest } = await proposed();
    const people = Array.from({ length: 6 }, (_, n) => ({ name: `Checker ${n}`, keyId: `k${n}` }));
    const results = await Promise.allSettled(
      people.map((by, n) =>
        n % 2 === 0
          ? proposals.approve(caseId, no, payloadDigest, by, nowMs)
          : proposals.reject(caseId, no, 'no reason given', by, nowMs),
      ),
    );
    expect(results.filter(({ status }) => status === 'fulfilled')).to.have.length(1);
    const decided = (await auditOf(caseId)).filter((line) => /^proposal_(app|rej)/.test(line));
    expect(decided).to.have.length(1);
  });

  describe('whose process dies after the approval', () => {
    it('are carried out by the sweep, once', async () => {
      const proposal = await approved();
      expect(await stateOf(proposal)).to.equal('approved');
      const { carrier, done } = counting();
      await decisionsWith(carrier).runOnce();
      await decisionsWith(carrier).runOnce();
      expect(done.filter((one) => one.case.id === proposal.caseId)).to.have.length(1);
      expect(await stateOf(proposal)).to.equal('executed');
    });

    it('are followed when the one that carries out dies, too', async () => {
      const proposal = await approved();
      const dies: Carrier = () => new Promise<CarriedOut>(() => undefined);
      void decisionsWith(dies).carryOutOne(proposal.caseId, proposal.no);
      const { carrier, done } = counting();
      const mine = (): readonly Decided[] => done.filter((one) => one.case.id === proposal.caseId);
      await until('the first has claimed it', async () => {
        const [[row]] = (await environment.owner.raw(
          'SELECT try_at > ? AS claimed FROM case_proposal WHERE case_id = ?',
          [sqlTime(nowMs), proposal.caseId],
        )) as [[{ claimed: number }]];
        return row.claimed === 1;
      });
      await decisionsWith(carrier).runOnce();
      expect(mine(), 'in the hands of the first').to.have.length(0);
      nowMs += 120_000;
      await decisionsWith(carrier).runOnce();
      expect(mine()).to.have.length(1);
      expect(await stateOf(proposal)).to.equal('executed');
    });
  });

  it('are carried out once when several sweeps come at once', async () => {
    const all = [];
    for (let n = 0; n < 12; n += 1) all.push(await approved());
    const { carrier, done } = counting();
    await Promise.all(Array.from({ length: 4 }, () => decisionsWith(carrier).runOnce()));
    const ids = all.map(({ caseId }) => caseId);
    const mine = done.map((one) => one.case.id).filter((id) => ids.includes(id));
    expect(mine.toSorted()).to.deep.equal(ids.toSorted());
  });

  it('stay approved while they cannot be carried out, and say why', async () => {
    const proposal = await approved();
    const busy: Carrier = async () => ({ kind: 'later', why: 'busy' });
    await decisionsWith(busy).runOnce();
    const waiting = await proposals.findProposal(proposal.caseId, proposal.no);
    expect(waiting).to.include({ state: 'approved', tries: 1, lastProblem: 'busy' });
    const throws: Carrier = async () => {
      throw new Error('the store is away');
    };
    nowMs += 5_000;
    await decisionsWith(throws).runOnce();
    nowMs += 15_000;
    const { carrier, done } = counting();
    await decisionsWith(carrier).runOnce();
    expect(done.some((one) => one.case.id === proposal.caseId)).to.equal(true);
    expect(await stateOf(proposal)).to.equal('executed');
  });

  it('are void when they no longer apply', async () => {
    const proposal = await approved();
    await decisionsWith(async () => ({ kind: 'refused', outcome: 'it has ended' })).runOnce();
    const end = await proposals.findProposal(proposal.caseId, proposal.no);
    expect(end).to.include({ state: 'void', outcome: 'it has ended' });
  });
});
