/**
 * The end of a query for the newest rows: those that meet every condition that has a value. Ids are in
 * order of time.
 */
export function newestFirst(
  conditions: readonly (readonly [condition: string, value: unknown])[],
  limit: number,
): [rest: string, values: readonly unknown[]] {
  const asked = conditions.filter(([, value]) => value !== undefined);
  const where = asked.map(([condition]) => condition).join(' AND ');
  const values = asked.map(([, value]) => value);
  return [`${where === '' ? '' : `WHERE ${where}`} ORDER BY id DESC LIMIT ?`, [...values, limit]];
}
