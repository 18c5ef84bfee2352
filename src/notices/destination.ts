/** Where notices go, and of what. */
import type { TaskKind } from '../engine/entries.js';
import { keyOf } from './signature.js';

/** `crm`, `case_desk`: chosen by whoever adds it. */
export interface Destination {
  readonly id: string;
  readonly url: string;
  /** `*`: everything, also what later releases tell of. */
  readonly types: '*' | readonly string[];
  /**
   * Names of environment variables, as in channels' profiles: a copy of the database signs nothing,
   * and whoever replaces secrets does it in one place. The first is the current one; all of them sign.
   */
  readonly secretEnvs: readonly string[];
  readonly paused: { readonly at: Date; readonly why: string } | null;
  readonly resumedAt: Date | null;
  readonly createdAt: Date;
}

const kinds: Readonly<Record<TaskKind, true>> = {
  deduction: true,
  refund: true,
  withdrawal: true,
  top_up: true,
};

/** Everything that notices tell of. */
export const noticeTypes: readonly string[] = [
  ...Object.keys(kinds).flatMap((kind) => [`${kind}.succeeded`, `${kind}.failed`]),
  'top_up.credit_unknown',
  'case.opened',
  'operators.schedule_ending',
];

export const isDestinationId = (text: string): boolean => /^[a-z][a-z0-9_]{0,31}$/.test(text);

/** So named that nobody can have a password of another kind used as a secret. */
export const isSecretEnv = (name: string): boolean =>
  /^RECOUP_NOTICE_SECRET_[A-Z0-9_]{1,40}$/.test(name);

export const secretEnvsMax = 3;

export type OpenSecrets =
  | { readonly kind: 'open'; readonly keys: readonly Buffer[] }
  /** Without a value in it: what is wrong must not show the secret. */
  | { readonly kind: 'missing'; readonly problem: string };

/** All or nothing: a receiver that knows only the one that is missing would refuse. */
export function openSecrets(
  names: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): OpenSecrets {
  const keys: Buffer[] = [];
  for (const name of names) {
    const value = env[name];
    if (value === undefined || value === '')
      return { kind: 'missing', problem: `${name} is not set` };
    const key = keyOf(value);
    if (key === null) {
      const problem = `${name} is not a secret (whsec_ and base64 of 24 to 64 bytes)`;
      return { kind: 'missing', problem };
    }
    keys.push(key);
  }
  return { kind: 'open', keys };
}

export const wantsType = ({ types }: Pick<Destination, 'types'>, type: string): boolean =>
  types === '*' || types.includes(type);
