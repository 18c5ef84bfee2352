import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { openChannel, type OpenChannel } from '../../src/channels/open-channel.js';
import { practiceOrder, practiceProfiles } from './practice.js';

/** What the other side takes for each, one connection after the other. */
const answerMs = 150;
const timeouts = { charge_ms: 2_500, query_ms: 600, close_ms: 600 };

describe('The time of a question', () => {
  let server: Server;
  let open: OpenChannel;
  let heard = 0;

  beforeEach(async () => {
    heard = 0;
    server = createServer((_request, response) => {
      heard += 1;
      setTimeout(() => response.writeHead(500).end(), answerMs);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const [swiftpay] = practiceProfiles();
    const { port } = server.address() as AddressInfo;
    const base_url = `http://127.0.0.1:${port}`;
    // A quarter of the connections is for questions: one.
    const profile = { ...swiftpay!, base_url, timeouts, concurrency_max: 4 };
    open = openChannel(profile, { RECOUP_SANDBOX_SWIFTPAY_HMAC_KEY: 'key' });
  });

  afterEach(async () => {
    await open.shutDown();
    server.closeAllConnections();
    server.close();
  });

  it('begins when it has a connection: waiting for one spends no step of the schedule', async () => {
    const asked = Array.from({ length: 6 }, () => open.channel.query(practiceOrder('swiftpay')));
    const answers = await Promise.all(asked);
    expect(heard, 'the last waits longer than its own time').to.equal(6);
    for (const answer of answers) expect(answer).to.include({ why: 'server_error' });
  });

  it('and the wait for it end within the longest call, which a lease covers', async () => {
    const startedMs = performance.now();
    const asked = Array.from({ length: 60 }, () => open.channel.query(practiceOrder('swiftpay')));
    const answers = await Promise.all(asked);
    // One after the other they would take nine seconds.
    expect(performance.now() - startedMs).to.be.below(2 * timeouts.charge_ms);
    expect(open.channel.timeoutsMs.query).to.equal(timeouts.charge_ms);
    expect(answers.at(-1)).to.include({ why: 'connection_lost' });
    expect(heard).to.be.within(4, 17);
  });
});
