/** `POST /v1/deductions` over the in-process channel, in a process of its own. Prints its port. */
import { createHash, randomUUID } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { createHttpServer } from '../../src/http/server.js';
import { inProcess, inProcessProfiles, openRecoup } from '../channels.js';

const services = await openRecoup(inProcessProfiles(), { channels: inProcess() });
const key = `bench-${randomUUID()}`;
const digest = createHash('sha256').update(key).digest('hex');
await services.access.addKey({ id: 'bench', name: 'bench', role: 'app' }, digest, Date.now());
// More than the usual gate lets in: here the engine is measured, not its refusal.
const app = createHttpServer(services, { runsMax: 8_192 });
await app.listen({ host: '127.0.0.1', port: 0, backlog: 4_096 });
const { port } = app.server.address() as AddressInfo;
process.send?.({ port, key });
process.once('disconnect', () => {
  void app
    .close()
    .then(() => services.close())
    .then(() => process.exit(0));
});
