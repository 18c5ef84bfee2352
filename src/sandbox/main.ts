import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { sandboxRoles } from './channel-spec.js';
import { realisticFaults } from './realistic-faults.js';
import { startSandbox } from './sandbox.js';

/**
 * The sandbox as a process: `node dist/src/sandbox/main.js --book DIR [--role cards] [--port 0] [--seed N]
 * [--faults FILE|realistic] …`. Prints one JSON line when it is ready.
 */
const { values } = parseArgs({
  options: {
    book: { type: 'string' },
    role: { type: 'string', default: 'channels' },
    port: { type: 'string', default: '0' },
    host: { type: 'string', default: '127.0.0.1' },
    seed: { type: 'string', default: '1' },
    faults: { type: 'string' },
    'latency-scale': { type: 'string', default: '1' },
    'rsa-bits': { type: 'string', default: '1024' },
    'callback-url': { type: 'string' },
    'exit-with-parent': { type: 'boolean', default: false },
  },
});

async function main(): Promise<void> {
  if (values.book === undefined) throw new Error('--book DIR is required');
  const role = sandboxRoles.find((one) => one === values.role);
  if (role === undefined) throw new Error(`--role is one of ${sandboxRoles.join(', ')}`);
  const sandbox = await startSandbox({
    bookDir: values.book,
    role,
    port: Number(values.port),
    host: values.host,
    seed: values.seed,
    latencyScale: Number(values['latency-scale']),
    rsaBits: Number(values['rsa-bits']),
    ...(values.faults === undefined ? {} : { faults: faultsFrom(values.faults) }),
    ...(values['callback-url'] === undefined
      ? {}
      : { callbackUrls: { unionlink: values['callback-url'] } }),
  });
  const { close, ...ready } = sandbox;
  let closing = false;
  const stop = (): void => {
    if (closing) return;
    closing = true;
    close().then(
      () => process.exit(0),
      () => process.exit(1),
    );
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  if (values['exit-with-parent']) process.stdin.on('end', stop).on('error', stop).resume();
  process.stdout.write(`${JSON.stringify(ready)}\n`);
}

function faultsFrom(source: string): unknown {
  return source === 'realistic' ? realisticFaults : JSON.parse(readFileSync(source, 'utf8'));
}

main().catch((error: unknown) => {
  process.stderr.write(`recoup sandbox: ${String(error)}\n`);
  process.exit(1);
});
