import { createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sandboxIds, type SandboxChannelId, type SandboxRole } from './channel-spec.js';
import { keySerials, type KeySerial } from './wire.js';
import type { FormKeys } from './wire-form.js';
import type { JsonKeys } from './wire-json.js';

/**
 * Keys to practise with, made once for a book and kept beside it with the ports, so that a sandbox
 * that was killed comes back at the same address with the same keys.
 */
export interface Credentials {
  readonly merchant: string;
  readonly hmacKeys: Readonly<Record<SandboxChannelId, string>>;
  /** Of serial B; those above and `channelPrivatePem` have serial A. */
  readonly nextHmacKeys: Readonly<Record<SandboxChannelId, string>>;
  /** 32 bytes in hex: what callbacks are sealed with. */
  readonly sealKeys: Readonly<Record<SandboxChannelId, string>>;
  readonly merchantPrivatePem: string;
  readonly channelPrivatePem: string;
  readonly nextChannelPrivatePem: string;
  readonly strangerPrivatePem: string;
  readonly ports: Readonly<Record<string, number>>;
  readonly callbackUrls: Readonly<Record<string, string>>;
  /** The serial of the key that each channel signs with now; A where none stands. */
  readonly serials: Readonly<Partial<Record<SandboxChannelId, KeySerial>>>;
}

const fileName = 'sandbox.json';

export function loadCredentials(dir: string, rsaBits: number): Credentials {
  mkdirSync(dir, { recursive: true });
  try {
    const kept = JSON.parse(readFileSync(join(dir, fileName), 'utf8')) as Partial<Credentials>;
    // A folder of before a key was thought of gets it now.
    const made = newCredentials(rsaBits);
    const credentials: Credentials = {
      ...made,
      ...kept,
      hmacKeys: { ...made.hmacKeys, ...kept.hmacKeys },
      nextHmacKeys: { ...made.nextHmacKeys, ...kept.nextHmacKeys },
      sealKeys: { ...made.sealKeys, ...kept.sealKeys },
    };
    saveCredentials(dir, credentials);
    return credentials;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const credentials = newCredentials(rsaBits);
  saveCredentials(dir, credentials);
  return credentials;
}

const keyEach = () =>
  Object.fromEntries(sandboxIds.map((id) => [id, randomBytes(32).toString('hex')])) as Record<
    SandboxChannelId,
    string
  >;

function newCredentials(rsaBits: number): Credentials {
  return {
    merchant: 'M-RECOUP-01',
    hmacKeys: keyEach(),
    nextHmacKeys: keyEach(),
    sealKeys: keyEach(),
    merchantPrivatePem: rsaKey(rsaBits),
    channelPrivatePem: rsaKey(rsaBits),
    nextChannelPrivatePem: rsaKey(rsaBits),
    strangerPrivatePem: rsaKey(rsaBits),
    ports: {},
    callbackUrls: {},
    serials: {},
  };
}

export function saveCredentials(dir: string, credentials: Credentials): void {
  const path = join(dir, fileName);
  writeFileSync(`${path}.new`, JSON.stringify(credentials), { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

export function jsonKeysOf(
  credentials: Credentials,
  id: SandboxChannelId,
  serial: () => KeySerial,
): JsonKeys {
  const { hmacKeys, nextHmacKeys, sealKeys } = credentials;
  return {
    bySerial: { A: Buffer.from(hmacKeys[id], 'utf8'), B: Buffer.from(nextHmacKeys[id], 'utf8') },
    serial,
    seal: Buffer.from(sealKeys[id], 'hex'),
  };
}

export function formKeysOf(credentials: Credentials, serial: () => KeySerial): FormKeys {
  return {
    channelPrivate: {
      A: createPrivateKey(credentials.channelPrivatePem),
      B: createPrivateKey(credentials.nextChannelPrivatePem),
    },
    serial,
    merchantPublic: createPublicKey(credentials.merchantPrivatePem),
    strangerPrivate: createPrivateKey(credentials.strangerPrivatePem),
  };
}

/** What the profiles of examples/channels.yaml and parties.yaml ask of the environment. */
export function environmentOf(
  credentials: Credentials,
  role: SandboxRole,
  urls: ReadonlyMap<SandboxChannelId, string>,
  adminUrl: string,
): Record<string, string> {
  const admin = role === 'channels' ? '' : `${role.toUpperCase()}_`;
  const env: Record<string, string> = { [`RECOUP_SANDBOX_${admin}ADMIN_URL`]: adminUrl };
  for (const [id, url] of urls) {
    const prefix = `RECOUP_SANDBOX_${id.toUpperCase()}`;
    env[`${prefix}_URL`] = url;
    if (id === 'unionlink') {
      env[`${prefix}_PRIVATE_KEY`] = oneLine(credentials.merchantPrivatePem);
      env[`${prefix}_PUBLIC_KEY`] = publicLine(credentials.channelPrivatePem);
      env[`${prefix}_PUBLIC_KEY_B`] = publicLine(credentials.nextChannelPrivatePem);
      continue;
    }
    env[`${prefix}_HMAC_KEY`] = credentials.hmacKeys[id];
    env[`${prefix}_HMAC_KEY_B`] = credentials.nextHmacKeys[id];
    env[`${prefix}_CALLBACK_KEY`] = credentials.sealKeys[id];
  }
  return env;
}

function rsaKey(bits: number): string {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: bits });
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

const publicLine = (privatePem: string): string =>
  oneLine(createPublicKey(privatePem).export({ type: 'spki', format: 'pem' }).toString());

export const isKeySerial = (value: unknown): value is KeySerial =>
  (keySerials as readonly unknown[]).includes(value);

/** A PEM in one line, for environment files. */
function oneLine(pem: string): string {
  return Buffer.from(pem).toString('base64');
}
