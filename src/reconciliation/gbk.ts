/** GBK, in which banks' files still come. Node decodes it and cannot encode it. */
const decoder = new TextDecoder('gbk', { fatal: true });

/** @throws TypeError where the bytes are not GBK. */
export const decodeGbk = (bytes: Uint8Array): string => decoder.decode(bytes);

let codes: ReadonlyMap<string, number> | null = null;

/** @throws RangeError for a character that GBK does not have. */
export function encodeGbk(text: string): Buffer {
  codes ??= readCodes();
  const bytes: number[] = [];
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    if (code < 0x80) {
      bytes.push(code);
      continue;
    }
    const pair = codes.get(character);
    if (pair === undefined) throw new RangeError(`GBK has no ${character}`);
    bytes.push(pair >> 8, pair & 0xff);
  }
  return Buffer.from(bytes);
}

/** The decoder turned around: two bytes from 0x8140 to 0xfefe. */
function readCodes(): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  for (let lead = 0x81; lead <= 0xfe; lead += 1) {
    for (let trail = 0x40; trail <= 0xfe; trail += 1) {
      try {
        const character = decodeGbk(Uint8Array.of(lead, trail));
        // The basic plane alone: every character of GBK is of one unit.
        if (character.length === 1) found.set(character, (lead << 8) | trail);
      } catch {
        // Not every pair is a character.
      }
    }
  }
  return found;
}
