import { createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { channelIds, type SandboxChannelId } from './channel-spec.js';
import type { FormKeys } from './wire-form.js';

/**
 * Keys to practise with, made once for a book and kept beside it with the ports, so that a sandbox
 * that was killed comes back at the same address with the same keys.
 */
export interface Credentials {
  readonly merchant: string;
  readonly hmacKeys: Readonly<Record<SandboxChannelId, string>>;
  readonly merchantPrivatePem: string;
  readonly channelPrivatePem: string;
  readonly strangerPrivatePem: string;
  readonly ports: Readonly<Record<string, number>>;
  readonly callbackUrls: Readonly<Record<string, string>>;
}

const fileName = 'sandbox.json';

export function loadCredentials(dir: string, rsaBits: number): Credentials {
  mkdirSync(dir, { recursive: true });
  try {
    return JSON.parse(readFileSync(join(dir, fileName), 'utf8')) as Credentials;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const credentials: Credentials = {
    merchant: 'M-RECOUP-01',
    hmacKeys: Object.fromEntries(
      channelIds.map((id) => [id, randomBytes(32).toString('hex')]),
    ) as Record<SandboxChannelId, string>,
    merchantPrivatePem: rsaKey(rsaBits),
    channelPrivatePem: rsaKey(rsaBits),
    strangerPrivatePem: rsaKey(rsaBits),
    ports: {},
    callbackUrls: {},
  };
  saveCredentials(dir, credentials);
  return credentials;
}

export function saveCredentials(dir: string, credentials: Credentials): void {
  const path = join(dir, fileName);
  writeFileSync(`${path}.new`, JSON.stringify(credentials), { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

export function formKeysOf(credentials: Credentials): FormKeys {
  return {
    channelPrivate: createPrivateKey(credentials.channelPrivatePem),
    merchantPublic: createPublicKey(credentials.merchantPrivatePem),
    strangerPrivate: createPrivateKey(credentials.strangerPrivatePem),
  };
}

/** What the channel profiles of examples/channels.yaml ask of the environment. */
export function environmentOf(
  credentials: Credentials,
  urls: Readonly<Record<SandboxChannelId, string>>,
  adminUrl: string,
): Record<string, string> {
  const env: Record<string, string> = { RECOUP_SANDBOX_ADMIN_URL: adminUrl };
  for (const id of channelIds) {
    const prefix = `RECOUP_SANDBOX_${id.toUpperCase()}`;
    env[`${prefix}_URL`] = urls[id];
    if (id !== 'unionlink') env[`${prefix}_HMAC_KEY`] = credentials.hmacKeys[id];
  }
  const publicPem = createPublicKey(credentials.channelPrivatePem)
    .export({ type: 'spki', format: 'pem' })
    .toString();
  env['RECOUP_SANDBOX_UNIONLINK_PRIVATE_KEY'] = oneLine(credentials.merchantPrivatePem);
  env['RECOUP_SANDBOX_UNIONLINK_PUBLIC_KEY'] = oneLine(publicPem);
  return env;
}

function rsaKey(bits: number): string {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: bits });
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

/** A PEM in one line, for environment files. */
function oneLine(pem: string): string {
  return Buffer.from(pem).toString('base64');
}
