import type { Log } from '../log.js';
import { openSecrets, wantsType, type Destination } from './destination.js';

/** Where destinations are kept. `store/` provides it. */
export interface DestinationSource {
  /** Those that were not removed. */
  all(): Promise<readonly Destination[]>;
}

export interface OpenDestination extends Destination {
  readonly keys: readonly Buffer[];
}

type Wants = (type: string) => boolean;

/** What was added, paused or removed elsewhere takes effect within this. */
const refreshMs = 5_000;

/**
 * The destinations as this process knows them. Read at the first use and every few seconds from then
 * on: what is not known yet is taken for wanted, since a notice too many costs a row, and one too few
 * is never told.
 */
export class DestinationDirectory {
  #known: readonly Destination[] | null = null;
  #first: Promise<Wants> | null = null;
  #timer: NodeJS.Timeout | undefined;
  readonly #complained = new Set<string>();

  constructor(
    private readonly source: DestinationSource,
    private readonly env: Readonly<Record<string, string | undefined>>,
    private readonly log: Log,
  ) {}

  /** For the journal: at once, but for the first time. */
  interest(): Wants | Promise<Wants> {
    if (this.#known !== null) return this.wants;
    this.#first ??= this.#begin();
    return this.#first;
  }

  readonly wants: Wants = (type) =>
    this.#known === null || this.#known.some((one) => wantsType(one, type));

  async #begin(): Promise<Wants> {
    this.#timer ??= setInterval(() => void this.#tryRefresh(), refreshMs).unref();
    await this.#tryRefresh();
    return this.wants;
  }

  async #tryRefresh(): Promise<void> {
    try {
      await this.refresh();
    } catch (error) {
      this.log.warn('notice destinations not read again', { why: String(error) });
    }
  }

  async refresh(): Promise<void> {
    this.#known = await this.source.all();
  }

  /** There is none, paused or not. */
  get isEmpty(): boolean {
    return this.#known?.length === 0;
  }

  /** Those that can be sent to now. One whose secret this process lacks is left to others. */
  open(): readonly OpenDestination[] {
    return (this.#known ?? []).flatMap((one) => {
      if (one.paused !== null) return [];
      const secrets = openSecrets(one.secretEnvs, this.env);
      if (secrets.kind === 'open') return [{ ...one, keys: secrets.keys }];
      if (!this.#complained.has(one.id + secrets.problem)) {
        this.#complained.add(one.id + secrets.problem);
        const about = { destination_id: one.id, why: secrets.problem };
        this.log.error('notice destination not opened', about);
      }
      return [];
    });
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
