import { expect } from 'chai';
import { silentLog } from '../../src/log.js';
import { MetricsServer } from '../../src/metrics/server.js';
import { counted } from '../../src/metrics/catalogue.js';
import { Counter } from '../../src/metrics/tally.js';

describe('The port of the metrics', () => {
  let answer: (text: string) => void = () => undefined;
  const text = async () => await new Promise<string>((resolve) => (answer = resolve));
  const exposed = { contentType: 'text/plain', text };

  it('answers a scrape under way while it closes, and takes no more', async () => {
    const server = new MetricsServer(exposed, silentLog);
    const address = await server.listen('127.0.0.1', 0);
    const scrape = fetch(address);
    while (answer.length === 0) await new Promise((resolve) => setImmediate(resolve));
    const closed = server.close();
    const refused = await fetch(address).catch((error: Error) => error);
    expect(refused).to.be.instanceOf(Error);
    answer('the end');
    expect(await (await scrape).text()).to.equal('the end');
    await closed;
  });

  it('knows one path and one method', async () => {
    const server = new MetricsServer(exposed, silentLog);
    const address = await server.listen('127.0.0.1', 0);
    try {
      const statusOf = async (url: string, method = 'GET') => (await fetch(url, { method })).status;
      expect(await statusOf(address.replace('/metrics', '/'))).to.equal(404);
      expect(await statusOf(address, 'POST')).to.equal(405);
    } finally {
      await server.close();
    }
  });

  it('answers 500 when there is nothing to show', async () => {
    const broken = {
      contentType: 'text/plain',
      text: async () => await Promise.reject(new Error()),
    };
    const server = new MetricsServer(broken, silentLog);
    try {
      const answered = await fetch(await server.listen('127.0.0.1', 0));
      expect(answered.status).to.equal(500);
    } finally {
      await server.close();
    }
  });
});

describe('A count', () => {
  it('keeps a bounded number of series; what comes beyond is counted together', () => {
    const counter = new Counter(counted.callbacks);
    for (let at = 0; at < 2_500; at += 1) counter.add(1, `channel${at}`, 'accepted');
    const read = counter.read();
    expect(read).to.have.length(2_001);
    const labels = { channel: 'other', verdict: 'other' };
    expect(read.at(-1)).to.deep.equal({ labels, value: 500 });
  });
});
