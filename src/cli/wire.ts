/**
 * Our values as the command line's JSON: names in snake_case, amounts as integer numbers of minor
 * units, times in ISO 8601. Account tokens stay inside.
 */
export function wire(value: unknown): unknown {
  if (typeof value === 'bigint') {
    const small = value <= BigInt(Number.MAX_SAFE_INTEGER) && value >= -BigInt(2 ** 53 - 1);
    return small ? Number(value) : value.toString();
  }
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Map) return wire(Object.fromEntries(value));
  if (Array.isArray(value)) return value.map(wire);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name, inner]) => inner !== undefined && !secret.has(name))
      .map(([name, inner]) => [snakeCase(name), wire(inner)]),
  );
}

const secret = new Set(['token', 'requestDigest']);

const snakeCase = (name: string): string =>
  name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
