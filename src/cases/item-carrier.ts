import type { Carrier } from './ports.js';

/** A case whose facts are one row: a dead letter of the ledger, a break of reconciliation. */
export interface Items {
  /** Sends it, or has it looked at, again; absent where that is done elsewhere. */
  again?(no: number, by: string): Promise<'done' | 'closed'>;
  /** False when it was closed before. */
  close(no: number, by: string, resolution: string): Promise<boolean>;
}

export function itemCarrier(items: Items): Carrier {
  return async ({ case: about, resolution, by, approvedBy }) => {
    const people = `${by}, approved by ${approvedBy}`;
    if (resolution.action === 'ask_again' && items.again !== undefined) {
      const result = await items.again(about.no, people);
      return result === 'done'
        ? { kind: 'done', outcome: 'sent again' }
        : { kind: 'refused', outcome: 'it was closed before' };
    }
    if (resolution.action !== 'write_off') {
      return { kind: 'refused', outcome: 'a case of this kind is not resolved like that' };
    }
    const told = `written off: ${resolution.reason} (${people})`;
    if (await items.close(about.no, people, told)) return { kind: 'done', outcome: 'written off' };
    // It may have been us, before a crash.
    return about.resolution === told.slice(0, 500)
      ? { kind: 'done', outcome: 'written off' }
      : { kind: 'refused', outcome: 'it was closed before' };
  };
}
