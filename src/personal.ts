import { hash } from 'node:crypto';

/**
 * What a channel says, or a caller writes, may hold anything, a borrower's card, id or telephone
 * number among it, by mistake or by malice (rule 13). Free words keep no long run of digits; a reference, which we must be able to
 * say again, keeps its own unless it has the form of such a number.
 */
const longRun = /\p{Nd}(?:[\s.\-_/·]{0,3}\p{Nd}){6,}[Xx]?/gu;

/** Words without control characters and without runs of seven digits or more, of at most `max`. */
export function words(text: string, max: number): string {
  const printable = text
    .slice(0, 4_000)
    .toWellFormed()
    .replace(/\p{C}+/gu, ' ')
    .trim();
  const safe = printable.replace(longRun, '[digits]');
  return (safe.length <= max ? safe : `${safe.slice(0, max - 1)}…`).toWellFormed();
}

/** An amount as evidence; above ten digits it is no amount of ours and may be anything. */
export function amountWords(text: string): string {
  return /^\d{1,10}$/.test(text) ? text : words(text, 64);
}

/**
 * A channel's reference for an order, at most 128 characters. One that has the form of a card, id or
 * telephone number is kept as its digest, so that the success that bears it need not be refused.
 *
 * @param numeric the channel's profile vouches that its references are long numbers.
 */
export function reference(text: string, numeric: boolean): string {
  const short = text.slice(0, 128).toWellFormed();
  if (numeric && /^[\w-]+$/.test(short)) return short;
  return looksPersonal(short) ? `sha256-${hash('sha256', text, 'hex').slice(0, 32)}` : short;
}

/** A number of fifteen digits and more, however they are spaced, or any of the above (rule 13). */
export const namesSomebody = (text: string): boolean =>
  /\p{Nd}(?:[ -]?\p{Nd}){14,}/u.test(text) || looksPersonal(text);

/** An id that is nothing but a number as long as a telephone's, a card's or a person's. */
export const isBareNumber = (text: string): boolean => /^[\d._-]{11,}[Xx]?$/.test(text);

/** A caller's key, as it is kept: one that may be somebody's number is kept as its digest. */
export const keptKey = (key: string): string =>
  isBareNumber(key) || looksPersonal(key) ? `sha256-${hash('sha256', key, 'hex')}` : key;

/** Whether such a number stands anywhere in it, written together or in groups. */
export function looksPersonal(text: string): boolean {
  const plain = text.normalize('NFKC');
  for (const [run] of plain.matchAll(longRun)) {
    const digits = run.replaceAll(/[^0-9Xx]/g, '');
    if (isPhone(digits) || isIdentity(digits) || isCard(digits)) return true;
  }
  return false;
}

const isPhone = (digits: string): boolean => /^(?:0{0,2}86)?1[3-9]\d{9}$/.test(digits);

/** 18 places: district, date of birth, serial, check character. */
function isIdentity(digits: string): boolean {
  return /^[1-9]\d{5}(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dXx]$/.test(
    digits,
  );
}

/**
 * 13 to 19 digits of a card scheme. The check digit is not looked at: a number written down with one
 * digit wrong is somebody's all the same.
 */
const isCard = (digits: string): boolean => /^[3-69]\d{12,18}$/.test(digits);
