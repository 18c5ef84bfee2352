import { readFile, writeFile } from 'node:fs/promises';
import { Option, type Command } from 'commander';
import { sandboxRoles, type SandboxRole } from '../sandbox/channel-spec.js';
import { realisticFaults } from '../sandbox/realistic-faults.js';
import { startSandbox } from '../sandbox/sandbox.js';
import { asNumber, asWhole, command, print, run, tell, type CommonOptions } from './command.js';
import { stopSignal } from './shutdown.js';

interface SandboxCommandOptions extends CommonOptions {
  readonly book: string;
  readonly role: SandboxRole;
  readonly port: number;
  readonly host: string;
  readonly seed: string;
  readonly faults?: string;
  readonly latencyScale: number;
  readonly callbackUrl?: string;
  readonly writeEnv?: string;
}

export function sandboxCommand(): Command {
  return command(
    'sandbox',
    'channels to practise on, with faults on demand and a book of their own',
  )
    .addOption(
      new Option('--role <what>', 'the channels, a card system or an account service')
        .choices(sandboxRoles)
        .default('channels'),
    )
    .option('--book <folder>', 'where the book and the keys are kept', '.recoup/sandbox')
    .option(
      '--port <port>',
      'of the side door; 0 for the one used last time',
      asWhole(0, 65_535),
      0,
    )
    .option('--host <host>', 'where to listen', '127.0.0.1')
    .option('--seed <text>', 'the same seed draws the same fates', '1')
    .option('--faults <file>', 'rules as JSON, or `realistic` for a bad day')
    .option(
      '--latency-scale <factor>',
      'multiplies how long banks think; 0: at once',
      asNumber(0, 1_000),
      1,
    )
    .option('--callback-url <url>', 'where unionlink calls back')
    .option('--write-env <file>', 'write the environment for recoup there, readable by you alone')
    .action(
      run<SandboxCommandOptions>(async (options) => {
        const { book, role, port, host, seed, latencyScale, callbackUrl } = options;
        const { close, ...ready } = await startSandbox({
          bookDir: book,
          role,
          port,
          host,
          seed,
          latencyScale,
          ...(await faultsFrom(options.faults)),
          ...(callbackUrl === undefined ? {} : { callbackUrls: { unionlink: callbackUrl } }),
        });
        if (options.writeEnv !== undefined) {
          await writeFile(options.writeEnv, `${exports(ready.env).join('\n')}\n`, { mode: 0o600 });
        }
        if (options.json === true) await print(JSON.stringify(ready));
        else {
          tell(`the sandbox is ready at ${ready.admin}; the book is in ${book}`);
          await print(exports(ready.env).join('\n'));
        }
        await stopSignal();
        await close();
        return { json: { stopped: true }, text: '' };
      }),
    );
}

/** Lines for `eval "$(…)"` or `source`. */
const exports = (env: Readonly<Record<string, string>>): string[] =>
  Object.entries(env).map(([name, value]) => `export ${name}='${value.replaceAll("'", `'\\''`)}'`);

async function faultsFrom(source: string | undefined): Promise<{ faults?: unknown }> {
  if (source === undefined) return {};
  if (source === 'realistic') return { faults: realisticFaults };
  return { faults: JSON.parse(await readFile(source, 'utf8')) as unknown };
}
