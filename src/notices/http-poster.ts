import { Agent, request } from 'undici';
import { words } from '../personal.js';
import { isPublic } from './addresses.js';
import {
  checkLiteral,
  ForbiddenAddress,
  guardedLookup,
  urlProblem,
  type GuardSettings,
  type Resolve,
} from './guard.js';
import type { NoticeAnswer, NoticeRequest, Poster } from './ports.js';

export interface PosterSettings extends GuardSettings {
  /** For all of a request, from the lookup of the name to the answer's head. */
  readonly timeoutMs: number;
}

/** For tests: names, and addresses that are not public, without the internet. */
export interface PosterParts {
  readonly resolve?: Resolve;
  readonly isAllowed?: (address: string) => boolean;
}

/** So much of an answer is read, and no more: what listens there need not be what we think. */
const answerBytesMax = 4 * 1024;
const excerptMax = 200;

/**
 * Posts notices: to public addresses alone (`guard.ts`), following no redirect, reading little of the
 * answer. What the head of an answer says counts, whatever becomes of its body.
 */
export class HttpPoster implements Poster {
  readonly #agent: Agent;
  readonly #isAllowed: (address: string) => boolean;

  constructor(
    private readonly settings: PosterSettings,
    { resolve, isAllowed }: PosterParts = {},
  ) {
    this.#isAllowed = isAllowed ?? ((address) => settings.allowInternal || isPublic(address));
    const { timeoutMs } = settings;
    this.#agent = new Agent({
      connect: { lookup: guardedLookup(this.#isAllowed, resolve), timeout: timeoutMs },
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
      // A name is looked up, and looked at, again soon.
      keepAliveTimeout: 4_000,
      keepAliveMaxTimeout: 10_000,
      maxHeaderSize: 16 * 1024,
    });
  }

  async post({ url, headers, body }: NoticeRequest): Promise<NoticeAnswer> {
    const problem = urlProblem(url, this.settings);
    if (problem !== null) return { kind: 'unanswered', why: `not sent: ${problem}` };
    const signal = AbortSignal.timeout(this.settings.timeoutMs);
    try {
      checkLiteral(new URL(url), this.#isAllowed);
      const response = await request(url, {
        method: 'POST',
        headers: { 'user-agent': 'recoup-notices', 'content-type': 'application/json', ...headers },
        body,
        dispatcher: this.#agent,
        signal,
      });
      const { statusCode: status, headers: said } = response;
      const isSuccess = status >= 200 && status < 300;
      const text = await beginningOf(response.body);
      return {
        kind: 'answered',
        status,
        excerpt: isSuccess ? '' : words(text, excerptMax),
        retryAfterMs: retryAfterMs(said['retry-after']),
      };
    } catch (error) {
      return { kind: 'unanswered', why: reasonOf(error) };
    }
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }
}

/** Never rejects. A body that is longer, slower or broken ends with its connection. */
async function beginningOf(body: AsyncIterable<Buffer> & { destroy(): unknown }): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of body) {
      chunks.push(chunk.subarray(0, answerBytesMax - size));
      size += chunk.length;
      if (size >= answerBytesMax) break;
    }
  } catch {
    // The head has been read, and that is what counts.
  } finally {
    body.destroy();
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Seconds; a date is not worth reading. */
function retryAfterMs(header: string | string[] | undefined): number | null {
  return typeof header === 'string' && /^\d{1,6}$/.test(header) ? Number(header) * 1_000 : null;
}

function reasonOf(error: unknown): string {
  const forbidden = [error, (error as { cause?: unknown }).cause].find(
    (one) => one instanceof ForbiddenAddress,
  );
  if (forbidden instanceof ForbiddenAddress) return `not sent: ${forbidden.message}`;
  const { name, code, message } = error as Error & { code?: string };
  if (name === 'TimeoutError' || /TIMEOUT/.test(code ?? '')) {
    return 'no answer within the time-out';
  }
  return words(`no answer: ${code ?? message}`, excerptMax);
}
