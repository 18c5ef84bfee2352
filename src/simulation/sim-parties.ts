/** What the orders of a card system and of a remote account service mean to them: books of their own. */
import { assertNever } from '../assert.js';
import { operationOf, type Order } from '../engine/order.js';
import type { Decline, Trade } from './sim-channel.js';

const no = (code: string): Decline => ({
  kind: 'declined',
  code,
  channelCode: 'C1',
  message: code,
  scope: 'final',
});

/**
 * A card system. What it always does: a voided pre-recharge is refused for ever, and one that has been
 * credited is not voided. That it credits a pre-recharge once, whatever the number, only some do: with
 * the others nobody but us sees to it.
 */
export class SimCards implements Trade {
  readonly #recorded = new Set<string>();
  readonly #credited = new Set<string>();
  readonly #voided = new Set<string>();

  constructor(private readonly creditsOnce: boolean) {}

  refuses(order: Order): Decline | null {
    const about = order.regarding?.orderNo ?? '';
    switch (operationOf(order)) {
      case 'credit':
        if (!this.#recorded.has(about)) return no('pre_recharge_unknown');
        if (this.#voided.has(about)) return no('pre_recharge_voided');
        return this.creditsOnce && this.#credited.has(about) ? no('already_credited') : null;
      case 'void':
        if (!this.#recorded.has(about)) return no('pre_recharge_unknown');
        return this.#credited.has(about) ? no('already_credited') : null;
      default:
        return null;
    }
  }

  executed(order: Order): void {
    const about = order.regarding?.orderNo ?? '';
    switch (operationOf(order)) {
      case 'pre_recharge':
        this.#recorded.add(order.orderNo);
        return;
      case 'credit':
        this.#credited.add(about);
        return;
      case 'void':
        this.#voided.add(about);
        return;
      default:
        throw new Error(`a card system does not ${operationOf(order)}`);
    }
  }

  /** To close a credit is to void its pre-recharge. */
  ends(order: Order): boolean {
    if (operationOf(order) !== 'credit') return true;
    const about = order.regarding?.orderNo ?? '';
    if (this.#credited.has(about)) return false;
    this.#voided.add(about);
    return true;
  }
}

/** An account service: balances by token, never below zero. Restoring twice is for us to prevent. */
export class SimAccounts implements Trade {
  readonly balances = new Map<string, bigint>();
  readonly #debited = new Set<string>();

  refuses(order: Order): Decline | null {
    const operation = operationOf(order);
    const { token } = order.account;
    if (operation === 'debit') {
      const enough = (this.balances.get(token) ?? 0n) >= order.amountMinor;
      return enough ? null : no('insufficient_balance');
    }
    return this.#debited.has(order.regarding?.orderNo ?? '') ? null : no('debit_unknown');
  }

  executed(order: Order): void {
    const { token } = order.account;
    const balance = this.balances.get(token) ?? 0n;
    const operation = operationOf(order);
    switch (operation) {
      case 'debit':
        this.#debited.add(order.orderNo);
        this.balances.set(token, balance - order.amountMinor);
        return;
      case 'restore':
        this.balances.set(token, balance + order.amountMinor);
        return;
      case 'charge':
      case 'refund':
      case 'payout':
      case 'pre_recharge':
      case 'credit':
      case 'void':
        throw new Error(`an account service does not ${operation}`);
      default:
        assertNever(operation);
    }
  }

  ends(): boolean {
    return true;
  }
}
