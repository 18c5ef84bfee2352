import { createHash, randomBytes } from 'node:crypto';
import { InvalidArgumentError, type Command } from 'commander';
import { v7 as uuidV7 } from 'uuid';
import type { Role } from '../store/access.js';
import { command, group, run, type CommonOptions } from './command.js';
import { exitCodes } from './exit-codes.js';
import { CliError } from './failure.js';
import { withServices } from './session.js';
import { table } from './table.js';

interface CreateOptions extends CommonOptions {
  readonly role: Role;
  readonly name: string;
}

const roles = ['app', 'batch', 'agent', 'operator'] as const satisfies readonly Role[];

export function keysCommand(): Command {
  return group(
    'keys',
    'keys to the HTTP API, one role each',
    command('create', 'make a key; it is shown once and kept nowhere')
      .requiredOption('--role <role>', roles.join(', '), asRole)
      .requiredOption('--name <name>', 'whose it is; an agent’s key names the agent', asName)
      .action(run<CreateOptions>(create)),
    command('list', 'all keys, without the keys').action(run<CommonOptions>(list)),
    command('revoke', 'a revoked key works five seconds more, at most')
      .argument('<id>')
      .action(run<CommonOptions>((options, [id = '']) => revoke(options, id))),
  );
}

async function create(options: CreateOptions) {
  const { role, name } = options;
  return await withServices(options, async ({ access, clock }) => {
    const key = `rk_${randomBytes(32).toString('base64url')}`;
    const id = uuidV7();
    const digest = createHash('sha256').update(key).digest('hex');
    await access.addKey({ id, name, role }, digest, clock.nowMs());
    const at = { actor: 'cli', action: 'key_create', subject: id, detail: `${role} ${name}` };
    await access.audit(at, clock.nowMs());
    return { json: { id, role, name, key }, text: `${key}\n\nThis is the only time it is shown.` };
  });
}

async function list(options: CommonOptions) {
  return await withServices(options, async ({ access }) => {
    const keys = await access.listKeys();
    const rows = keys.map(({ id, role, name, createdAt, revokedAt }) => [
      id,
      role,
      name,
      createdAt.toISOString().slice(0, 19),
      revokedAt === null ? '' : `revoked ${revokedAt.toISOString().slice(0, 19)}`,
    ]);
    const text = keys.length === 0 ? 'none' : table(['id', 'role', 'name', 'made (UTC)', ''], rows);
    return { json: { keys }, text };
  });
}

async function revoke(options: CommonOptions, id: string) {
  return await withServices(options, async ({ access, clock }) => {
    if (!(await access.revokeKey(id, clock.nowMs()))) {
      const title = 'There is no such key, or it was revoked before.';
      throw new CliError('key_unknown', title, 'See `recoup keys list`.', exitCodes.refused);
    }
    const at = { actor: 'cli', action: 'key_revoke', subject: id, detail: '' };
    await access.audit(at, clock.nowMs());
    return { json: { id, revoked: true }, text: 'revoked' };
  });
}

function asRole(text: string): Role {
  const role = roles.find((one) => one === text);
  if (role === undefined) throw new InvalidArgumentError(`One of ${roles.join(', ')}.`);
  return role;
}

function asName(text: string): string {
  const name = text.trim();
  if (name.length < 1 || name.length > 100) throw new InvalidArgumentError('1 to 100 characters.');
  return name;
}
