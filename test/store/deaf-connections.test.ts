import { EventEmitter } from 'node:events';
import { expect } from 'chai';
import { DeafConnections, type Line } from '../../src/store/deaf-connections.js';

const silentMs = 20_000;

/** A socket as far as silence goes: like Node's, its time-out starts anew with all that is said or heard. */
class Socket extends EventEmitter implements Line {
  bytesWritten = 100;
  destroyed = false;
  #silent: () => void = () => undefined;
  #activeMs = 0;

  setTimeout(_ms: number, then: () => void): void {
    this.#silent = then;
  }

  destroy(): void {
    this.destroyed = true;
    this.emit('close');
  }

  ask(nowMs: number): void {
    this.bytesWritten += 50;
    this.#activeMs = nowMs;
  }

  hear(nowMs: number): void {
    this.#activeMs = nowMs;
    this.emit('data');
  }

  tick(nowMs: number): void {
    if (!this.destroyed && nowMs - this.#activeMs >= silentMs) this.#silent();
  }
}

describe('Connections whose server is gone without a word', () => {
  let nowMs = 0;
  let lines: Socket[] = [];
  const [asked, askedLater, alive, idle] = [0, 1, 2, 3].map((at) => () => lines[at]!);
  const until = (ms: number): void => {
    for (; nowMs < ms; nowMs += 100) for (const line of lines) line.tick(nowMs);
    nowMs = ms;
    for (const line of lines) line.tick(nowMs);
  };
  const gone = (): boolean[] => lines.map(({ destroyed }) => destroyed);

  beforeEach(() => {
    nowMs = 0;
    const deaf = new DeafConnections(silentMs, () => nowMs);
    lines = Array.from({ length: 4 }, () => new Socket());
    for (const line of lines) deaf.watch(line);
  });

  it('are all given up with the first, however late they were asked', () => {
    until(1_000);
    for (const line of lines) line.hear(nowMs);
    until(5_000);
    asked!().ask(nowMs);
    until(15_000);
    askedLater!().ask(nowMs);
    alive!().ask(nowMs);
    alive!().hear(nowMs + 1);
    until(20_000);
    alive!().ask(nowMs);
    until(20_900);
    expect(gone()).to.eql([false, false, false, false]);
    until(25_000);
    // What has answered since is not deaf, and works on.
    expect(gone()).to.eql([true, true, false, true]);
  });

  it('are not suspected because another one was idle', () => {
    until(1_000);
    askedLater!().hear(nowMs);
    until(10_000);
    askedLater!().ask(nowMs);
    until(21_000);
    expect(idle!().destroyed).to.equal(true);
    expect(askedLater!().destroyed).to.equal(false);
    until(30_000);
    expect(askedLater!().destroyed).to.equal(true);
  });
});
