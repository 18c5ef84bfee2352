import { userInfo } from 'node:os';
import type { Command } from 'commander';
import { memberDetailView, memberView } from '../http/withdrawal-wire.js';
import { embed, type MemberStory } from '../index.js';
import { formatDecimalAmount, type AmountMinor } from '../money.js';
import { asAmount, command, group, run, type CommonOptions } from './command.js';
import { withServices } from './session.js';
import { table } from './table.js';

interface DepositOptions extends CommonOptions {
  readonly amount: AmountMinor;
  readonly id: string;
  readonly by: string;
}

export function membersCommand(): Command {
  return group(
    'members',
    'balances that withdrawals are taken from',
    openCommand(),
    depositCommand(),
    showCommand(),
  );
}

function openCommand(): Command {
  return command('open', 'open an account; one that is there is left as it is')
    .argument('<member>')
    .action(
      run<CommonOptions>((options, [id = '']) =>
        withServices(options, async (services) => {
          const member = await embed(services, 'cli').members.open(id);
          const balance = formatDecimalAmount(member.balanceMinor);
          return { json: { member: memberView(member) }, text: `${id}: ${balance}` };
        }),
      ),
    );
}

function depositCommand(): Command {
  return command('deposit', 'add to a balance what was paid in elsewhere')
    .argument('<member>')
    .requiredOption('--amount <yuan>', 'such as 500.00', asAmount)
    .requiredOption('--id <id>', "the deposit's own id; again: the same deposit, and nothing moves")
    .option('--by <name>', 'who says so; kept for the audit', userInfo().username)
    .action(
      run<DepositOptions>((options, [id = '']) =>
        withServices(options, async (services) => {
          const { amount, id: depositId, by } = options;
          const detail = JSON.stringify({ deposit_id: depositId, amount_minor: Number(amount) });
          await services.access.audit(
            { actor: by, action: 'deposit', subject: id, detail },
            services.clock.nowMs(),
          );
          const { members } = embed(services, 'cli');
          const member = await members.deposit(id, { depositId, amountMinor: amount });
          const balance = formatDecimalAmount(member.balanceMinor);
          return { json: { member: memberView(member) }, text: `${id}: ${balance}` };
        }),
      ),
    );
}

function showCommand(): Command {
  return command('show', 'a balance, and the money log that explains it')
    .argument('<member>')
    .action(
      run<CommonOptions>((options, [id = '']) =>
        withServices(options, async (services) => {
          const story = await embed(services, 'cli').members.show(id);
          const { member, entries } = story;
          return { json: { member: memberDetailView(member, entries) }, text: textOf(story) };
        }),
      ),
    );
}

function textOf({ member, entries }: MemberStory): string {
  const rows = entries.map((one) => [
    one.at.toISOString().slice(0, 19),
    one.kind,
    formatDecimalAmount(one.amountMinor),
    one.causeId,
  ]);
  return [
    `${member.id}: ${formatDecimalAmount(member.balanceMinor)} ${member.currency}`,
    '',
    table(['at (UTC)', '', 'amount', 'because of'], rows),
  ].join('\n');
}
