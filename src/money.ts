/**
 * Money is a whole number of minor units (fen for CNY) in a bigint. It never passes through a float.
 * On the wire (JSON API) it is an integer number; in entries it is a decimal string.
 */
/** A non-negative amount in minor units. */
export type AmountMinor = bigint & { readonly __brand: 'AmountMinor' };

export type Currency = 'CNY';

export const currencies = ['CNY'] as const satisfies readonly Currency[];

/** @throws RangeError when the value is negative or not a whole number. */
export function amountMinor(value: bigint | number | string): AmountMinor {
  const minor = BigInt(value);
  if (minor < 0n) throw new RangeError(`an amount is never negative: ${minor}`);
  return minor as AmountMinor;
}

/** "1280.50" -> 128050n. Null when the text is not a plain decimal with at most two places. */
export function parseDecimalAmount(text: string): AmountMinor | null {
  const match = /^(\d{1,13})(?:\.(\d{1,2}))?$/.exec(text);
  if (match === null) return null;
  const [, whole = '', fraction = ''] = match;
  return (BigInt(whole) * 100n + BigInt(fraction.padEnd(2, '0'))) as AmountMinor;
}

/** 128050n -> "1280.50". */
export function formatDecimalAmount(amount: bigint): string {
  const sign = amount < 0n ? '-' : '';
  const digits = (amount < 0n ? -amount : amount).toString().padStart(3, '0');
  return `${sign}${digits.slice(0, -2)}.${digits.slice(-2)}`;
}
