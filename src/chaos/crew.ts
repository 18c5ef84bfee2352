/**
 * The workers under fire, each of which serves the API, too: a place each, a proxy to the database each,
 * and somebody new after a death.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Daemon, type Environment } from '../demo/processes.js';
import { BreakingProxy } from './breaking-proxy.js';

export interface Place {
  readonly name: string;
  readonly env: Environment;
  readonly proxy: BreakingProxy;
  worker: Daemon | null;
  instanceId: string;
  /** Where its API listens. */
  url: string;
  /** `running` alone may be hit. */
  state: 'starting' | 'running' | 'stopped';
  /** Set while a kill of ours is under way: an end is then no surprise. */
  killed: boolean;
}

/** The last has a pool of one connection. */
const pools = ['10', '10', '10', '1'];

export class Crew {
  readonly places: Place[] = [];
  /** Workers that ended though nobody killed them, with their last words. */
  readonly surprises: string[] = [];
  /** Starts that failed, as when the database was down; each was tried again. */
  failedStarts = 0;
  #starts = 0;
  #ending = false;

  constructor(
    private readonly folder: string,
    private readonly say: (what: string) => void,
  ) {}

  /** Of the first place: channels call back to it alone, and to nobody while it is dead. */
  calledBackAt: (url: string) => Promise<void> = async () => undefined;

  async assemble(env: Environment, databaseUrl: string, databasePort: number): Promise<void> {
    for (const pool of pools) {
      const proxy = new BreakingProxy(databasePort);
      const url = new URL(databaseUrl);
      url.port = String(await proxy.listen());
      this.places.push({
        name: `worker-${this.places.length + 1}`,
        env: {
          ...env,
          RECOUP_HTTP_PORT: '0',
          RECOUP_DATABASE_URL: url.href,
          RECOUP_DATABASE_POOL: pool,
        },
        proxy,
        worker: null,
        instanceId: '',
        url: '',
        state: 'starting',
        killed: false,
      });
    }
    await Promise.all(this.places.map((place) => this.fill(place)));
  }

  /** Tries until a worker stands there: what a supervisor would do. */
  async fill(place: Place): Promise<void> {
    place.state = 'starting';
    while (!this.#ending) {
      this.#starts += 1;
      const name = `${place.name}-${this.#starts}`;
      const worker = Daemon.start(name, ['serve', '--worker'], place.env, this.folder);
      place.worker = worker;
      try {
        const ready = await worker.ready<{ instance_id: string; url: string }>();
        place.instanceId = ready.instance_id;
        place.url = ready.url;
        if (place === this.places[0]) await this.calledBackAt(ready.url);
        place.killed = false;
        place.state = 'running';
        return;
      } catch {
        this.failedStarts += 1;
        worker.signal('SIGKILL');
        await delay(250);
      }
    }
  }

  /** Replaces those that ended by themselves. Called often. */
  lookAround(): void {
    for (const place of this.places) {
      const { worker, state, killed } = place;
      if (this.#ending || state === 'starting' || killed || worker?.ended !== true) continue;
      this.say(`${place.instanceId} ended by itself:\n${worker.lastWords()}`);
      this.surprises.push(`${place.instanceId}: ${worker.lastWords()}`);
      void this.fill(place);
    }
  }

  get running(): readonly Place[] {
    return this.places.filter(({ state }) => state === 'running');
  }

  /** Those that stand still are called, too: they have not hung up. */
  get urls(): readonly string[] {
    return this.places
      .filter(({ state, worker }) => state !== 'starting' && worker?.ended === false)
      .map(({ url }) => url);
  }

  get complete(): boolean {
    return this.running.length === this.places.length;
  }

  async disband(graceMs: number): Promise<void> {
    this.#ending = true;
    await Promise.all(this.places.map(async ({ worker }) => await worker?.stop(graceMs)));
    for (const { proxy } of this.places) proxy.close();
  }
}
