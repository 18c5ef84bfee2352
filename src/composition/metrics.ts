/** The metrics, wired: what is counted here, what is read elsewhere, and the port that shows it. */
import type { ChannelDirectory } from '../channels/directory.js';
import type { Clock } from '../clock.js';
import type { WorkQueues } from './queues.js';
import type { RoutingHealth } from './routing.js';
import type { Config } from '../config.js';
import type { Log } from '../log.js';
import { Exposition } from '../metrics/exposition.js';
import type { Meters } from '../metrics/meters.js';
import type { ChannelStanding } from '../metrics/ports.js';
import { MetricsServer } from '../metrics/server.js';
import { openDatabase } from '../store/database.js';
import { MetricsBook } from '../store/metrics-book.js';

export interface MetricsSurroundings {
  readonly config: Config;
  readonly log: Log;
  readonly clock: Clock;
  readonly directory: ChannelDirectory;
  readonly health: RoutingHealth;
  readonly queues: WorkQueues;
}

export interface MetricsServices {
  /**
   * Starts to answer scrapes; returns the address.
   *
   * @throws what Node throws when the port cannot be had.
   */
  readonly listen: () => Promise<string>;
  readonly close: () => Promise<void>;
}

const statementSeconds = 2;

export function openMetrics(around: MetricsSurroundings, meters: Meters): MetricsServices {
  const { config, log, clock, directory, health, queues } = around;
  const database = openDatabase(config.databaseUrl, 1, log, { statementSeconds });
  const channels = (): readonly ChannelStanding[] => {
    const [charges, payouts] = [health.charges, health.payouts].map((one) =>
      one.breakerView(clock.nowMs()),
    );
    return directory.profiles().map(({ id, paused }) => {
      const broken = { charge: charges?.has(id) === true, payout: payouts?.has(id) === true };
      return { channelId: id, paused, broken };
    });
  };
  const book = new MetricsBook(database);
  let server: MetricsServer | null = null;
  return {
    listen: async () => {
      // Only now: a command that answers and ends with the same environment measures nothing.
      const sources = { meters, book, queues: queues.look, channels, clock, log };
      server = new MetricsServer(new Exposition(sources), log);
      return await server.listen(config.metricsHost, config.metricsPort ?? 0);
    },
    close: async () => {
      await server?.close();
      await database.destroy();
    },
  };
}
