import { InvalidArgumentError, type Command } from 'commander';
import { routeView } from '../http/views.js';
import { taskId } from '../ids.js';
import { currencies, type AmountMinor, type Currency } from '../money.js';
import { asAmount, command, group, run, type CommonOptions } from './command.js';
import { exitCodes } from './exit-codes.js';
import { withServices } from './session.js';
import { table } from './table.js';

interface PreviewOptions extends CommonOptions {
  readonly bank: string;
  readonly amount: AmountMinor;
  readonly currency: Currency;
  readonly payout?: boolean;
  readonly refundable?: boolean;
}

/** Whether a deduction probes is drawn from its id; this one does not. */
const previewTask = taskId('00000000-0000-7000-8000-000000000000');

export function routesCommand(): Command {
  return group(
    'routes',
    'where deductions and payouts would go',
    command('preview', 'the plan a deduction would get now, with every reason; changes nothing')
      .requiredOption('--bank <code>', 'such as ICBC', asBank)
      .requiredOption('--amount <yuan>', 'such as 1280.50', asAmount)
      .option('--payout', 'of a payout instead')
      .option('--refundable', 'only channels that can give it back')
      .option('--currency <code>', 'the currency', asCurrency, 'CNY')
      .action(
        run<PreviewOptions>((options) =>
          withServices(options, async ({ router }) => {
            const { bank: bankCode, amount: amountMinor, currency } = options;
            const asked = { taskId: previewTask, bankCode, amountMinor, currency, exclude: [] };
            const route = await router.preview({
              ...asked,
              ...(options.payout === true && { operation: 'payout' }),
              ...(options.refundable === true && { refundable: true }),
            });
            const rows = [
              ...route.places.map((one, index) => [String(index + 1), one.channelId, one.reason]),
              ...route.rejected.map((one) => ['–', one.channelId, one.reason]),
            ];
            return {
              json: routeView(route),
              text: rows.length === 0 ? 'no channels' : table(['', 'channel', 'because'], rows),
              exitCode: route.places.length > 0 ? exitCodes.done : exitCodes.unavailable,
            };
          }),
        ),
      ),
  );
}

function asBank(text: string): string {
  if (!/^[A-Z]{2,12}$/.test(text)) throw new InvalidArgumentError('2 to 12 capital letters.');
  return text;
}

function asCurrency(text: string): Currency {
  const currency = currencies.find((one) => one === text);
  if (currency === undefined) throw new InvalidArgumentError(`One of ${currencies.join(', ')}.`);
  return currency;
}
