import { expect } from 'chai';
import type { Services } from '../../src/composition/root.js';
import type { Config } from '../../src/config.js';
import { entryFor } from '../../src/ledger/entry-for.js';
import type { Ledger, MessageQueue } from '../../src/ledger/ports.js';
import { startEnvironment, type TestEnvironment } from '../support/environment.js';
import { requestFor } from '../support/requests.js';
import { untilARowIsWaitedFor } from '../support/row-locks.js';
import { bodyFor, Books, eventually, straight } from './books.js';

describe('delivery to the ledger', () => {
  let environment: TestEnvironment;
  let books: Books;
  let services: Services;

  before(async () => {
    environment = await startEnvironment();
    books = new Books(environment);
    services = await direct();
  });
  after(async () => environment.close());
  beforeEach(async () => {
    // Nothing is left over for the next test to trip on.
    await environment.owner.raw('DELETE FROM outbox');
  });

  /** A process whose relay hands over to its own consumer, unless told otherwise. */
  async function direct(
    options: {
      readonly config?: Partial<Config>;
      readonly queue?: MessageQueue;
      readonly ledger?: (inner: Ledger) => Ledger;
    } = {},
  ): Promise<Services> {
    const { config = {}, queue, ledger } = options;
    const made: Services = await environment.compose({
      config,
      wrappers: {
        ledger: {
          queue: () => queue ?? straight(() => made.ledger.consumer),
          ...(ledger === undefined ? {} : { ledger }),
        },
      },
    });
    return made;
  }

  it('posts a collected repayment once, and confirms its message', async () => {
    const repayment = await environment.repayment();
    const { deductionId, finished } = await services.desk.start(requestFor(repayment));
    expect((await finished).outcome).to.equal('ended');
    await books.deliver(services);
    expect(await books.transfers(deductionId)).to.eql([
      'channel_clearing:swiftpay > borrower_receivable 120000',
    ]);
    const [message] = await books.rows<{ delivered: Date | null; due: Date | null }>(
      'SELECT delivered_at AS delivered, send_at AS due FROM outbox WHERE message_key = ?',
      [deductionId],
    );
    expect(message?.delivered).to.be.instanceOf(Date);
    expect(message?.due).to.equal(null);
  });

  it('runs through the queue of a worker', async () => {
    const worker = await environment.compose({ config: { ledgerIdleMs: 20 } });
    worker.ledger.start();
    const ids = await Promise.all(Array.from({ length: 30 }, () => books.tell()));
    await eventually(async () => {
      const { undelivered } = await worker.ledger.reads.trialBalance();
      return undelivered.messages === 0;
    });
    await worker.ledger.close();
    const posted = await books.rows<{ n: number }>(
      `SELECT COUNT(*) AS n FROM ledger_entry e JOIN outbox o ON o.message_key = e.message_key
       WHERE o.id IN (${ids.join(',')})`,
    );
    expect(Number(posted[0]?.n)).to.equal(30);
  });

  it('posts a message once, however often and by however many it is handled', async () => {
    const ids = await Promise.all(
      Array.from({ length: 20 }, (_, at) => books.tell({ key: `many-${at}` })),
    );
    const others = await Promise.all([direct(), direct(), direct()]);
    const handled = [services, ...others].flatMap(({ ledger }) => [
      ledger.consumer.handle(ids),
      ledger.consumer.handle(ids.toReversed()),
    ]);
    await Promise.all(handled);
    // As after a lost confirmation: the books have it, the outbox does not know.
    await environment.owner.raw('UPDATE outbox SET delivered_at = NULL, send_at = created_at');
    await books.deliver(services);
    for (let at = 0; at < 20; at += 1) {
      expect(await books.transfers(`many-${at}`)).to.have.length(1);
    }
    expect((await books.message(ids[0] ?? '')).delivered).to.be.instanceOf(Date);
  });

  it('finds what another consumer posts at the same moment', async () => {
    const key = 'raced';
    const id = await books.tell({ key });
    const topic = 'ledger.repayment_collected';
    const message = { id, topic, key, body: bodyFor(key), createdAtMs: 0, tries: 0 };
    const reading = entryFor(message);
    if (reading.kind !== 'entry') throw new Error(reading.kind);
    const other = await environment.owner.transaction();
    await other.raw(
      `INSERT INTO ledger_entry (id, topic, message_key, deduction_id, channel_id, order_no,
         occurred_at, posted_at)
       VALUES ('e-raced', ?, ?, ?, 'swiftpay', 'R1', UTC_TIMESTAMP(3), UTC_TIMESTAMP(3))`,
      [topic, key, key],
    );
    await other.raw(
      `INSERT INTO ledger_inbox (topic, message_key, digest, entry_id, received_at)
       VALUES (?, ?, ?, 'e-raced', UTC_TIMESTAMP(3))`,
      [topic, key, reading.entry.digest],
    );
    const handled = services.ledger.consumer.handle([id]);
    await untilARowIsWaitedFor(environment.owner);
    await other.commit();
    await handled;
    expect((await books.message(id)).delivered).to.be.instanceOf(Date);
    expect(await books.deadLetter(id)).to.equal(null);
    expect(await books.transfers(key), 'the other posted it').to.eql([]);
  });

  it('lays what it cannot read before a person, and posts the others', async () => {
    const bad = await books.tell({ key: 'bad', body: bodyFor('bad', { amountMinor: '-5' }) });
    const worse = await books.tell({ key: 'worse', body: '{"amount_minor":"77"' });
    const good = await books.tell({ key: 'good' });
    await books.deliver(services);
    expect(await books.transfers('good')).to.have.length(1);
    expect((await books.message(good)).delivered).to.be.instanceOf(Date);
    expect(await books.deadLetter(bad)).to.include({ kind: 'malformed', amount: '0' });
    expect((await books.deadLetter(bad))?.evidence).to.include('amount_minor');
    expect(await books.deadLetter(worse)).to.include({ kind: 'malformed', closed: null });
    expect(await books.message(worse)).to.include({ delivered: null, due: null });
  });

  it('posts the others when the database refuses one', async () => {
    const long = 'x'.repeat(41);
    // No account's name is that long, but a release with another chart might do it.
    const spoiling = await direct({
      ledger: (inner) => ({
        post: async (entries) =>
          await inner.post(
            entries.map((entry) =>
              entry.key === 'refused' ? { ...entry, channelId: long } : entry,
            ),
          ),
      }),
    });
    const ids = await Promise.all(
      ['a', 'b', 'refused', 'c', 'd'].map((key) => books.tell({ key })),
    );
    await books.deliver(spoiling);
    expect(await books.deadLetter(ids[2] ?? '')).to.include({ kind: 'refused', amount: '120000' });
    expect(await books.transfers('refused')).to.eql([]);
    for (const key of ['a', 'b', 'c', 'd']) expect(await books.transfers(key)).to.have.length(1);
  });

  it('refuses the same source with other content', async () => {
    await books.tell({ key: 'twice' });
    await books.deliver(services);
    await environment.owner.raw('DELETE FROM outbox');
    const again = await books.tell({ key: 'twice', amountMinor: '999' });
    await books.deliver(services);
    expect(await books.deadLetter(again)).to.include({ kind: 'conflict', amount: '999' });
    expect(await books.transfers('twice')).to.eql([
      'channel_clearing:swiftpay > borrower_receivable 120000',
    ]);
  });

  it('knows a message that was written anew, in other words, after its row was purged', async () => {
    await books.tell({ key: 'anew' });
    await books.deliver(services);
    await environment.owner.raw('DELETE FROM outbox');
    const says = JSON.parse(bodyFor('anew')) as object;
    const body = JSON.stringify({
      of_a_later_release: 1,
      ...Object.fromEntries(Object.entries(says).toReversed()),
    });
    const again = await books.tell({ key: 'anew', body });
    await books.deliver(services);
    expect(await books.deadLetter(again)).to.equal(null);
    expect((await books.message(again)).delivered).to.be.instanceOf(Date);
    expect(await books.transfers('anew')).to.have.length(1);
  });

  it('tries again on its schedule, then a person decides; a replay posts it', async () => {
    let up = false;
    const retryMs = [60_000, 300_000];
    const away = await direct({
      config: { ledgerRetryMs: retryMs },
      ledger: (inner) => ({
        async post(entries) {
          if (up) return await inner.post(entries);
          throw new Error('nobody there');
        },
      }),
    });
    const id = await books.tell({ key: 'patient' });
    for (const waitMs of retryMs) {
      const beforeMs = Date.now();
      await books.deliver(away);
      const { due, last_error: why } = await books.message(id);
      expect(due?.getTime()).to.be.within(beforeMs + waitMs, Date.now() + waitMs);
      expect(why).to.include('nobody there');
      await environment.owner.raw('UPDATE outbox SET send_at = created_at');
    }
    await books.deliver(away);
    const letter = await books.deadLetter(id);
    expect(letter).to.include({ kind: 'retries_exhausted', amount: '120000', closed: null });

    up = true;
    await books.deliver(away);
    expect(await books.transfers('patient'), 'a dead letter is not sent').to.eql([]);
    const { reads } = away.ledger;
    expect(await reads.replay(letter?.id ?? '', 'test', Date.now())).to.equal('replayed');
    await books.deliver(away);
    expect(await books.transfers('patient')).to.have.length(1);
    expect((await books.deadLetter(id))?.closed).to.be.instanceOf(Date);
    expect(await reads.replay(letter?.id ?? '', 'test', Date.now())).to.equal('closed');
    const audited = await books.rows(`SELECT id FROM audit WHERE action = 'ledger_replay'`);
    expect(audited).to.have.length(1);
  });

  it('says in the same dead letter that a replay came to nothing', async () => {
    const id = await books.tell({ key: 'hopeless', body: '[]' });
    await books.deliver(services);
    const before = await books.deadLetter(id);
    await services.ledger.reads.replay(before?.id ?? '', 'test', Date.now());
    await books.deliver(services);
    expect(await books.deadLetter(id)).to.include({ id: before?.id, replays: 1, closed: null });
  });

  it('waits for a release that knows the topic', async () => {
    const id = await books.tell({ key: 'next', topic: 'ledger.of_next_year' });
    await books.deliver(services);
    expect(await books.deadLetter(id)).to.equal(null);
    expect((await books.message(id)).due?.getTime()).to.be.above(Date.now() + 30_000);
  });

  const [clearing, receivable, owed] = [
    'channel_clearing:unionlink',
    'borrower_receivable',
    'owed_to_borrowers',
  ];
  const meanings: readonly (readonly [string, object, string])[] = [
    ['repayment_collected', {}, `${clearing} > ${receivable} 120000`],
    ['repayment_collected', { was_owed_back: true }, `${owed} > ${receivable} 120000`],
    ['late_capture', {}, `${clearing} > ${owed} 120000`],
    ['refund_paid', { taken_from: 'excess' }, `${owed} > ${clearing} 120000`],
    ['refund_paid', { taken_from: 'repayment' }, `${receivable} > ${clearing} 120000`],
  ];
  for (const [at, [topic, more, transfer]] of meanings.entries()) {
    it(`books ${topic} ${JSON.stringify(more)} as ${transfer}`, async () => {
      const key = `meaning-${at}`;
      await books.tell({
        key,
        topic: `ledger.${topic}`,
        channelId: 'unionlink',
        more: { ...more },
      });
      await books.deliver(services);
      expect(await books.transfers(key)).to.eql([transfer]);
    });
  }

  it('does not guess what a refund was taken from', async () => {
    const id = await books.tell({ topic: 'ledger.refund_paid' });
    await books.deliver(services);
    expect((await books.deadLetter(id))?.evidence).to.include('taken_from');
  });

  it('leaves the outbox alone while the queue is away, and charges go on', async () => {
    const offline = await environment.compose({ config: { redisUrl: 'redis://127.0.0.1:1' } });
    const repayment = await environment.repayment();
    const { deductionId, finished } = await offline.desk.start(requestFor(repayment));
    expect((await finished).outcome).to.equal('ended');
    const whole = async () => await books.rows('SELECT * FROM outbox');
    const before = await whole();
    expect(before).to.have.length(1);
    const report = await offline.ledger.relay.runOnce();
    expect(report).to.eql({ sent: 0, more: false, queue: 'full_or_away' });
    expect(await whole(), 'not even claimed').to.eql(before);
    await books.deliver(services);
    expect(await books.transfers(deductionId)).to.have.length(1);
  });

  it('gives claimed messages back when the queue goes away in between', async () => {
    const gone = await direct({ queue: { hasRoom: async () => true, add: async () => false } });
    const id = await books.tell();
    expect((await gone.ledger.relay.runOnce()).sent).to.equal(0);
    const { due, dispatches } = await books.message(id);
    expect(due?.getTime()).to.be.at.most(Date.now());
    expect(dispatches).to.equal(0);
  });

  it('sends again what nobody has confirmed, at last by itself', async () => {
    const lost: string[][] = [];
    const queue: MessageQueue = {
      hasRoom: async () => true,
      add: async (batches) => {
        lost.push(...batches.map((ids) => [...ids]));
        return true;
      },
    };
    const losing = await direct({ queue });
    const ids = [await books.tell(), await books.tell()];
    await losing.ledger.relay.runOnce();
    await losing.ledger.relay.runOnce();
    expect(lost, 'not before its time').to.eql([ids]);
    for (let time = 0; time < 3; time += 1) {
      await environment.owner.raw('UPDATE outbox SET send_at = created_at');
      await losing.ledger.relay.runOnce();
    }
    expect(lost).to.eql([ids, ids, ids, [ids[0]], [ids[1]]]);
  });

  it('shares the outbox among relays', async () => {
    const seen: string[] = [];
    const queue: MessageQueue = {
      hasRoom: async () => true,
      add: async (batches) => {
        seen.push(...batches.flat());
        return true;
      },
    };
    const relays = await Promise.all(
      Array.from({ length: 4 }, () => direct({ queue, config: { ledgerBatch: 2 } })),
    );
    const ids = await Promise.all(Array.from({ length: 60 }, () => books.tell()));
    await Promise.all(
      relays.map(async ({ ledger }) => {
        while ((await ledger.relay.runOnce()).sent > 0);
      }),
    );
    while ((await relays[0]!.ledger.relay.runOnce()).sent > 0);
    expect(seen.toSorted()).to.eql(ids.toSorted());
  });

  it('purges what was delivered long ago, and nothing else', async () => {
    const kept = await books.tell({ key: 'kept' });
    const old = await books.tell({ key: 'old' });
    await services.ledger.consumer.handle([kept, old]);
    const open = await books.tell({ key: 'open' });
    await environment.owner.raw(
      `UPDATE outbox SET created_at = '2020-01-01', delivered_at = IF(id = ?, '2020-01-01', delivered_at)`,
      [old],
    );
    const purging = await direct({ config: { ledgerIdleMs: 10 } });
    purging.ledger.relay.start();
    const left = async () => await books.rows<{ id: string }>('SELECT id FROM outbox ORDER BY id');
    await eventually(async () => (await left()).length < 3);
    await purging.ledger.close();
    expect((await left()).map(({ id }) => id)).to.eql([kept, open]);
  });
});
