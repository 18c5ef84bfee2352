import type { LedgerEntry } from './entry.js';
import type { Ledger, PostResult } from './ports.js';

export interface HttpLedgerSettings {
  readonly url: string;
  /** Sent as `Authorization: Bearer`. */
  readonly token: string | null;
  readonly timeoutMs: number;
}

/** Requests under way at once. */
const lanes = 8;
/** So many found nobody there: the rest of the call is not tried. */
const absentMax = lanes;
const answerBytesMax = 16 * 1024;
/** These are about us or about now, not about the entry: it may well be taken later. */
const notAboutTheEntry = new Set([401, 403, 404, 405, 407, 408, 421, 423, 425, 429]);

/**
 * A lender's own accounting service, one entry a request, under an idempotency key. docs/ledger.md
 * has the contract. An answer is believed when it repeats the digest of what was sent: a 200 from
 * something else that happens to listen there must not lose a posting.
 */
export class HttpLedger implements Ledger {
  constructor(private readonly settings: HttpLedgerSettings) {}

  async post(entries: readonly LedgerEntry[]): Promise<readonly PostResult[]> {
    const results: PostResult[] = [];
    let next = 0;
    let absent = 0;
    const lane = async (): Promise<void> => {
      while (next < entries.length) {
        const at = next;
        next += 1;
        if (absent >= absentMax) {
          results[at] = { kind: 'not_tried', why: 'the accounting service does not answer' };
          continue;
        }
        const result = await this.#postOne(entries[at] as LedgerEntry);
        absent = result.kind === 'unknown' ? absent + 1 : 0;
        results[at] = result;
      }
    };
    await Promise.all(Array.from({ length: lanes }, lane));
    return results;
  }

  async #postOne(entry: LedgerEntry): Promise<PostResult> {
    const { url, token, timeoutMs } = this.settings;
    try {
      const response = await fetch(url, {
        method: 'POST',
        redirect: 'manual',
        signal: AbortSignal.timeout(timeoutMs),
        headers: {
          'content-type': 'application/json',
          'idempotency-key': `${entry.topic}/${entry.key}`,
          ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        },
        body: JSON.stringify(wireEntry(entry)),
      });
      return judged(response.status, await textOf(response), entry.digest);
    } catch (error) {
      return { kind: 'unknown', why: reasonOf(error) };
    }
  }
}

/** What an answer proves. */
export function judged(status: number, text: string, digest: string): PostResult {
  const said = digestIn(text);
  if (status === 200 || status === 201) {
    if (said === digest) return { kind: 'posted' };
    return { kind: 'unknown', why: `${status} without the content_sha256 that was sent` };
  }
  if (status === 409) {
    if (said === digest) return { kind: 'posted' };
    // A key that is in use for the moment has no digest yet.
    if (said === null) return { kind: 'unknown', why: '409 without a content_sha256' };
    const evidence = `409: this key was posted with other content (${said})`;
    return { kind: 'refused', reason: 'conflict', evidence };
  }
  if (status >= 400 && status < 500 && !notAboutTheEntry.has(status)) {
    return { kind: 'refused', reason: 'refused', evidence: `${status}: ${excerpt(text)}` };
  }
  return { kind: 'unknown', why: `${status}` };
}

const wireEntry = (entry: LedgerEntry) => ({
  topic: entry.topic,
  key: entry.key,
  content_sha256: entry.digest,
  occurred_at: new Date(entry.occurredAtMs).toISOString(),
  currency: entry.currency,
  deduction_id: entry.deductionId,
  repayment_id: entry.repaymentId,
  channel_id: entry.channelId,
  order_no: entry.orderNo,
  transfers: entry.transfers.map(({ debit, credit, amountMinor }) => ({
    debit_account: debit.code,
    credit_account: credit.code,
    amount_minor: Number(amountMinor),
  })),
});

/** At most so much of it: what listens there need not be what we think. */
async function textOf(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  if (response.body === null) return '';
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    chunks.push(chunk);
    size += chunk.length;
    if (size >= answerBytesMax) break;
  }
  return Buffer.concat(chunks).toString('utf8');
}

function digestIn(text: string): string | null {
  try {
    const said = (JSON.parse(text) as { content_sha256?: unknown } | null)?.content_sha256;
    return typeof said === 'string' && /^[0-9a-f]{64}$/.test(said) ? said : null;
  } catch {
    return null;
  }
}

/** An answer may repeat anything: long numbers do not enter our tables (rule 13). */
const excerpt = (text: string): string =>
  text
    .replaceAll(/\d(?:[ -]?\d){11,}/g, '#')
    .replaceAll(/\s+/g, ' ')
    .slice(0, 300);

function reasonOf(error: unknown): string {
  if ((error as Error).name === 'TimeoutError') return 'no answer within the time-out';
  const { cause } = error as { cause?: { code?: string } };
  return `no answer: ${cause?.code ?? (error as Error).message}`.slice(0, 200);
}
