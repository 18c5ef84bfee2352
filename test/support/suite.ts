import type { Services, Wrappers } from '../../src/composition/root.js';
import type { ChargeAnswer } from '../../src/engine/reply.js';
import { startEnvironment, type TestEnvironment } from './environment.js';

/** Real surroundings for a suite, made before its first test; the sandbox is healthy before each. */
export interface Suite {
  readonly environment: TestEnvironment;
  /** A process of Recoup. */
  readonly services: Services;
}

/** To be called in a `describe`; what it returns can be used from the first test on. */
export function useEnvironment(): Suite {
  let environment: TestEnvironment;
  let services: Services;

  before(async () => {
    environment = await startEnvironment();
    services = await environment.compose();
  });
  after(async () => environment.close());
  afterEach(async () => environment.sandbox.clearFaults());

  return {
    get environment() {
      return environment;
    },
    get services() {
      return services;
    },
  };
}

/** A process that hears another answer to its charges than the channel gave; what was done is done. */
export const hearing = (heard: (answer: ChargeAnswer) => ChargeAnswer): Wrappers => ({
  channels: (inner) => ({
    get: (id) => {
      const channel = inner.get(id);
      return channel && { ...channel, charge: async (order) => heard(await channel.charge(order)) };
    },
  }),
});
