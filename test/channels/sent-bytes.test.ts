import { expect } from 'chai';
import { openChannel, type OpenChannel } from '../../src/channels/open-channel.js';
import type { Order } from '../../src/engine/order.js';
import { SandboxProcess } from '../sandbox/sandbox-process.js';
import { practiceOrder, practiceProfiles } from './practice.js';
import { WireServer } from './wire-server.js';

describe('The bytes of a charge', () => {
  let sandbox: SandboxProcess;
  before(async () => (sandbox = await SandboxProcess.start()));
  after(async () => sandbox.stop());

  /** Charges once each through two channels that were opened at different times of day. */
  async function sentTwice(id: string, order: Order): Promise<readonly [string, string]> {
    const server = await WireServer.start((socket) => {
      socket.on('data', () => socket.end('HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n'));
    });
    const profile = practiceProfiles().find((one) => one.id === id)!;
    const heard: string[] = [];
    const channels: OpenChannel[] = [];
    for (const laterMs of [0, 86_400_000]) {
      const clock = {
        nowMs: () => order.createdAtMs + laterMs,
        monotonicMs: () => performance.now(),
        sleep: async () => undefined,
      };
      const moved = { ...profile, base_url: `http://127.0.0.1:${server.port}/under/a/path/` };
      const opened = openChannel(moved, sandbox.ready.env, { clock });
      channels.push(opened);
      server.heard = '';
      await opened.channel.charge(order);
      heard.push(server.heard);
    }
    await Promise.all(channels.map(({ shutDown }) => shutDown()));
    await server.stop();
    return [heard[0]!, heard[1]!];
  }

  for (const id of ['swiftpay', 'unionlink', 'oldbank']) {
    it(`are the same however often and whenever it is sent (${id})`, async () => {
      const order = practiceOrder(id);
      const [first, second] = await sentTwice(id, order);
      expect(first).to.include(order.orderNo);
      expect(second).to.equal(first);
      expect(first).to.match(/^POST \/under\/a\/path\//);
    });
  }

  it('hold the account as a token, the bank and four digits, and nothing else of it', async () => {
    const order = practiceOrder('swiftpay');
    const [sent] = await sentTwice('swiftpay', order);
    const body = JSON.parse(sent.slice(sent.indexOf('\r\n\r\n') + 4)) as Record<string, unknown>;
    expect(body).to.deep.equal({
      merchant_id: 'M-RECOUP-01',
      order_no: order.orderNo,
      amount: 128_050,
      currency: 'CNY',
      account: { token: 'tok_ok_1', bank: 'ICBC', last4: '6789' },
      created_at: new Date(order.createdAtMs).toISOString(),
      expires_at: new Date(order.expiresAtMs).toISOString(),
    });
  });

  it('follow the layout of the profile, and an expiry is never later than ours', async () => {
    const order = practiceOrder('oldbank', {
      createdAtMs: Date.parse('2025-03-01T15:59:58.400Z'),
      expiresAtMs: Date.parse('2025-03-01T16:00:02.900Z'),
    });
    const [sent] = await sentTwice('oldbank', order);
    const body = JSON.parse(sent.slice(sent.indexOf('\r\n\r\n') + 4)) as Record<string, unknown>;
    expect(body).to.include({
      ordAmt: '1280.50',
      accTok: 'tok_ok_1',
      ordTime: '20250301235958',
      expTime: '20250302000002',
    });
    expect(sent)
      .to.match(/\r\nreq-time: 1740844798\r\n/)
      .and.to.match(/\r\nsign: [\w+/]+=*\r\n/);
  });
});
