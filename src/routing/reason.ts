import { formatDecimalAmount } from '../money.js';

/**
 * Words of the reasons that people read: amounts in yuan, shares in per cent. A plan makes some forty
 * of these, so the small parts stand ready: to format each anew costs as much as the whole ranking.
 */
const fenTexts = Array.from({ length: 100 }, (_, fen) => `.${String(fen).padStart(2, '0')}`);

const perCentTexts = Array.from({ length: 1001 }, (_, thousandths) => {
  return `${(thousandths / 10).toFixed(1)} %`;
});

/** 128050n -> "¥1280.50". */
export function yuan(minor: bigint): string {
  const amount = Number(minor);
  if (!Number.isSafeInteger(amount) || amount < 0) return `¥${formatDecimalAmount(minor)}`;
  const fen = amount % 100;
  return `¥${(amount - fen) / 100}${fenTexts[fen]}`;
}

/** 0.972 -> "97.2 %". From 0 to 1. */
export function perCent(share: number): string {
  return perCentTexts[Math.round(share * 1000)] ?? `${share * 100} %`;
}
