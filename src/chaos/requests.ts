/** Members who withdraw and customers who top up, all the while, at whichever process answers. */
import { setTimeout as delay } from 'node:timers/promises';
import { deposits, members, topUp, withdrawal, type Caller } from '../demo/flows/callers.js';

/** Requests of one flow under way at once, and the pause after each: less than the batches' share. */
const lanes = 4;
const thinkMs = 800;
/** More than there can be in a minute. */
export const topUpsOfMinute = (lanes * 60_000) / thinkMs;
/** Deposits are made for so many withdrawals at a time. */
const withdrawalsOfDeposit = 3 * members.length;

export class Requests {
  #stopped = false;

  constructor(private readonly caller: Caller) {}

  /** Before the faults, or there would be nobody to ask for. */
  async prepare(): Promise<void> {
    for (const member of members) await this.caller.openMember(member);
  }

  /** Until stopped; what was asked is asked to its end. */
  async run(): Promise<void> {
    await Promise.all([
      this.#keepAsking(async (index) => {
        if (index % withdrawalsOfDeposit === 0) await this.#deposit(index);
        await this.caller.ask(withdrawal(index));
      }),
      this.#keepAsking(async (index) => await this.caller.ask(topUp(index))),
    ]);
  }

  stop(): void {
    this.#stopped = true;
  }

  async #deposit(from: number): Promise<void> {
    for (const [member, amountMinor] of deposits(withdrawalsOfDeposit, from)) {
      if (amountMinor > 0) await this.caller.deposit(member, `dp_${member}_${from}`, amountMinor);
    }
  }

  async #keepAsking(ask: (index: number) => Promise<void>): Promise<void> {
    let next = 0;
    const lane = async (): Promise<void> => {
      while (!this.#stopped) {
        next += 1;
        await ask(next - 1);
        await delay(thinkMs);
      }
    };
    await Promise.all(Array.from({ length: lanes }, lane));
  }
}
