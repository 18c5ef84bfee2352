/** The channels' side of the story: the sandbox's own book, asked over HTTP. */
import type { BookedOperation, BookedOrder } from '../oracle/index.js';

interface BookLine {
  readonly channel: string;
  readonly orderNo: string;
  readonly operation?: BookedOperation;
  readonly state: BookedOrder['state'];
  readonly amountMinor: number | null;
  readonly captures: readonly Took[];
  /** Each time that anything but a charge or a refund was done. */
  readonly executions?: readonly Took[];
  /** When the book first had it. */
  readonly firstAt?: number;
  readonly refunds?: readonly { readonly orderNo: string; readonly amountMinor: number }[];
}

interface Took {
  readonly amountMinor: number;
  readonly at?: number;
  readonly violation?: boolean;
}

export class Witness {
  constructor(private readonly adminUrl: string) {}

  async book(): Promise<BookedOrder[]> {
    const response = await fetch(`${this.adminUrl}/_book`);
    if (!response.ok) throw new Error(`the sandbox's book answers ${response.status}`);
    return readBook(await response.text());
  }

  /** What a channel's statement of a day says, in the channel's own form. */
  async statement(channel: string, date: string): Promise<Uint8Array> {
    const response = await fetch(`${this.adminUrl}/_statement?channel=${channel}&date=${date}`);
    if (!response.ok) throw new Error(`the statement of ${channel} answers ${response.status}`);
    return new Uint8Array(await response.arrayBuffer());
  }

  async callBackTo(url: string): Promise<void> {
    const response = await fetch(`${this.adminUrl}/_callbacks`, {
      method: 'PUT',
      body: JSON.stringify({ unionlink: url }),
    });
    if (!response.ok) throw new Error(`the sandbox's callbacks answer ${response.status}`);
    await response.arrayBuffer();
  }

  /** More rules, before those that are there. */
  async addFaults(rules: readonly object[]): Promise<void> {
    const response = await fetch(`${this.adminUrl}/_faults`, {
      method: 'POST',
      body: JSON.stringify(rules),
    });
    if (!response.ok) throw new Error(`the sandbox's faults answer ${response.status}`);
    await response.arrayBuffer();
  }

  /** What is on accounts, minor units, by their tokens. */
  async setBalances(channel: string, balances: Readonly<Record<string, number>>): Promise<void> {
    const response = await fetch(`${this.adminUrl}/_balances?channel=${channel}`, {
      method: 'PUT',
      body: JSON.stringify(balances),
    });
    if (!response.ok) throw new Error(`the balances of ${channel} answer ${response.status}`);
    await response.arrayBuffer();
  }

  async callbacks(): Promise<{ sent: number; acknowledged: number }> {
    const response = await fetch(`${this.adminUrl}/_stats`);
    const { channels } = (await response.json()) as {
      channels: Record<string, { callbacksSent: number; callbacksAcknowledged: number }>;
    };
    const { callbacksSent: sent = 0, callbacksAcknowledged: acknowledged = 0 } =
      channels['unionlink'] ?? {};
    return { sent, acknowledged };
  }

  /** How often faults really struck. */
  async faultsThatStruck(): Promise<number> {
    const response = await fetch(`${this.adminUrl}/_faults`);
    const { hits } = (await response.json()) as { hits?: unknown };
    return sumOf(hits);
  }
}

function readBook(text: string): BookedOrder[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const read = JSON.parse(line) as BookLine;
      const { channel, orderNo, operation = 'charge', state, amountMinor, firstAt } = read;
      const done = [...read.captures, ...(read.executions ?? [])];
      return {
        channelId: channel,
        orderNo,
        operation,
        state,
        amountMinor: amountMinor === null ? null : BigInt(amountMinor),
        ...(firstAt !== undefined && { startedAtMs: firstAt }),
        // No sandbox carries a number out twice because it was sent twice: what is more than once is its own.
        captures: done.map(({ amountMinor: taken, at, violation = false }, times) => ({
          amountMinor: BigInt(taken),
          violation,
          ...(times > 0 && { own: true }),
          ...(at !== undefined && { atMs: at }),
        })),
        refunds: (read.refunds ?? []).map((one) => ({
          orderNo: one.orderNo,
          amountMinor: BigInt(one.amountMinor),
        })),
      };
    });
}

function sumOf(hits: unknown): number {
  if (typeof hits === 'number') return hits;
  if (typeof hits !== 'object' || hits === null) return 0;
  return Object.values(hits).reduce<number>((sum, inner) => sum + sumOf(inner), 0);
}
