import { chance } from './chance.js';
import {
  outcomes,
  placements,
  sandboxIds,
  type Outcome,
  type SandboxChannelId,
} from './channel-spec.js';

/**
 * Faults on demand. A rule names whom it hits and what goes wrong; what goes wrong has two sides
 * that are independent of each other: what happens to the order (effect) and what becomes of the
 * answer (delivery).
 */

export const operations = [...placements, 'query', 'close', 'callback'] as const;
export type Operation = (typeof operations)[number];

/**
 * normal; nothing at all; only after a while; twice; with a fixed outcome; against its nature; when a lock
 * is free; asked for again by the network.
 */
export type Effect =
  'normal' | 'none' | 'late' | 'double' | 'decline' | 'succeed' | 'violate' | 'lock' | 'again';

export type Delivery =
  | 'normal'
  | 'hang'
  | 'reset'
  | 'server_error'
  | 'garbage'
  | 'half'
  | 'drip'
  | 'huge'
  | 'throttle'
  | 'forge'
  | 'alter'
  | 'say'
  | 'unlisted'
  | 'never'
  | 'twice'
  | 'early'
  | 'late';

interface FaultKind {
  readonly effect: Effect;
  readonly delivery: Delivery;
  readonly on: readonly Operation[];
}

const requests = [...placements, 'query', 'close'] as const;
const transfers = placements;
const everything = operations;

export const faultKinds = {
  decline: { effect: 'decline', delivery: 'normal', on: transfers },
  succeed: { effect: 'succeed', delivery: 'normal', on: transfers },
  timeout_before: { effect: 'none', delivery: 'hang', on: requests },
  timeout_after: { effect: 'normal', delivery: 'hang', on: requests },
  late_effect: { effect: 'late', delivery: 'hang', on: transfers },
  reset_before: { effect: 'none', delivery: 'reset', on: requests },
  reset_after: { effect: 'normal', delivery: 'reset', on: requests },
  http_5xx_before: { effect: 'none', delivery: 'server_error', on: requests },
  http_5xx_after: { effect: 'normal', delivery: 'server_error', on: requests },
  garbage: { effect: 'normal', delivery: 'garbage', on: everything },
  half_response: { effect: 'normal', delivery: 'half', on: requests },
  slow_drip: { effect: 'normal', delivery: 'drip', on: requests },
  huge_response: { effect: 'normal', delivery: 'huge', on: requests },
  duplicate_capture: { effect: 'double', delivery: 'normal', on: ['charge', 'refund', 'payout'] },
  duplicate_request: { effect: 'again', delivery: 'normal', on: transfers },
  lock_wait: { effect: 'lock', delivery: 'normal', on: transfers },
  throttled: { effect: 'none', delivery: 'throttle', on: requests },
  bad_signature: { effect: 'normal', delivery: 'forge', on: everything },
  mismatch: { effect: 'normal', delivery: 'alter', on: everything },
  contradiction: { effect: 'normal', delivery: 'say', on: everything },
  unlisted_code: { effect: 'normal', delivery: 'unlisted', on: everything },
  violates_nature: { effect: 'violate', delivery: 'normal', on: transfers },
  callback_never: { effect: 'normal', delivery: 'never', on: ['callback'] },
  callback_twice: { effect: 'normal', delivery: 'twice', on: ['callback'] },
  callback_early: { effect: 'normal', delivery: 'early', on: ['callback'] },
  callback_late: { effect: 'normal', delivery: 'late', on: ['callback'] },
  /** The whole channel: its port is closed for as long as the rule stands. */
  down: { effect: 'none', delivery: 'reset', on: requests },
} as const satisfies Record<string, FaultKind>;

export type FaultName = keyof typeof faultKinds;

export interface FaultParams {
  /** decline, contradiction: the outcome. */
  readonly outcome?: Outcome;
  /**
   * late_effect: how long the request is held on its way; lock_wait: how long the lock is held;
   * duplicate_request: when it comes again; callback_late: the delay.
   */
  readonly delay_ms?: number;
  /** late_effect: how long the started order stays invisible to queries. */
  readonly invisible_ms?: number;
  /** http_5xx_*: 500 to 599. */
  readonly status?: number;
  /** mismatch: which field of the answer is wrong. */
  readonly field?: 'order_no' | 'amount' | 'credit_amount' | 'currency' | 'merchant';
  /** slow_drip: the pause between bytes. */
  readonly interval_ms?: number;
  /** http_5xx_*: with a well-signed body that says otherwise; garbage: with a good signature. */
  readonly signed?: boolean;
  /** late_effect: the answer that comes meanwhile; lock_wait: `hang` for none, else it says that it cannot say. */
  readonly answer?: 'hang' | 'server_error' | 'reset';
  /** unlisted_code: the code to send. */
  readonly code?: string;
}

export interface FaultRule {
  readonly channel: SandboxChannelId | '*';
  readonly operation: Operation | '*';
  readonly fault: FaultName;
  readonly orderNo?: string;
  readonly accountToken?: string;
  /** Share of what matches, 0 to 1. Without it: all. */
  readonly probability?: number;
  /** Only the nth ask (from 1) of that operation about that order. */
  readonly nth?: number;
  /** The rule ends when it has hit this often. */
  readonly times?: number;
  /** The rule ends this long after it was set. */
  readonly for_ms?: number;
  readonly params?: FaultParams;
}

/** What goes wrong with one request. */
export interface Mishap {
  readonly fault: FaultName | null;
  readonly effect: Effect;
  readonly delivery: Delivery;
  readonly params: FaultParams;
}

export const noMishap: Mishap = {
  fault: null,
  effect: 'normal',
  delivery: 'normal',
  params: {},
};

interface ActiveRule {
  readonly rule: FaultRule;
  readonly index: number;
  readonly endsAtMs: number;
  hits: number;
}

const rulesMax = 10_000;
const asksRememberedMax = 1_000_000;

export class FaultBoard {
  readonly #seed: string;
  readonly #asks = new Map<string, number>();
  readonly #hits = new Map<string, number>();
  #rules: ActiveRule[] = [];
  #added = 0;
  readonly #changed: () => void;

  constructor(seed: string, changed: () => void) {
    this.#seed = seed;
    this.#changed = changed;
  }

  /** @throws FaultError when a rule is not understood; then nothing changes. */
  set(rules: unknown, keep: boolean): readonly FaultRule[] {
    const checked = parseRules(rules);
    const kept = keep ? this.#rules : [];
    if (kept.length + checked.length > rulesMax) throw new FaultError(`over ${rulesMax} rules`);
    if (!keep) this.#added = 0;
    this.#rules = kept.concat(checked.map((rule) => this.#activate(rule)));
    this.#changed();
    return this.#rules.map(({ rule }) => rule);
  }

  clear(): void {
    this.#rules = [];
    this.#changed();
  }

  list(): readonly (FaultRule & { readonly hits: number })[] {
    return this.#rules.map(({ rule, hits }) => ({ ...rule, hits }));
  }

  /** How often each fault hit, since the start: `channel operation fault`. */
  hits(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#hits);
  }

  isDown(channel: SandboxChannelId): boolean {
    return this.#rules.some(
      ({ rule, endsAtMs }) =>
        rule.fault === 'down' &&
        (rule.channel === '*' || rule.channel === channel) &&
        endsAtMs > Date.now(),
    );
  }

  /** The first rule that matches decides. Drawn from (seed, rule, channel, order, operation, nth). */
  strike(
    channel: SandboxChannelId,
    operation: Operation,
    orderNo: string,
    accountToken: string | null,
  ): Mishap {
    if (this.#rules.length === 0) return noMishap;
    const nth = this.#countAsk(`${channel} ${operation} ${orderNo}`);
    for (const active of this.#rules) {
      const { rule } = active;
      if (rule.fault === 'down' || !matches(active, channel, operation, orderNo, accountToken)) {
        continue;
      }
      if (rule.nth !== undefined && rule.nth !== nth) continue;
      const draw = chance(this.#seed, 'fault', active.index, channel, orderNo, operation, nth);
      if (draw >= (rule.probability ?? 1)) continue;
      active.hits += 1;
      const name = `${channel} ${operation} ${rule.fault}`;
      this.#hits.set(name, (this.#hits.get(name) ?? 0) + 1);
      const { effect, delivery } = faultKinds[rule.fault];
      return { fault: rule.fault, effect, delivery, params: rule.params ?? {} };
    }
    return noMishap;
  }

  #activate(rule: FaultRule): ActiveRule {
    const endsAtMs =
      rule.for_ms === undefined ? Number.POSITIVE_INFINITY : Date.now() + rule.for_ms;
    // Two equal rules must not draw the same numbers, so the index is part of the draw.
    const active = { rule, index: this.#added, endsAtMs, hits: 0 };
    this.#added += 1;
    if (rule.for_ms !== undefined) setTimeout(this.#changed, rule.for_ms + 1).unref();
    return active;
  }

  #countAsk(key: string): number {
    const nth = (this.#asks.get(key) ?? 0) + 1;
    if (this.#asks.size >= asksRememberedMax) this.#asks.clear();
    this.#asks.set(key, nth);
    return nth;
  }
}

function matches(
  { rule, hits, endsAtMs }: ActiveRule,
  channel: SandboxChannelId,
  operation: Operation,
  orderNo: string,
  accountToken: string | null,
): boolean {
  if (rule.times !== undefined && hits >= rule.times) return false;
  if (endsAtMs <= Date.now()) return false;
  if (rule.channel !== '*' && rule.channel !== channel) return false;
  if (rule.operation === '*') {
    if (!(faultKinds[rule.fault].on as readonly Operation[]).includes(operation)) return false;
  } else if (rule.operation !== operation) return false;
  if (rule.orderNo !== undefined && rule.orderNo !== orderNo) return false;
  return rule.accountToken === undefined || rule.accountToken === accountToken;
}

export class FaultError extends Error {}

const ruleKeys = new Set([
  'channel',
  'operation',
  'fault',
  'orderNo',
  'accountToken',
  'probability',
  'nth',
  'times',
  'for_ms',
  'params',
]);

const paramChecks: Readonly<Record<keyof FaultParams, (value: unknown) => boolean>> = {
  outcome: (value) => (outcomes as readonly unknown[]).includes(value),
  delay_ms: isDuration,
  invisible_ms: isDuration,
  status: (value) => Number.isInteger(value) && Number(value) >= 500 && Number(value) <= 599,
  field: (value) =>
    ['order_no', 'amount', 'credit_amount', 'currency', 'merchant'].includes(String(value)),
  interval_ms: isDuration,
  signed: (value) => typeof value === 'boolean',
  answer: (value) => ['hang', 'server_error', 'reset'].includes(String(value)),
  code: (value) => typeof value === 'string' && /^[\w.-]{1,64}$/.test(value),
};

function isDuration(value: unknown): boolean {
  return typeof value === 'number' && value >= 0 && value <= 86_400_000;
}

/** @throws FaultError naming the rule and the field. */
export function parseRules(value: unknown): FaultRule[] {
  if (!Array.isArray(value)) throw new FaultError('the rules are not a list');
  return value.map((rule, index) => {
    const problem = ruleProblem(rule);
    if (problem !== null) throw new FaultError(`rule ${index}: ${problem}`);
    return rule as FaultRule;
  });
}

function ruleProblem(value: unknown): string | null {
  if (typeof value !== 'object' || value === null) return 'not an object';
  const rule = value as Record<string, unknown>;
  const unknownKey = Object.keys(rule).find((key) => !ruleKeys.has(key));
  if (unknownKey !== undefined) return `unknown field ${unknownKey}`;
  const { channel, operation, fault, probability } = rule;
  if (channel !== '*' && !(sandboxIds as readonly unknown[]).includes(channel)) {
    return `unknown channel ${String(channel)}`;
  }
  if (typeof fault !== 'string' || !Object.hasOwn(faultKinds, fault)) {
    return `unknown fault ${String(fault)}`;
  }
  const on: readonly string[] = faultKinds[fault as FaultName].on;
  if (operation !== '*' && !on.includes(String(operation))) {
    return `${fault} works on ${on.join(', ')}, not on ${String(operation)}`;
  }
  if (probability !== undefined && !(Number(probability) >= 0 && Number(probability) <= 1)) {
    return 'probability is not between 0 and 1';
  }
  for (const key of ['nth', 'times'] as const) {
    if (rule[key] !== undefined && !(Number.isInteger(rule[key]) && Number(rule[key]) >= 1)) {
      return `${key} is not a whole number from 1`;
    }
  }
  if (rule['for_ms'] !== undefined && !isDuration(rule['for_ms']))
    return 'for_ms is not a duration';
  for (const key of ['orderNo', 'accountToken'] as const) {
    if (rule[key] !== undefined && typeof rule[key] !== 'string') return `${key} is not text`;
  }
  return paramsProblem(rule['params']);
}

function paramsProblem(params: unknown): string | null {
  if (params === undefined) return null;
  if (typeof params !== 'object' || params === null) return 'params is not an object';
  for (const [key, value] of Object.entries(params)) {
    if (!Object.hasOwn(paramChecks, key)) return `unknown param ${key}`;
    if (!paramChecks[key as keyof FaultParams](value)) return `param ${key} has a wrong value`;
  }
  return null;
}
