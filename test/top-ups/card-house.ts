/** The real surroundings of top-ups: MariaDB, Redis, channels and a card system with a book of its own. */
import type { Services, Wrappers } from '../../src/composition/root.js';
import type { Config } from '../../src/config.js';
import { encodeEntry } from '../../src/engine/entries.js';
import { operationOf, type Operation } from '../../src/engine/order.js';
import { orderNo, type TaskId } from '../../src/ids.js';
import { cardBank, type TopUpRecord } from '../../src/intake/top-up.js';
import type { TopUpRequest } from '../../src/intake/top-up-desk.js';
import { amountMinor } from '../../src/money.js';
import type { FaultRule } from '../../src/sandbox/faults.js';
import { selectRows } from '../../src/store/database.js';
import { startEnvironment, type TestEnvironment } from '../support/environment.js';
import type { BookedOrder, SandboxProcess } from '../sandbox/sandbox-process.js';

let topUps = 0;

export function someTopUp(fields: Partial<TopUpRequest> = {}, word = 'ok'): TopUpRequest {
  topUps += 1;
  const suffix = `${process.pid}_${topUps}`;
  return {
    customerId: `cu_${suffix}`,
    amountMinor: amountMinor(100_000),
    currency: 'CNY',
    rule: null,
    expectedCreditMinor: null,
    payer: { token: `tok_${word}_${suffix}`, bankCode: 'ICBC', last4: '4321' },
    card: { token: `tok_ok_card_${suffix}`, bankCode: cardBank, last4: '0007' },
    cards: null,
    requestKey: `test:${suffix}`,
    requestDigest: '0'.repeat(64),
    ...fields,
  };
}

/** Orders that are not paid expire sooner. */
function quickly(profile: Record<string, unknown>): void {
  (profile['nature'] as Record<string, unknown>)['order_ttl_ms'] = 2_100;
}

/** What both books say of one top-up. */
export interface Truth {
  readonly captured: number;
  readonly refunded: number;
  /** On the card, minor units. */
  readonly onCard: number;
}

export class CardHouse {
  private constructor(
    readonly environment: TestEnvironment,
    readonly services: Services,
    readonly cards: SandboxProcess,
  ) {}

  static async open(config: Partial<Config> = {}, wrappers?: Wrappers): Promise<CardHouse> {
    const environment = await startEnvironment({
      parties: ['cards'],
      adjust: quickly,
      sandbox: { latencyScale: 0.1 },
    });
    const services = await environment.compose({ config, ...(wrappers && { wrappers }) });
    const { cards } = environment.parties;
    if (cards === undefined) throw new Error('no card system');
    return new CardHouse(environment, services, cards);
  }

  async faults(at: 'cards' | 'channels', rules: readonly FaultRule[]): Promise<void> {
    await (at === 'cards' ? this.cards : this.environment.sandbox).setFaults(rules);
  }

  async noFaults(): Promise<void> {
    await Promise.all([this.cards.clearFaults(), this.environment.sandbox.clearFaults()]);
  }

  async close(): Promise<void> {
    await this.environment.close();
  }

  /** Starts it and lets its first run end. */
  async start(request: TopUpRequest = someTopUp()): Promise<TaskId> {
    const { id: topUpId, finished } = await this.services.flows.topUpDesk.start(request);
    await finished;
    return topUpId;
  }

  async record(id: TaskId): Promise<TopUpRecord> {
    const found = await this.services.flows.topUps.find(id);
    if (found === null) throw new Error(`no top-up ${id}`);
    return found;
  }

  /** Runs it, as wake-ups would, until it is so. */
  async until(
    id: TaskId,
    holds: (record: TopUpRecord) => boolean = ({ endedAt }) => endedAt !== null,
    withinMs = 25_000,
  ): Promise<TopUpRecord> {
    const endsAtMs = performance.now() + withinMs;
    for (;;) {
      const record = await this.record(id);
      if (holds(record)) return record;
      if (performance.now() > endsAtMs) {
        const log = await this.services.deductions.log(id);
        const story = log.map(({ entry }) => encodeEntry(entry));
        throw new Error(`still ${record.status}, ${record.stage}: ${story.join('\n')}`);
      }
      await this.services.clock.sleep(40);
      await this.services.resume(id);
    }
  }

  async truth(id: TaskId, { card }: Pick<TopUpRequest, 'card'>): Promise<Truth> {
    const booked = await this.booked(id);
    const sum = (items: readonly { readonly amountMinor: number }[]): number =>
      items.reduce((total, { amountMinor: one }) => total + one, 0);
    return {
      captured: sum(booked.flatMap(({ captures }) => captures)),
      refunded: sum(booked.flatMap(({ refunds }) => refunds)),
      onCard: await this.cards.balance('cards', card.token),
    };
  }

  /** Its orders at the payment channels. */
  async booked(id: TaskId): Promise<readonly BookedOrder[]> {
    const attempts = await this.services.deductions.attempts(id);
    const numbers = new Set(attempts.map(({ orderNo: number }) => number));
    const all = await this.environment.sandbox.book();
    return all.filter((order) => numbers.has(order.orderNo));
  }

  /** What was placed, in order. */
  async placed(id: TaskId): Promise<readonly Operation[]> {
    const log = await this.services.deductions.log(id);
    return log.flatMap(({ entry }) => ('nature' in entry ? [operationOf(entry.order)] : []));
  }

  async topics(id: TaskId): Promise<readonly string[]> {
    const rows = await selectRows<{ topic: string }>(
      this.environment.owner,
      'SELECT topic FROM outbox WHERE message_key LIKE ? ORDER BY id',
      [`${id}/%`],
    );
    return rows.map(({ topic }) => topic.replace('ledger.top_up_', ''));
  }

  async cases(id: TaskId): Promise<readonly string[]> {
    const found = await this.services.deductions.cases({ deductionId: id, limit: 50 });
    return found.map(({ reason }) => reason);
  }
}

export const nthOrder = (id: TaskId, no: number) => orderNo(id, no);
