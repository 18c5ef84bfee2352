import { assertNever } from '../assert.js';
import type { Clock } from '../clock.js';
import type { Log } from '../engine/ports.js';
import { entryFor } from './entry-for.js';
import { amountOf, type LedgerEntry, type Message } from './entry.js';
import type { Ledger, Outbox, PostResult, Verdict } from './ports.js';

export interface ConsumerSettings {
  /** How long after the first, second, … try in vain; after the last the message is a dead letter. */
  readonly retryMs: readonly number[];
}

/**
 * Posts messages, and only then confirms them. Killed in between, the messages are sent again and
 * found in the books. What cannot be posted never holds up what can.
 */
export class Consumer {
  constructor(
    private readonly outbox: Outbox,
    private readonly ledger: Ledger,
    private readonly settings: ConsumerSettings,
    private readonly clock: Clock,
    private readonly log: Log,
  ) {}

  /** Rejects when the outbox is out of reach: the messages are then sent again. */
  async handle(ids: readonly string[]): Promise<void> {
    const messages = await this.outbox.unsettled(ids);
    if (messages.length === 0) return;
    const verdicts: Verdict[] = [];
    const toPost: { readonly message: Message; readonly entry: LedgerEntry }[] = [];
    for (const message of messages) {
      const reading = entryFor(message);
      if (reading.kind === 'entry') toPost.push({ message, entry: reading.entry });
      else if (reading.kind === 'unknown_topic') {
        // In the middle of a deploy a newer process may know it.
        verdicts.push(this.#again(message, 'no posting is known for this topic', 0n));
      } else {
        const { why: evidence, amountMinor } = reading;
        verdicts.push(dead(message, 'malformed', message.tries + 1, amountMinor, evidence));
      }
    }
    const results = await this.#post(toPost.map(({ entry }) => entry));
    toPost.forEach(({ message, entry }, at) => {
      verdicts.push(this.#verdict(message, entry, results[at] ?? lost));
    });
    await this.outbox.confirm(verdicts, this.clock.nowMs());
    this.#tell(verdicts);
  }

  async #post(entries: readonly LedgerEntry[]): Promise<readonly PostResult[]> {
    if (entries.length === 0) return [];
    try {
      return await this.ledger.post(entries);
    } catch (error) {
      return entries.map(() => ({ kind: 'unknown', why: String(error) }));
    }
  }

  #verdict(message: Message, entry: LedgerEntry, result: PostResult): Verdict {
    switch (result.kind) {
      case 'posted':
        return { id: message.id, kind: 'delivered' };
      case 'refused': {
        const { reason, evidence } = result;
        return dead(message, reason, message.tries + 1, amountOf(entry), evidence);
      }
      case 'unknown':
        return this.#again(message, result.why, amountOf(entry));
      case 'not_tried': {
        const [first = 0] = this.settings.retryMs;
        const { id, tries } = message;
        return { id, kind: 'again', atMs: this.clock.nowMs() + first, tries, why: result.why };
      }
      default:
        return assertNever(result);
    }
  }

  #again(message: Message, why: string, amountMinor: bigint): Verdict {
    const tries = message.tries + 1;
    const waitMs = this.settings.retryMs[tries - 1];
    if (waitMs === undefined) {
      const evidence = `tried ${tries} times, posted or not is not known; at last: ${why}`;
      return dead(message, 'retries_exhausted', tries, amountMinor, evidence);
    }
    return { id: message.id, kind: 'again', atMs: this.clock.nowMs() + waitMs, tries, why };
  }

  #tell(verdicts: readonly Verdict[]): void {
    for (const one of verdicts) {
      if (one.kind !== 'dead') continue;
      const { id, reason, evidence } = one;
      this.log.error('ledger message is a dead letter', { outbox_id: id, reason, evidence });
    }
    const again = verdicts.filter(({ kind }) => kind === 'again');
    const [first] = again;
    if (first?.kind === 'again') {
      this.log.warn('ledger messages not posted', { messages: again.length, why: first.why });
    }
  }
}

const lost: PostResult = { kind: 'unknown', why: 'the ledger gave no result' };

const dead = (
  { id }: Message,
  reason: Extract<Verdict, { kind: 'dead' }>['reason'],
  tries: number,
  amountMinor: bigint,
  evidence: string,
): Verdict => ({ id, kind: 'dead', reason, tries, amountMinor, evidence });
