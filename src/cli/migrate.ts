import type { Command } from 'commander';
import { loadConfig } from '../config.js';
import { migrate } from '../store/migrate.js';
import { command, run, type CommonOptions } from './command.js';
import { assertListening, logFor } from './session.js';

export function migrateCommand(): Command {
  return command('migrate', 'bring the database schema up to date').action(
    run<CommonOptions>(async (options) => {
      const config = loadConfig(process.env);
      await assertListening(config.migrationUrl, 3306, 'database');
      const applied = await migrate(
        config.migrationUrl,
        config.databaseUrl,
        logFor(config, options),
      );
      const text = applied.length === 0 ? 'up to date' : `applied ${applied.join(', ')}`;
      return { json: { applied }, text };
    }),
  );
}
