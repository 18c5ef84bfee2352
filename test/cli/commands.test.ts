import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Services } from '../../src/composition/root.js';
import { someRepayment, startEnvironment, type TestEnvironment } from '../support/environment.js';
import { recoup, recoupHere } from './recoup.js';

describe('The recoup command', () => {
  let surroundings: TestEnvironment;
  let services: Services;
  let folder = '';
  const run = (...args: string[]) => recoupHere(surroundings.env, ...args);

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'recoup-cli-'));
    surroundings = await startEnvironment();
    services = await surroundings.compose();
  });
  after(async () => {
    await surroundings.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const onAccount = (word: string, bankCode = 'ICBC') => {
    const { id } = someRepayment();
    return surroundings.repayment({
      account: { token: `tok_${word}_${id}`, bankCode, last4: '0001' },
    });
  };

  describe('deduct', () => {
    it('exits 0 when the money was collected, and prints one JSON document', async () => {
      const { id } = await onAccount('ok');
      const { code, out, json } = await run('deduct', '--repayment', id, '--key', 'k1', '--json');
      expect(code).to.equal(0);
      expect(out.trim().split('\n')).to.have.length(1);
      expect(json['deduction']).to.include({
        status: 'succeeded',
        repayment_id: id,
        amount_minor: 120_000,
        source: 'app',
        channel_id: 'swiftpay',
      });
      expect(out).to.not.include('tok_');
      const again = await run('deduct', '--repayment', id, '--key', 'k1', '--json');
      expect(again.code).to.equal(0);
      expect(again.json['deduction']).to.deep.equal(json['deduction']);
      const other = await run(
        'deduct',
        '--repayment',
        id,
        '--key',
        'k1',
        '--amount',
        '1',
        '--json',
      );
      expect(other.code).to.equal(2);
      expect(other.json['error']).to.include({ code: 'idempotency_key_reused' });
    });

    it('exits 3 when the bank declined: no money has moved', async () => {
      const { id } = await onAccount('insufficient');
      const { code, out } = await run('deduct', '--repayment', id, '--key', 'k2');
      expect(code).to.equal(3);
      expect(out).to.include('failed: insufficient_funds');
    });

    it('exits 4 while the outcome is not known, and 0 once it was waited for', async () => {
      const { id } = await onAccount('slow', 'CEB');
      await surroundings.sandbox.setFaults([
        { channel: 'unionlink', operation: 'charge', fault: 'timeout_after', times: 1 },
      ]);
      const first = await run('deduct', '--repayment', id, '--key', 'k3', '--json');
      await surroundings.sandbox.clearFaults();
      expect(first.code).to.equal(4);
      expect(first.json['deduction']).to.include({ status: 'processing' });
      const waited = await run(
        'deduct',
        '--repayment',
        id,
        '--key',
        'k3',
        '--wait',
        '20',
        '--json',
      );
      expect(waited.code).to.equal(0);
      const { id: deductionId } = first.json['deduction'] as unknown as { id: string };
      expect(waited.json['deduction']).to.include({ id: deductionId, status: 'succeeded' });

      const shown = await run('show', deductionId);
      expect(shown.code).to.equal(0);
      expect(shown.out).to.match(/about to charge unionlink under R[0-9A-Z]{27}/);
      expect(shown.out).to.match(
        /charge: unknown: timeout[^]*query: succeeded[^]*settled: 1200\.00/,
      );
      const asJson = await run('show', deductionId, '--json');
      const story = ['deduction', 'attempts', 'cases', 'log', 'refund_requests', 'refunds'];
      expect(asJson.json).to.have.all.keys(...story);
      expect(asJson.out).to.not.include('tok_');
      await services.calls.flush();
      const withCalls = await run('show', deductionId, '--calls', '--json');
      expect(withCalls.json).to.include.keys('calls');
      expect(withCalls.out).to.not.include('tok_');
      expect((await run('show', deductionId, '--calls')).out).to.match(/at \(UTC\) +call/);
    });

    it('collects by hand with a reason that is kept, and not without one', async () => {
      const { id } = await onAccount('ok');
      const asked = ['deduct', '--repayment', id, '--source', 'agent', '--agent', 'wang'];
      const part = ['--amount', '100.50', '--json'];
      const without = await run(...asked, ...part, '--key', 'k4');
      expect(without.code).to.equal(2);
      expect(without.json['error']).to.include({ code: 'agent_reason_missing' });
      const withReason = ['--reason', 'promised on the phone'];
      const { code, json } = await run(...asked, ...part, ...withReason, '--key', 'k5');
      expect(code).to.equal(0);
      expect(json['deduction']).to.deep.include({
        amount_minor: 10_050,
        agent: { name: 'wang', reason: 'promised on the phone' },
      });
      const [rows] = (await surroundings.owner.raw(
        `SELECT actor, action FROM audit WHERE actor LIKE 'wang%' ORDER BY id`,
      )) as [{ actor: string; action: string }[]];
      expect(rows.map(({ action }) => action)).to.include.members([
        'deduction_requested',
        'deduction_accepted',
      ]);
    });

    it('exits 2 for what is wrong with the request, and says what to do', async () => {
      const unknown = await run('deduct', '--repayment', 'nobody', '--key', 'k6');
      expect(unknown.code).to.equal(2);
      expect(unknown.err).to.include('[repayment_unknown]').and.to.include('→ Register');
      const { id } = await onAccount('ok');
      const above = await run('deduct', '--repayment', id, '--key', 'k7', '--amount', '1200.01');
      expect(above.code).to.equal(2);
      expect(above.err)
        .to.include('[amount_exceeds_due]')
        .and.to.include('outstanding_minor: 120000');
      const noKey = await run('deduct', '--repayment', id, '--json');
      expect(noKey.code).to.equal(2);
      expect(noKey.json['error']).to.include({ code: 'bad_usage' });
      const noAmount = await run('deduct', '--repayment', id, '--key', 'k8', '--amount', '1,5');
      expect(noAmount.code).to.equal(2);
    });

    it('exits 5 when the database is away, and says which address', async () => {
      const away = {
        ...surroundings.env,
        RECOUP_DATABASE_URL: 'mysql://u:p4ss@127.0.0.1:1/recoup',
      };
      const { code, json, out } = await recoup(away, 'list', '--json');
      expect(code).to.equal(5);
      expect(json['error']).to.include({ code: 'store_unavailable' });
      expect(out).to.include('127.0.0.1:1').and.to.not.include('p4ss');
    });

    it('exits 5 when the database takes no writes, which is nobody’s mistake', async () => {
      const { id } = await onAccount('ok');
      await surroundings.owner.raw('SET GLOBAL read_only = 1');
      try {
        const due = join(folder, 'due.csv');
        writeFileSync(
          due,
          'repayment_id,borrower_id,bank_code,account_token,account_last4,currency,amount_due,due_date\n' +
            `${id}-1,B-1,ICBC,tok_ok_1,0001,CNY,100.00,2026-12-01\n`,
        );
        const { code, json, out } = await run('batch', 'run', due, '--json');
        expect(code).to.equal(5);
        expect(json['error']).to.include({ code: 'store_unavailable' });
        expect(out).to.include('ER_OPTION_PREVENTS_STATEMENT').and.to.not.include('tok_ok');
      } finally {
        await surroundings.owner.raw('SET GLOBAL read_only = 0');
      }
    });

    it('collects while Redis is away: correctness never rested on it', async () => {
      const { id } = await onAccount('ok');
      const away = { ...surroundings.env, RECOUP_REDIS_URL: 'redis://127.0.0.1:1/0' };
      const { code } = await recoup(away, 'deduct', '--repayment', id, '--key', 'k9');
      expect(code).to.equal(0);
    });
  });

  describe('and the others', () => {
    it('names every problem of the configuration at once, and no value', async () => {
      const wrong = {
        ...surroundings.env,
        RECOUP_DATABASE_URL: 'postgres://u:p4ss@x/y',
        RECOUP_LOCK_LEASE_MS: 'long',
        RECOUP_NO_SUCH: '1',
      };
      const { code, json, out } = await recoupHere(wrong, 'list', '--json');
      expect(code).to.equal(2);
      const { details } = json['error'] as unknown as {
        details: { problems: { variable: string }[] };
      };
      expect(details.problems.map(({ variable }) => variable)).to.have.members([
        'RECOUP_DATABASE_URL',
        'RECOUP_LOCK_LEASE_MS',
        'RECOUP_NO_SUCH',
      ]);
      expect(out).to.not.include('p4ss');
    });

    it('lists deductions page by page, newest first', async () => {
      const first = await run('list', '--limit', '2', '--json');
      expect(first.code).to.equal(0);
      const page = first.json as unknown as { deductions: { id: string }[]; next_before: string };
      expect(page.deductions).to.have.length(2);
      expect(page.next_before).to.equal(page.deductions[1]?.id);
      const second = await run('list', '--limit', '2', '--before', page.next_before, '--json');
      const next = second.json as unknown as { deductions: { id: string }[] };
      expect(next.deductions[0]?.id.localeCompare(page.next_before)).to.equal(-1);
    });

    it('lists the deductions of a borrower, of an order and of a time', async () => {
      const ids = async (...options: string[]): Promise<unknown[]> => {
        const { json } = await run('list', ...options, '--json');
        return (json['deductions'] as unknown as { id: string }[]).map(({ id }) => id);
      };
      const { json } = await run('list', '--status', 'succeeded', '--limit', '1', '--json');
      const [one] = json['deductions'] as unknown as Record<string, string>[];
      const { id, borrower_id, order_no, created_at } = one!;
      expect(await ids('--borrower', borrower_id!)).to.include(id);
      expect(await ids('--borrower', 'bw_nobody')).to.deep.equal([]);
      expect(await ids('--order', order_no!)).to.deep.equal([id]);
      expect(await ids('--from', created_at!, '--borrower', borrower_id!)).to.include(id);
      expect(await ids('--until', created_at!, '--borrower', borrower_id!)).to.not.include(id);
      expect(await ids('--from', '2999-01-01')).to.deep.equal([]);
      const vague = await run('list', '--from', '2026-11-22T08:00:00');
      expect(vague.code).to.equal(2);
    });

    it('imports channels, or says which lines are wrong and changes nothing', async () => {
      const file = join(folder, 'channels.yaml');
      writeFileSync(file, 'channels:\n  - id: swiftpay\n    tier: zero\n');
      const bad = await run('channels', 'import', file);
      expect(bad.code).to.equal(2);
      expect(bad.err).to.match(/line 3:\d+ channels\.0\.tier/);
      const good = await run('channels', 'import', 'examples/channels.demo.yaml', '--json');
      expect(good.code).to.equal(0);
      expect(good.json['imported']).to.deep.equal(['swiftpay', 'unionlink', 'oldbank']);
    });

    it('pauses a channel, shows it in a preview, and opens it again', async () => {
      expect((await run('channels', 'pause', 'unionlink')).code).to.equal(0);
      const preview = ['routes', 'preview', '--bank', 'CEB', '--amount', '100', '--json'];
      const paused = await run(...preview);
      expect(paused.code).to.equal(5);
      const { rejected } = paused.json as unknown as { rejected: { code: string }[] };
      expect(rejected.map(({ code }) => code)).to.include('paused');
      expect((await run('channels', 'resume', 'unionlink')).code).to.equal(0);
      expect((await run(...preview)).code).to.equal(0);
      expect((await run('channels', 'pause', 'nobody')).code).to.equal(2);
    });

    it('says of a channel whose profile keeps it paused that it is not opened', async () => {
      const file = join(folder, 'paused.yaml');
      const demo = readFileSync('examples/channels.demo.yaml', 'utf8');
      writeFileSync(file, demo.replace('    mode: sync\n', '    mode: sync\n    paused: true\n'));
      expect((await run('channels', 'import', file)).code).to.equal(0);
      const resumed = await run('channels', 'resume', 'swiftpay');
      expect(resumed.out).to.match(/stays paused/);
      await run('channels', 'import', 'examples/channels.demo.yaml');
      expect((await run('channels', 'resume', 'swiftpay')).out).to.match(/open again/);
    });

    it('previews payouts by what channels say of them', async () => {
      const preview = ['routes', 'preview', '--bank', 'CMB', '--amount', '100', '--json'];
      type Plan = { places: { channel_id: string }[]; rejected: Record<string, string>[] };
      const charge = (await run(...preview)).json as unknown as Plan;
      expect(charge.places.map(({ channel_id }) => channel_id)).to.include('oldbank');
      const payout = (await run(...preview, '--payout')).json as unknown as Plan;
      expect(payout.places.map(({ channel_id }) => channel_id)).to.deep.equal(['swiftpay']);
      expect(payout.rejected.map(({ code }) => code)).to.include('payout_unsupported');
    });

    it('makes keys that are shown once and kept as digests, and revokes them', async () => {
      const made = await run('keys', 'create', '--role', 'agent', '--name', 'wang', '--json');
      const { id, key } = made.json as unknown as { id: string; key: string };
      expect(key).to.match(/^rk_[A-Za-z0-9_-]{43}$/);
      const digest = createHash('sha256').update(key).digest('hex');
      expect(await services.access.findKey(digest)).to.include({ id, role: 'agent', name: 'wang' });
      const listed = await run('keys', 'list', '--json');
      expect(listed.out).to.include(id).and.to.not.include(key);
      expect((await run('keys', 'revoke', id)).code).to.equal(0);
      expect(await services.access.findKey(digest)).to.equal(null);
      expect((await run('keys', 'revoke', id)).code).to.equal(2);
      expect((await run('keys', 'create', '--role', 'king', '--name', 'x')).code).to.equal(2);
    });

    it('shows cases, and asks the channel again when a person wants to know', async () => {
      expect((await run('cases', '--json')).json['cases']).to.deep.equal([]);
      const unknown = await run('ask', '01a201f7-6724-7501-830a-18598f6b45be');
      expect(unknown.code).to.equal(2);
      const { json } = await run('list', '--status', 'succeeded', '--limit', '1', '--json');
      const { deductions } = json as unknown as { deductions: { id: string }[] };
      expect((await run('ask', deductions[0]?.id ?? '', '--by', 'wang')).code).to.equal(0);
    });

    it('has cases worked on by people that their keys name', async () => {
      const [result] = (await surroundings.owner.raw(
        `INSERT INTO active_check_finding (task_id, kind, amount_minor, evidence, opened_at, seen_at)
         VALUES (NULL, 'ledger_behind', 0, 'messages wait', NOW(3), NOW(3))`,
      )) as [{ insertId: number }];
      const id = `check:${result.insertId}`;
      const nobody = await run('cases', 'note', id, 'x', '--json');
      expect(nobody.code).to.equal(2);
      expect(nobody.out).to.include('RECOUP_OPERATOR_KEY');
      const keyOf = async (name: string, role = 'operator'): Promise<string> => {
        const made = await run('keys', 'create', '--role', role, '--name', name, '--json');
        return (made.json as unknown as { key: string }).key;
      };
      const as =
        (key: string) =>
        async (...args: string[]) =>
          await recoupHere({ ...surroundings.env, RECOUP_OPERATOR_KEY: key }, ...args, '--json');
      const [wang, li] = [as(await keyOf('Wang Fang')), as(await keyOf('Li Na'))];
      const agent = as(await keyOf('Zhao Min', 'agent'));
      expect((await agent('cases', 'note', id, 'x')).code).to.equal(2);
      expect((await wang('cases', 'assign', id, 'Wang Fang')).code).to.equal(0);
      const made = await wang('cases', 'propose', id, '--write-off', '--because', 'a test of it');
      const { proposal } = made.json as unknown as { proposal: { digest: string } };
      const approve = ['cases', 'approve', id, '1', '--digest', proposal.digest];
      const own = await wang(...approve);
      expect(own.code).to.equal(2);
      expect(own.out).to.include('same_person');
      const done = await li(...approve);
      expect(done.code).to.equal(0);
      expect(done.out).to.include('"state":"executed"');
      const shown = await run('cases', 'show', id);
      expect(shown.out).to.include('by Wang Fang, decided by Li Na');
      const both = await wang('cases', 'propose', id, '--write-off', '--ask-again');
      expect(both.code).to.equal(2);
      expect((await run('refunds', 'list', '--json')).json['refunds']).to.deep.equal([]);
      expect((await run('refunds', 'show', '01a201f7-6724-7501-830a-18598f6b45be')).code).to.equal(
        2,
      );

      const { id: repayment } = await onAccount('ok');
      const paid = await run('deduct', '--repayment', repayment, '--key', 'back', '--json');
      const { id: deduction } = paid.json['deduction'] as unknown as { id: string };
      const ask = ['refunds', 'request', deduction, '--key', 'r1', '--reason', 'cancelled loan'];
      expect((await run(...ask)).code).to.equal(2);
      const asked = await wang(...ask, '--amount', '500.00');
      expect(asked.code).to.equal(0);
      const { request } = asked.json as unknown as { request: { case_id: string } };
      expect(request).to.include({ amount_minor: 50_000, requested_by: 'Wang Fang' });
      expect((await run('show', deduction)).out).to.include(
        `${request.case_id}: refund of 500.00 requested by Wang Fang (cancelled loan), not decided yet`,
      );
    });

    it('knows its version and its usage', async () => {
      expect((await run('--version')).out).to.match(/^\d+\.\d+\.\d+\n$/);
      const help = await run('--help');
      expect(help.code).to.equal(0);
      expect(help.out).to.include('Exit codes').and.to.include('batch');
      expect((await run('nonsense')).code).to.equal(2);
    });
  });
});
