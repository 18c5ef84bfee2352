/** The other sides: channels, card system and account service, each a process with a book and faults of its own. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BookedOrder } from '../../oracle/index.js';
import { Daemon, runRecoup, type Environment } from '../processes.js';
import { Witness } from '../witness.js';
import { cardFaults } from './bad-day.js';
import { serviceAccounts } from './callers.js';

export type Books = Readonly<Record<'channels' | 'cards' | 'accounts', Witness>>;

export interface Parties {
  readonly books: Books;
  /** What the engine's processes must know of them. */
  readonly env: Readonly<Record<string, string>>;
}

interface SandboxReady {
  readonly admin: string;
  readonly env: Readonly<Record<string, string>>;
}

export const example = (name: string): string =>
  fileURLToPath(new URL(`../../../../examples/${name}`, import.meta.url));

/** @param topUps how many cards are used at most: some of them have troubles of their own. */
export async function startParties(
  env: Environment,
  folder: string,
  daemons: Daemon[],
  how: { readonly seed: string; readonly latencyScale: string; readonly topUps: number },
): Promise<Parties> {
  const start = async (role: string): Promise<SandboxReady> => {
    const args = ['sandbox', '--role', role, '--book', join(folder, role), '--seed', how.seed];
    args.push('--faults', 'realistic', '--latency-scale', how.latencyScale);
    const daemon = Daemon.start(role, args, env, folder);
    daemons.push(daemon);
    return await daemon.ready<SandboxReady>();
  };
  const [channels, cards, accounts] = (await Promise.all(
    (['channels', 'cards', 'accounts'] as const).map(start),
  )) as [SandboxReady, SandboxReady, SandboxReady];
  const books = {
    channels: new Witness(channels.admin),
    cards: new Witness(cards.admin),
    accounts: new Witness(accounts.admin),
  };
  await books.accounts.setBalances('accounts', serviceAccounts);
  await books.cards.addFaults(cardFaults(how.topUps));
  return { books, env: { ...channels.env, ...cards.env, ...accounts.env } };
}

/** Into a database that is migrated. */
export async function importProfiles(env: Environment): Promise<void> {
  const files = ['channels.demo.yaml', 'parties.demo.yaml'].map(example);
  await Promise.all(files.map(async (file) => runRecoup(['channels', 'import', file], env)));
}

/** All books. Each must have been read before the log is. */
export async function readBooks(books: Books): Promise<BookedOrder[]> {
  const all = Object.values(books).map(async (witness) => await witness.book());
  return (await Promise.all(all)).flat();
}

/** An API key. */
export async function makeKey(env: Environment, role: string, name: string): Promise<string> {
  const args = ['keys', 'create', '--name', name, '--role', role];
  return (await runRecoup<{ key: string }>(args, env)).key;
}
