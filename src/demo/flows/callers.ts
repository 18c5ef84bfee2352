/** Members who withdraw and customers who top up, through the API, whichever process of it is up. */
import { pause } from '../processes.js';
import { cardOf } from './bad-day.js';

export interface Ask {
  readonly path: '/v1/withdrawals' | '/v1/top-ups';
  readonly key: string;
  readonly body: Readonly<Record<string, unknown>>;
}

export interface Told {
  readonly accepted: number;
  /** Refused at once, by the error's code: nothing was started. */
  readonly refused: ReadonlyMap<string, number>;
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

/** What each member has at the beginning: not quite what will be asked for. */
export function deposits(withdrawals: number): ReadonlyMap<string, number> {
  const asked = new Map(members.map((member) => [member, 0]));
  for (let index = 0; index < withdrawals; index += 1) {
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
const triesMax = 60;

/** Asks one process of the API after the other until one answers, always under the same key. */
export class Caller {
  #next = 0;

  constructor(
    private readonly apis: readonly { readonly url: string; readonly up: () => boolean }[],
    private readonly keys: { readonly app: string; readonly operator: string },
  ) {}

  /** @returns the code of what refused it; null when it was accepted. */
  async ask({ path, key, body }: Ask): Promise<string | null> {
    for (let tries = 0; tries < triesMax; tries += 1) {
      const answer = await this.#post(path, this.keys.app, body, key);
      if (answer === null || answer.status === 503) {
        await pause(100);
        continue;
      }
      if (answer.status < 300) return null;
      // The same request again, and the first of them is under way.
      if (answer.code === 'idempotency_in_progress') return null;
      return answer.code;
    }
    throw new Error(`${path} ${key}: no process of the API answered`);
  }

  /** For what an operator does before the day begins. */
  async prepare(path: string, body: object): Promise<void> {
    const answer = await this.#post(path, this.keys.operator, body);
    if (answer === null || answer.status >= 300) {
      throw new Error(`POST ${path}: ${answer?.status ?? 'no answer'} ${answer?.code ?? ''}`);
    }
  }

  async #post(
    path: string,
    key: string,
    body: object,
    idempotencyKey?: string,
  ): Promise<{ readonly status: number; readonly code: string } | null> {
    const up = this.apis.filter((api) => api.up());
    this.#next += 1;
    const api = up[this.#next % Math.max(1, up.length)];
    if (api === undefined) return null;
    try {
      const response = await fetch(`${api.url}${path}`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${key}`,
          'content-type': 'application/json',
          ...(idempotencyKey !== undefined && { 'idempotency-key': idempotencyKey }),
        },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(answerMsMax),
      });
      const { code = '' } = (await response.json()) as { code?: string };
      return { status: response.status, code };
    } catch {
      // It was killed, or is about to be: nobody knows whether it was heard. The key says it again.
      return null;
    }
  }
}
