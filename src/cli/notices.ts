import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import { destinationView, noticeView, storyView } from '../http/wire-notices.js';
import { noticeTypes } from '../notices/destination.js';
import {
  deliveryStates,
  type DeliveryState,
  type NoticeRecord,
  type NoticeStory,
} from '../notices/records.js';
import { newSecret } from '../notices/signature.js';
import { ageOf } from './cases.js';
import { asWhole, command, group, run, type CommonOptions, type Result } from './command.js';
import { withServices } from './session.js';
import { table } from './table.js';

interface ListOptions extends CommonOptions {
  readonly type?: string;
  readonly task?: string;
  readonly state?: DeliveryState;
  readonly to?: string;
  readonly limit: number;
}

interface ToOptions extends CommonOptions {
  readonly to?: string;
}

interface AddOptions extends CommonOptions {
  readonly types?: string;
  readonly secretEnv: readonly string[];
}

interface SecretsOptions extends CommonOptions {
  readonly secretEnv: readonly string[];
}

export function noticesCommand(): Command {
  return group(
    'notices',
    'what business systems are told',
    command('list', 'notices, newest first')
      .option('--type <type>', 'only of this type')
      .option('--task <id>', 'only about this task')
      .option('--state <state>', deliveryStates.join(', '), asState)
      .option('--to <destination>', 'only for this destination')
      .option('--limit <n>', 'at most so many', asWhole(1, 1_000), 50)
      .action(run<ListOptions>(list)),
    command('show', 'a notice, what is sent, and every try')
      .argument('<id>', 'its webhook-id')
      .action(run<CommonOptions>((options, [id = '']) => show(options, id))),
    command('redeliver', 'send a notice again, under the same id')
      .argument('<id>', 'its webhook-id')
      .option('--to <destination>', 'only to this one')
      .action(run<ToOptions>((options, [id = '']) => redeliver(options, id))),
    command('secret', 'print a new secret, and keep it nowhere').action(
      run<CommonOptions>(async () => {
        const secret = newSecret();
        return { json: { secret }, text: secret };
      }),
    ),
    destinationsCommand(),
  );
}

function destinationsCommand(): Command {
  const secretEnv = [
    '--secret-env <name...>',
    'environment variables of the workers that hold its secrets; all of them sign',
  ] as const;
  return group(
    'destinations',
    'where notices go',
    command('list', 'destinations, and what waits there').action(run<CommonOptions>(destinations)),
    command('add', 'add one; it is told of what happens from five seconds on')
      .argument('<id>', 'a name such as crm')
      .argument('<url>', 'https, and a public address')
      .option('--types <types>', `by commas, of ${noticeTypes.join(', ')}; all unless given`)
      .requiredOption(...secretEnv)
      .action(run<AddOptions>((options, [id = '', url = '']) => add(options, id, url))),
    command('pause', 'send nothing there for now; notices wait')
      .argument('<id>')
      .action(run<CommonOptions>((options, [id = '']) => change(options, id, 'pause'))),
    command('resume', 'send there again')
      .argument('<id>')
      .action(run<CommonOptions>((options, [id = '']) => change(options, id, 'resume'))),
    command('secrets', 'say what its notices are signed with; name both to replace one')
      .argument('<id>')
      .requiredOption(...secretEnv)
      .action(run<SecretsOptions>((options, [id = '']) => secrets(options, id))),
    command('remove', 'remove one; what waits for it is dropped')
      .argument('<id>')
      .action(run<CommonOptions>((options, [id = '']) => remove(options, id))),
  );
}

async function list(options: ListOptions): Promise<Result> {
  return await withServices(options, async ({ notices, clock }) => {
    const { type, task: taskId, state, to: destinationId, limit } = options;
    const found = await notices.desk.list({ type, taskId, state, destinationId, limit });
    const rows = found.map((one) => [
      one.id,
      one.type,
      one.taskId ?? '',
      ageOf(clock.nowMs() - one.createdAt.getTime()),
      statesOf(one),
    ]);
    return {
      json: { notices: found.map(noticeView) },
      text: found.length === 0 ? 'none' : table(['id', 'type', 'task', 'age', ''], rows),
    };
  });
}

function statesOf({ deliveries }: NoticeRecord): string {
  const some = deliveryStates.filter((state) => deliveries[state] > 0);
  return some.map((state) => `${deliveries[state]} ${state}`).join(', ') || 'not fanned out';
}

async function show(options: CommonOptions, id: string): Promise<Result> {
  return await withServices(options, async ({ notices }) => {
    const story = await notices.desk.show(id);
    return { json: storyView(story), text: told(story) };
  });
}

async function redeliver(options: ToOptions, id: string): Promise<Result> {
  return await withServices(options, async ({ notices }) => {
    const story = await notices.desk.redeliver(id, options.to ?? null, 'cli');
    return { json: storyView(story), text: `due at once\n${told(story)}` };
  });
}

function told({ notice, body, deliveries, tries }: NoticeStory): string {
  const to = deliveries.map((one) => [
    one.destinationId,
    one.state,
    one.nextAt === null ? '' : `next ${one.nextAt.toISOString()}`,
    one.lastError ?? '',
  ]);
  const log = tries.map((one) => [
    one.at.toISOString(),
    one.destinationId,
    one.httpStatus === null ? 'no answer' : String(one.httpStatus),
    `${one.durationMs} ms`,
    one.error ?? '',
  ]);
  return [
    `${notice.id}  ${notice.type}  ${notice.createdAt.toISOString()}`,
    body,
    ...(to.length === 0 ? ['not fanned out'] : [table(['to', 'state', '', ''], to)]),
    ...(log.length === 0 ? [] : [table(['tried', 'to', 'answer', 'took', ''], log)]),
  ].join('\n\n');
}

async function destinations(options: CommonOptions): Promise<Result> {
  return await withServices(options, async ({ notices, clock }) => {
    const found = await notices.desk.destinations();
    const rows = found.map((one) => [
      one.id,
      one.url,
      one.paused === null ? 'open' : `paused: ${one.paused.why}`,
      one.types === '*' ? 'all' : one.types.join(' '),
      one.secretEnvs.join(' '),
      String(one.waiting),
      String(one.exhausted),
      one.overdueSince === null ? '' : ageOf(clock.nowMs() - one.overdueSince.getTime()),
    ]);
    const head = ['id', 'url', 'state', 'types', 'secrets', 'waiting', 'given up', 'overdue'];
    return {
      json: { destinations: found.map(destinationView) },
      text: found.length === 0 ? 'none' : table(head, rows),
    };
  });
}

async function add(options: AddOptions, id: string, url: string): Promise<Result> {
  return await withServices(options, async ({ notices }) => {
    const types = options.types === undefined ? '*' : options.types.split(',');
    const secretEnvs = options.secretEnv;
    const added = await notices.desk.add({ id, url, types, secretEnvs }, 'cli');
    const text = `${id} is told of what happens from five seconds on, by workers that have ${secretEnvs.join(', ')}`;
    return { json: destinationView(added), text };
  });
}

async function change(
  options: CommonOptions,
  id: string,
  kind: 'pause' | 'resume',
): Promise<Result> {
  return await withServices(options, async ({ notices }) => {
    const changed = await notices.desk.change(id, { kind }, 'cli');
    const text = kind === 'pause' ? `${id} is paused: its notices wait` : `${id} is open again`;
    return { json: destinationView(changed), text };
  });
}

async function secrets(options: SecretsOptions, id: string): Promise<Result> {
  return await withServices(options, async ({ notices }) => {
    const { secretEnv: secretEnvs } = options;
    const changed = await notices.desk.change(id, { kind: 'secrets', secretEnvs }, 'cli');
    return { json: destinationView(changed), text: `signed with ${secretEnvs.join(' and ')}` };
  });
}

async function remove(options: CommonOptions, id: string): Promise<Result> {
  return await withServices(options, async ({ notices }) => {
    await notices.desk.remove(id, 'cli');
    return { json: { id, removed: true }, text: `${id} is removed; what waited for it is dropped` };
  });
}

function asState(text: string): DeliveryState {
  const state = deliveryStates.find((one) => one === text);
  if (state === undefined) throw new InvalidArgumentError(`One of ${deliveryStates.join(', ')}.`);
  return state;
}
