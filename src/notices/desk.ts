import type { Clock } from '../clock.js';
import { RecoupError } from '../errors.js';
import {
  isDestinationId,
  isSecretEnv,
  noticeTypes,
  secretEnvsMax,
  type Destination,
} from './destination.js';
import { urlProblem, type GuardSettings } from './guard.js';
import type { DestinationRecord, NoticeFilter, NoticeRecord, NoticeStory } from './records.js';

export type NewDestination = Pick<Destination, 'id' | 'url' | 'types' | 'secretEnvs'>;
export type DestinationChange =
  | { readonly kind: 'pause' }
  | { readonly kind: 'resume' }
  | { readonly kind: 'remove' }
  | { readonly kind: 'secrets'; readonly secretEnvs: readonly string[] };

/** Notices and destinations as the tables hold them. Each write is audited in its own transaction. */
export interface NoticeBook {
  /** Newest first. */
  list(filter: NoticeFilter): Promise<readonly NoticeRecord[]>;
  find(messageId: string): Promise<NoticeStory | null>;
  destinations(nowMs: number): Promise<readonly DestinationRecord[]>;
  /** False when the id is taken, were it by one that was removed. */
  add(destination: NewDestination, by: string, nowMs: number): Promise<boolean>;
  /** False when there is no such destination (any more). */
  change(id: string, change: DestinationChange, by: string, nowMs: number): Promise<boolean>;
  /**
   * Sends again what was delivered, given up or dropped, and at once what waits. Returns how many
   * deliveries of the notice, or of the destination's that were given up, are due now.
   */
  redeliver(
    what:
      | { readonly messageId: string; readonly destinationId: string | null }
      | { readonly exhaustedOf: string },
    by: string,
    nowMs: number,
  ): Promise<number>;
  /** The destination's deliveries that were given up stay so; they no longer wait for anybody. */
  drop(destinationId: string): Promise<void>;
  /** The open case about a destination, for whoever decides about it; null when it is closed. */
  outage(no: number): Promise<{
    readonly destinationId: string;
    readonly kind: 'notices_exhausted' | 'destination_gone';
  } | null>;
  /** False when it was closed before. */
  closeOutage(no: number, resolution: string, nowMs: number): Promise<boolean>;
}

interface Problem {
  readonly in: 'body';
  readonly field: string;
  readonly message: string;
}

/** What people do about notices. */
export class NoticeDesk {
  constructor(
    private readonly book: NoticeBook,
    private readonly clock: Clock,
    private readonly guard: GuardSettings,
  ) {}

  async list(filter: NoticeFilter): Promise<readonly NoticeRecord[]> {
    return await this.book.list(filter);
  }

  /** @throws RecoupError `notice_unknown` */
  async show(id: string): Promise<NoticeStory> {
    const story = isMessageId(id) ? await this.book.find(id) : null;
    if (story === null) throw new RecoupError('notice_unknown', { id: id.slice(0, 40) });
    return story;
  }

  /**
   * Under the same `webhook-id`, with a schedule that starts anew.
   *
   * @param destinationId null: every destination that the notice is for.
   * @throws RecoupError `notice_unknown`, `destination_unknown`: the notice is for no such destination.
   */
  async redeliver(id: string, destinationId: string | null, by: string): Promise<NoticeStory> {
    await this.show(id);
    const what = { messageId: id, destinationId };
    if ((await this.book.redeliver(what, by, this.clock.nowMs())) === 0) {
      throw new RecoupError('destination_unknown', { destination_id: destinationId?.slice(0, 40) });
    }
    return await this.show(id);
  }

  async destinations(): Promise<readonly DestinationRecord[]> {
    return await this.book.destinations(this.clock.nowMs());
  }

  /** @throws RecoupError `invalid_request`, `destination_exists` */
  async add(destination: NewDestination, by: string): Promise<DestinationRecord> {
    refuse(this.#problemsOf(destination));
    if (!(await this.book.add(destination, by, this.clock.nowMs()))) {
      throw new RecoupError('destination_exists', { destination_id: destination.id });
    }
    return await this.#destination(destination.id);
  }

  /** @throws RecoupError `destination_unknown`, `invalid_request` */
  async change(
    id: string,
    change: Exclude<DestinationChange, { kind: 'remove' }>,
    by: string,
  ): Promise<DestinationRecord> {
    if (change.kind === 'secrets') refuse(secretProblems(change.secretEnvs));
    await this.#change(id, change, by);
    return await this.#destination(id);
  }

  /**
   * What waits for it is dropped. Its id stays taken.
   *
   * @throws RecoupError `destination_unknown`
   */
  async remove(id: string, by: string): Promise<void> {
    await this.#change(id, { kind: 'remove' }, by);
  }

  async #change(id: string, change: DestinationChange, by: string): Promise<void> {
    if (!isDestinationId(id) || !(await this.book.change(id, change, by, this.clock.nowMs()))) {
      throw new RecoupError('destination_unknown', { destination_id: id.slice(0, 40) });
    }
  }

  async #destination(id: string): Promise<DestinationRecord> {
    const found = (await this.destinations()).find((one) => one.id === id);
    if (found === undefined) throw new RecoupError('destination_unknown', { destination_id: id });
    return found;
  }

  #problemsOf({ id, url, types, secretEnvs }: NewDestination): Problem[] {
    const problems: Problem[] = [];
    const add = (field: string, message: string): void =>
      void problems.push({ in: 'body', field, message });
    if (!isDestinationId(id)) add('id', 'a small letter, then up to 31 letters, digits and _');
    const wrong = urlProblem(url, this.guard);
    if (wrong !== null) add('url', wrong);
    if (types !== '*') {
      if (types.length === 0) add('types', 'at least one type, or * for all');
      const odd = types.some((type) => !noticeTypes.includes(type));
      if (odd) add('types', `each is one of ${noticeTypes.join(', ')}`);
    }
    return [...problems, ...secretProblems(secretEnvs)];
  }
}

const isMessageId = (text: string): boolean => /^msg_[0-9a-f]{32}$/.test(text);

function secretProblems(names: readonly string[]): Problem[] {
  const isRight =
    names.length >= 1 &&
    names.length <= secretEnvsMax &&
    names.every(isSecretEnv) &&
    new Set(names).size === names.length;
  if (isRight) return [];
  const message = `1 to ${secretEnvsMax} different names of environment variables, each RECOUP_NOTICE_SECRET_ and more`;
  return [{ in: 'body', field: 'secret_envs', message }];
}

function refuse(problems: readonly Problem[]): void {
  if (problems.length > 0) throw new RecoupError('invalid_request', { problems });
}
