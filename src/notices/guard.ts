/**
 * What keeps notices from being sent to internal addresses (server-side request forgery). A URL is
 * looked at when a destination is added, and its name again at every connection, by the very lookup
 * that the connection is made with: the address that was checked is the one that is connected to, and
 * a name that changes its mind in between has nothing to gain.
 */
import { lookup, type LookupAddress } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { isPublic } from './addresses.js';

export interface GuardSettings {
  /** Development only: plain HTTP, and addresses of this machine and its network. */
  readonly allowInternal: boolean;
}

const urlMax = 500;

/** Why a destination cannot have this URL; null when it can. */
export function urlProblem(text: string, { allowInternal }: GuardSettings): string | null {
  if (text.length > urlMax) return `it is longer than ${urlMax} characters`;
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return 'it is not a URL';
  }
  const plain = allowInternal && url.protocol === 'http:';
  if (url.protocol !== 'https:' && !plain) return 'it does not begin with https://';
  if (url.username !== '' || url.password !== '') return 'it holds a user name or a password';
  if (url.hash !== '') return 'it has a fragment';
  const host = hostOf(url);
  if (allowInternal) return null;
  if (isIP(host) !== 0 && !isPublic(host)) return `${host} is an internal address`;
  if (/(^|\.)(localhost|local|internal|home\.arpa)\.?$/i.test(host))
    return 'it is an internal name';
  return null;
}

/** The URL parser has made `0x7f.1`, `2130706433` and `[::ffff:127.0.0.1]` plain by now. */
const hostOf = (url: URL): string => url.hostname.replace(/^\[|\]$/g, '');

export class ForbiddenAddress extends Error {
  override readonly name = 'ForbiddenAddress';
}

export type Resolve = (
  host: string,
  done: (error: Error | null, addresses: readonly LookupAddress[]) => void,
) => void;

const systemResolve: Resolve = (host, done) => {
  lookup(host, { all: true, verbatim: true }, (error, addresses) => done(error, addresses));
};

/**
 * A `lookup` for sockets that answers with the addresses it has checked and with no others. One that is
 * internal spoils them all: a name that means both is a trick.
 */
export function guardedLookup(
  isAllowed: (address: string) => boolean,
  resolve: Resolve = systemResolve,
): LookupFunction {
  return (host, options, done) => {
    resolve(host, (error, addresses) => {
      const answer = (failure: Error | null): void => {
        if (options.all === true) done(failure, failure === null ? [...addresses] : []);
        else done(failure, addresses[0]?.address ?? '', addresses[0]?.family);
      };
      if (error !== null) return answer(error);
      const bad = addresses.find(({ address }) => !isAllowed(address));
      if (addresses.length === 0) return answer(new Error(`${host} has no address`));
      if (bad === undefined) return answer(null);
      answer(new ForbiddenAddress(`${host} resolves to ${bad.address}, an internal address`));
    });
  };
}

/** Literal addresses are never looked up. @throws ForbiddenAddress */
export function checkLiteral(url: URL, isAllowed: (address: string) => boolean): void {
  const host = hostOf(url);
  if (isIP(host) !== 0 && !isAllowed(host)) {
    throw new ForbiddenAddress(`${host} is an internal address`);
  }
}
