import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { loadProfiles, parseProfile } from '../channels/load-profiles.js';
import type { Services } from '../composition/root.js';
import { RecoupError } from '../errors.js';
import { isChannelId } from '../ids.js';
import { command, group, run, type CommonOptions, type Result } from './command.js';
import { withServices } from './session.js';
import { table } from './table.js';

export function channelsCommand(): Command {
  const channels = group('channels', 'the payment channels that deductions are routed to');
  channels.addCommand(
    command('import', 'add or replace the channels of a YAML or JSON file')
      .argument('<file>')
      .action(run<CommonOptions>((options, [file = '']) => importFile(options, file))),
  );
  channels.addCommand(
    command('list', 'what is configured, and whether it can be opened').action(
      run<CommonOptions>((options) => withServices(options, list)),
    ),
  );
  for (const [name, paused] of [
    ['pause', true],
    ['resume', false],
  ] as const) {
    channels.addCommand(
      command(name, paused ? 'place no new order there' : 'place orders there again')
        .argument('<id>')
        .action(run<CommonOptions>((options, [id = '']) => setPaused(options, id, paused))),
    );
  }
  return channels;
}

async function importFile(options: CommonOptions, file: string): Promise<Result> {
  const loaded = loadProfiles(await readFile(file, 'utf8'));
  return await withServices(options, async ({ channelStore, clock }) => {
    await channelStore.save(
      loaded.map(({ profile, document }) => ({
        channelId: profile.id,
        profileJson: JSON.stringify(document),
      })),
      clock.nowMs(),
    );
    const imported = loaded.map(({ profile }) => profile.id);
    return { json: { imported }, text: `imported ${imported.join(', ')}` };
  });
}

async function list({ channelStore, directory }: Services): Promise<Result> {
  const channels = (await channelStore.all()).map(({ channelId, profileJson, paused }) => {
    const profile = parseProfile(JSON.parse(profileJson));
    return {
      id: channelId,
      name: profile.name,
      mode: profile.mode,
      tier: profile.tier,
      paused: paused || profile.paused,
      banks: Object.keys(profile.banks),
      operations: [...profile.operations, ...(profile.can_refund ? ['refund'] : [])],
      // A channel whose secrets are missing here is left out by the directory.
      open: directory.get(channelId) !== undefined,
    };
  });
  const rows = channels.map((one) => [
    one.id,
    one.name,
    one.mode,
    String(one.tier),
    one.paused ? 'paused' : one.open ? 'open' : 'not open: see `recoup doctor`',
    one.operations.join(' '),
    one.banks.join(' '),
  ]);
  const text = table(['id', 'name', 'mode', 'tier', 'state', 'does', 'banks'], rows);
  return { json: { channels }, text };
}

async function setPaused(options: CommonOptions, id: string, paused: boolean): Promise<Result> {
  return await withServices(options, async ({ channelStore, access, clock }) => {
    if (!isChannelId(id) || !(await channelStore.setPaused(id, paused, clock.nowMs()))) {
      throw new RecoupError('channel_unknown', { channel_id: id });
    }
    const action = paused ? 'channel_pause' : 'channel_resume';
    await access.audit({ actor: 'cli', action, subject: id, detail: '' }, clock.nowMs());
    const row = (await channelStore.all()).find(({ channelId }) => channelId === id);
    const byProfile = row !== undefined && parseProfile(JSON.parse(row.profileJson)).paused;
    const text = pausedText(id, paused, byProfile);
    return { json: { id, paused: paused || byProfile }, text };
  });
}

function pausedText(id: string, paused: boolean, byProfile: boolean): string {
  if (paused) {
    return `${id} is paused: no new order is placed there; orders under way are still asked about`;
  }
  if (!byProfile) return `${id} is open again`;
  return `${id} stays paused: its profile says so (import it without \`paused: true\`)`;
}
