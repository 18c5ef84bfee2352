/**
 * The people of the chaos run: every few seconds, in the middle of the faults, they reconcile each
 * channel's day and give back what a channel took twice or late, one proposing, another approving. Of a
 * withdrawal they see to that elsewhere, and write it off.
 * Whatever a fault spoils is done again in the next round.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { EveningStage } from '../demo/evening.js';
import { makeKey } from '../demo/flows/parties.js';
import { runRecoup } from '../demo/processes.js';

const pauseMs = 10_000;
/** Cases of one round: people are slower than machines. */
const casesOfRound = 5;
const owed = new Set(['captured_twice', 'late_success']);

interface CaseLine {
  readonly id: string;
  readonly kind: string;
  readonly task_kind: string | null;
  readonly amount_minor: number;
  readonly open_proposal_no: number | null;
}

export interface Keys {
  readonly maker: string;
  readonly checker: string;
}

export async function hireClerks(stage: Pick<EveningStage, 'env'>): Promise<Keys> {
  const hire = async (name: string) => await makeKey(stage.env, 'operator', name);
  return { maker: await hire('ann'), checker: await hire('ben') };
}

export class Clerks {
  /** Days reconciled, cases decided, and what a fault spoiled. */
  reconciled = 0;
  decided = 0;
  interrupted = 0;
  #stopped = false;

  constructor(
    private readonly stage: EveningStage,
    private readonly keys: Keys,
  ) {}

  async run(): Promise<void> {
    while (!this.#stopped) {
      await this.round();
      await delay(this.#stopped ? 0 : pauseMs);
    }
  }

  stop(): void {
    this.#stopped = true;
  }

  async round(): Promise<void> {
    const { database, witness, env, folder } = this.stage;
    const days = await database.channelDays().catch(() => []);
    for (const { channel, date } of days) {
      await this.#attempt(async () => {
        const file = join(folder, `${channel}-${date}-day.statement`);
        writeFileSync(file, await witness.statement(channel, date), { mode: 0o600 });
        const by = ['--file', file, '--supersede', '--by', 'ann'];
        await runRecoup(['reconcile', channel, date, ...by], env);
        this.reconciled += 1;
      });
    }
    await this.#attempt(async () => {
      const list = ['cases', 'list', '--source', 'task', '--limit', '1000'];
      const { cases } = await runRecoup<{ cases: readonly CaseLine[] }>(list, env);
      const some = cases.filter(({ kind }) => owed.has(kind)).slice(0, casesOfRound);
      for (const one of some) {
        await this.#attempt(async () => await this.#decide(one));
      }
    });
  }

  async #decide(one: CaseLine): Promise<void> {
    const { id, kind, task_kind: task, amount_minor: amountMinor } = one;
    const { env } = this.stage;
    const { maker, checker } = this.keys;
    const as = (key: string) => ({ ...env, RECOUP_OPERATOR_KEY: key });
    const yuan = (amountMinor / 100).toFixed(2);
    // A late payment of a top-up goes back by itself.
    const byHand = task === 'withdrawal' || (task === 'top_up' && kind === 'late_success');
    const how = byHand ? ['--write-off'] : ['--refund', yuan];
    const propose = ['cases', 'propose', id, ...how, '--because', 'taken twice or late'];
    const { proposal } = await runRecoup<{ proposal: { no: number; digest: string } }>(
      propose,
      as(maker),
    );
    const approve = ['cases', 'approve', id, String(proposal.no), '--digest', proposal.digest];
    await runRecoup(approve, as(checker));
    this.decided += 1;
  }

  async #attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.interrupted += 1;
      this.stage.say(`a clerk was interrupted: ${String(error).slice(0, 160)}`);
    }
  }
}
