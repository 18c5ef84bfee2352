/** A scrape, read as Prometheus does. */
export class Scrape {
  private constructor(readonly text: string) {}

  static async of(address: string): Promise<Scrape> {
    const response = await fetch(address);
    if (response.status !== 200) throw new Error(`status ${response.status}`);
    return new Scrape(await response.text());
  }

  /** Undefined: there is no such series. Labels in the order in which they stand. */
  value(series: string): number | undefined {
    const line = this.text.split('\n').find((one) => one.startsWith(`${series} `));
    return line === undefined ? undefined : Number(line.slice(series.length + 1));
  }

  get types(): ReadonlyMap<string, string> {
    const types = this.text.matchAll(/^# TYPE (\S+) (\S+)$/gm);
    return new Map(Array.from(types, ([, name = '', type = '']) => [name, type]));
  }

  /** How many lines begin so. */
  lines(start: string): number {
    return this.text.split('\n').filter((line) => line.startsWith(start)).length;
  }
}
