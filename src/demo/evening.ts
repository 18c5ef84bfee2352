/** After the day: every channel's statement is reconciled, and the ledger is asked for its totals. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pause, runRecoup, type Environment } from './processes.js';
import type { Witness } from './witness.js';

export interface Reconciled {
  readonly channel: string;
  readonly date: string;
  readonly state: string;
  readonly breaksOpen: number;
}

export interface LedgerTotals {
  readonly balanced: boolean;
  readonly debitMinor: bigint;
  readonly creditMinor: bigint;
  /** What the ledger says was taken from borrowers, less what went back. */
  readonly collectedMinor: bigint;
  readonly undelivered: number;
  readonly deadLetters: number;
}

export interface Evening {
  readonly statements: readonly Reconciled[];
  readonly ledger: LedgerTotals;
}

/** What is needed of a day to spend its evening. */
export interface EveningStage {
  readonly database: { channelDays(): Promise<readonly { channel: string; date: string }[]> };
  readonly witness: Pick<Witness, 'statement'>;
  readonly env: Environment;
  readonly folder: string;
  readonly say: (what: string) => void;
}

/** Posting goes on behind the day's work: so long it may take until the last message is in the books. */
const postingMsMax = 60_000;

export async function spendTheEvening(stage: EveningStage): Promise<Evening> {
  const statements: Reconciled[] = [];
  for (const { channel, date } of await stage.database.channelDays()) {
    const file = join(stage.folder, `${channel}-${date}.statement`);
    writeFileSync(file, await stage.witness.statement(channel, date), { mode: 0o600 });
    statements.push(await reconcile(stage, channel, date, file));
  }
  const ledger = await postedTotals(stage);
  return { statements, ledger };
}

async function reconcile(
  { env, say }: EveningStage,
  channel: string,
  date: string,
  file: string,
): Promise<Reconciled> {
  const said = await runRecoup<{ state: string; breaks_open: number }>(
    ['reconcile', channel, date, '--file', file, '--supersede', '--by', 'demo'],
    env,
  );
  const { state, breaks_open: breaksOpen } = said;
  say(`${channel} ${date} reconciled: ${state}, ${breaksOpen} breaks open`);
  return { channel, date, state, breaksOpen };
}

interface Balance {
  readonly balanced: boolean;
  readonly accounts: readonly { account: string; balance_minor: number | string }[];
  readonly totals: readonly { debit_minor: number | string; credit_minor: number | string }[];
  readonly undelivered: { readonly messages: number };
  readonly dead_letters_open: number;
}

async function postedTotals({ env, say }: EveningStage): Promise<LedgerTotals> {
  const giveUpMs = performance.now() + postingMsMax;
  for (;;) {
    const found = await runRecoup<Balance>(['ledger', 'balance'], env);
    if (found.undelivered.messages === 0 || performance.now() > giveUpMs) {
      const totals = totalsOf(found);
      say(`ledger: debits ${totals.debitMinor}, credits ${totals.creditMinor} (minor units)`);
      return totals;
    }
    await pause(200);
  }
}

const sum = (of: readonly (number | string)[]): bigint =>
  of.reduce((total: bigint, one) => total + BigInt(one), 0n);

function totalsOf(found: Balance): LedgerTotals {
  const receivable = found.accounts.filter(({ account }) => account.includes('receivable'));
  const collected = sum(receivable.map(({ balance_minor: balance }) => balance));
  return {
    balanced: found.balanced,
    debitMinor: sum(found.totals.map((one) => one.debit_minor)),
    creditMinor: sum(found.totals.map((one) => one.credit_minor)),
    collectedMinor: collected < 0n ? -collected : collected,
    undelivered: found.undelivered.messages,
    deadLetters: found.dead_letters_open,
  };
}
