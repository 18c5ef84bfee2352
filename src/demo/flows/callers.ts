/** Members who withdraw and customers who top up, through the API, whichever process of it is up. */
import type { ToldRow } from '../../oracle/index.js';
import { pause } from '../processes.js';
import { cardOf } from './bad-day.js';

export interface Ask {
  readonly kind: 'withdrawal' | 'top_up';
  readonly path: '/v1/withdrawals' | '/v1/top-ups';
  readonly key: string;
  readonly body: Readonly<Record<string, unknown>>;
}

const banks = ['ICBC', 'CCB', 'ABC', 'BOC'];
const memberCount = 12;
/** Of ten withdrawals a member asks for, the balance is enough for about nine. */
const coveredShare = 0.9;

export const members = Array.from({ length: memberCount }, (_, at) => `mb_demo_${at + 1}`);
/** The accounts that the account service keeps, and what is on each, minor units. */
export const serviceAccounts: Readonly<Record<string, number>> = Object.fromEntries(
  Array.from({ length: 6 }, (_, at) => [`tok_ok_held_${at + 1}`, 1_000_000]),
);

const amountOf = (index: number): number => 1_000 + ((index * 7_919) % 40_000);

/** Mostly accounts that take it; now and then one that is closed, or as its bank's day goes. */
function payee(index: number): Readonly<Record<string, string>> {
  const word = index % 13 === 5 ? 'closed' : index % 4 === 1 ? 'acct' : 'ok';
  return {
    bank_code: banks[index % banks.length] ?? 'ICBC',
    account_token: `tok_${word}_payee_${index}`,
    account_last4: String(index % 10_000).padStart(4, '0'),
  };
}

/** Every third from an account at a remote service, the others from a balance of ours. */
export function withdrawal(index: number): Ask {
  const remote = index % 3 === 2;
  const tokens = Object.keys(serviceAccounts);
  const service = { id: 'accounts', account_token: tokens[index % tokens.length] ?? '' };
  return {
    kind: 'withdrawal',
    path: '/v1/withdrawals',
    key: `demo-withdrawal-${index}`,
    body: {
      member_id: members[Math.floor(index / 3) % members.length],
      amount_minor: amountOf(index),
      currency: 'CNY',
      ...payee(index),
      ...(remote && { account_service: { ...service, account_last4: '0001' } }),
    },
  };
}

/** What each member has for so many withdrawals: not quite what will be asked for. */
export function deposits(withdrawals: number, from = 0): ReadonlyMap<string, number> {
  const asked = new Map(members.map((member) => [member, 0]));
  for (let index = from; index < from + withdrawals; index += 1) {
    const { body } = withdrawal(index);
    if ('account_service' in body) continue;
    const member = String(body['member_id']);
    asked.set(member, (asked.get(member) ?? 0) + Number(body['amount_minor']));
  }
  return new Map([...asked].map(([member, sum]) => [member, Math.ceil(sum * coveredShare)]));
}

export function topUp(index: number): Ask {
  const payers = { 4: 'insufficient', 7: 'unpaid', 9: 'later' } as const;
  const word = payers[(index % 16) as keyof typeof payers] ?? 'ok';
  return {
    kind: 'top_up',
    path: '/v1/top-ups',
    key: `demo-top-up-${index}`,
    body: {
      customer_id: `cu_demo_${index % 40}`,
      amount_minor: amountOf(index + 31),
      currency: 'CNY',
      bank_code: banks[index % banks.length] ?? 'ICBC',
      account_token: `tok_${word}_payer_${index}`,
      account_last4: String(index % 10_000).padStart(4, '0'),
      card_token: cardOf(index),
      card_last4: '0002',
    },
  };
}

const answerMsMax = 10_000;
const retryMs = 100;

/** Asks one process of the API after the other until one answers, always under the same key. */
export class Caller {
  /** What was accepted, and what nobody answered about: for the oracle. */
  readonly told: ToldRow[] = [];
  readonly refused: { readonly kind: Ask['kind']; readonly code: string }[] = [];
  #next = 0;

  /** @param patienceMs how long to go on asking when nobody answers. */
  constructor(
    private readonly apis: () => readonly string[],
    private readonly keys: { readonly app: string; readonly operator: string },
    private readonly patienceMs = 60_000,
  ) {}

  /** Starts a task, or is refused. */
  async ask({ kind, path, key, body }: Ask): Promise<void> {
    const answer = await this.#insist(path, this.keys.app, body, key);
    const { status = 0, code = '', id = null } = answer ?? {};
    if (status >= 400 && code !== 'idempotency_in_progress') {
      this.refused.push({ kind, code });
      // One that was not answered before may be carried out yet.
      if (answer?.again !== true) return;
    }
    this.told.push({ kind, key, id, amountMinor: BigInt(Number(body['amount_minor'])) });
  }

  async openMember(member: string): Promise<void> {
    const body = { id: member, currency: 'CNY' };
    const answer = await this.#insist('/v1/members', this.keys.operator, body);
    if (answer === null || answer.status >= 300) throw new Error(`${member} was not opened`);
  }

  async deposit(member: string, id: string, amountMinor: number): Promise<void> {
    const body = { deposit_id: id, amount_minor: amountMinor, currency: 'CNY' };
    const path = `/v1/members/${member}/deposits`;
    const answer = await this.#insist(path, this.keys.operator, body);
    if ((answer?.status ?? 0) >= 300) throw new Error(`${id}: ${answer?.code}`);
    const told = { kind: 'deposit', key: id, amountMinor: BigInt(amountMinor) } as const;
    this.told.push({ ...told, id: answer === null ? null : id });
  }

  /** Null when nobody answered in all that time. */
  async #insist(path: string, as: string, body: object, key?: string): Promise<Answer | null> {
    const giveUpMs = performance.now() + this.patienceMs;
    this.#next += 1;
    let at = this.#next;
    for (let again = false; performance.now() < giveUpMs; again = true) {
      const answer = await this.#post(at, { path, as, body, key });
      // Another one, whatever the other callers have been at meanwhile.
      at += 1;
      if (answer !== null && answer.status < 500 && answer.status !== 429) {
        return { ...answer, again };
      }
      await pause(retryMs);
    }
    return null;
  }

  async #post(at: number, { path, as, body, key }: Posted): Promise<Omit<Answer, 'again'> | null> {
    const apis = this.apis();
    const api = apis[at % Math.max(1, apis.length)];
    if (api === undefined) return null;
    try {
      const response = await fetch(`${api}${path}`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${as}`,
          'content-type': 'application/json',
          ...(key !== undefined && { 'idempotency-key': key }),
        },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(answerMsMax),
      });
      const said = (await response.json()) as Said;
      const { code = '', id = said.withdrawal_id ?? said.top_up_id ?? null } = said;
      return { status: response.status, code, id };
    } catch {
      // It was killed, or is about to be: nobody knows whether it was heard. The key says it again.
      return null;
    }
  }
}

interface Posted {
  readonly path: string;
  readonly as: string;
  readonly body: object;
  readonly key: string | undefined;
}

interface Answer {
  readonly status: number;
  readonly code: string;
  readonly id: string | null;
  /** Not of the first try. */
  readonly again: boolean;
}

interface Said {
  readonly id?: string;
  readonly code?: string;
  /** The same request again, and what the first of them started is under way. */
  readonly withdrawal_id?: string;
  readonly top_up_id?: string;
}
