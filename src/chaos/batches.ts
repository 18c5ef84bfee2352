/** Always enough to do: a new batch of due repayments whenever the last is nearly started. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { runRecoup, type Environment } from '../demo/processes.js';
import { chance } from './plan.js';

const rowsOfBatch = 500;
const refillBelow = 300;
const lookMs = 250;

const banks = ['ICBC', 'ICBC', 'CCB', 'CCB', 'ABC', 'ABC', 'BOC', 'CMB', 'BCM', 'PSBC', 'CITIC'];
/** What an account's bank will say (docs/sandbox.md); most are left to the sandbox's dice. */
const fates = ['acct', 'acct', 'acct', 'acct', 'acct', 'ok', 'slow', 'risk', 'bankdown'];
const header =
  'repayment_id,borrower_id,bank_code,account_token,account_last4,currency,amount_due,due_date';

export function batchFile(seed: string, number: number): string {
  const draw = chance(`${seed} batch ${number}`);
  const pick = (of: readonly string[]): string => of[Math.floor(draw() * of.length)] ?? '';
  const rows = Array.from({ length: rowsOfBatch }, (_, at) => {
    const id = `${number}-${String(at).padStart(4, '0')}`;
    const fate = draw() < 0.03 ? 'insufficient' : pick(fates);
    const fen = Math.round(6_000 + 190_000 * draw() ** 3);
    const last4 = String(Math.floor(draw() * 10_000)).padStart(4, '0');
    const token = `tok_${fate}_${number}x${at}`;
    const amount = (fen / 100).toFixed(2);
    return `RP-${id},B-${id},${pick(banks)},${token},${last4},CNY,${amount},2026-11-25`;
  });
  return `${[header, ...rows].join('\n')}\n`;
}

export class Batches {
  loaded = 0;
  /** Loads that a fault interrupted; the same file was run again. */
  interrupted = 0;
  #stopped = false;

  constructor(
    private readonly seed: string,
    private readonly env: Environment,
    private readonly folder: string,
    private readonly pendingRows: () => Promise<number>,
    private readonly say: (what: string) => void,
  ) {}

  /** Until stopped; a batch that was begun is loaded to its end. */
  async run(): Promise<void> {
    while (!this.#stopped) {
      const pending = await this.pendingRows().catch(() => Infinity);
      if (pending < refillBelow) await this.#loadOne();
      else await delay(lookMs);
    }
  }

  stop(): void {
    this.#stopped = true;
  }

  async #loadOne(): Promise<void> {
    const file = join(this.folder, `batch-${this.loaded}.csv`);
    writeFileSync(file, batchFile(this.seed, this.loaded));
    for (;;) {
      try {
        await runRecoup(['batch', 'run', file, '--no-wait'], this.env);
        this.loaded += 1;
        this.say(`batch ${this.loaded} loaded`);
        return;
      } catch (error) {
        this.interrupted += 1;
        this.say(`a load was interrupted: ${String(error).slice(0, 200)}`);
        await delay(500);
      }
    }
  }
}
