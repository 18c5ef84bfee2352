/**
 * Which addresses a notice may be sent to: those of the public internet and no others. Whoever may
 * name a destination must not thereby reach what stands beside us: a database, a metadata service.
 *
 * By the registries of IANA (special-purpose addresses). IPv6 is allowed by what it is, global
 * unicast, since most of it is nothing yet; what carries an IPv4 address inside is refused whole.
 */
import { BlockList, isIP } from 'node:net';

const internalV4: readonly (readonly [string, number])[] = [
  ['0.0.0.0', 8], // this network
  ['10.0.0.0', 8],
  ['100.64.0.0', 10], // carrier-grade NAT; a cloud's metadata among it
  ['127.0.0.0', 8],
  ['168.63.129.16', 32], // a cloud's metadata, in the middle of public addresses
  ['169.254.0.0', 16], // link-local; metadata of most clouds
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24], // documentation
  ['192.88.99.0', 24], // 6to4 relays
  ['192.168.0.0', 16],
  ['198.18.0.0', 15], // benchmarks
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4], // multicast
  ['240.0.0.0', 4], // reserved, broadcast
];

const notPublicV6: readonly (readonly [string, number])[] = [
  ['2001::', 23], // protocols: Teredo, ORCHID
  ['2001:db8::', 32], // documentation
  ['2002::', 16], // 6to4
  ['3fff::', 20], // documentation
];

function listOf(
  subnets: readonly (readonly [string, number])[],
  family: 'ipv4' | 'ipv6',
): BlockList {
  const list = new BlockList();
  for (const [net, prefix] of subnets) list.addSubnet(net, prefix, family);
  return list;
}

const internal = listOf(internalV4, 'ipv4');
const globalUnicast = listOf([['2000::', 3]], 'ipv6');
const special = listOf(notPublicV6, 'ipv6');

/** @param address an IP address as text; anything else is not public. */
export function isPublic(address: string): boolean {
  // A zone (`fe80::1%eth0`) is of this machine alone.
  switch (isIP(address)) {
    case 4:
      return !internal.check(address, 'ipv4');
    case 6:
      return (
        !address.includes('%') &&
        globalUnicast.check(address, 'ipv6') &&
        !special.check(address, 'ipv6')
      );
    default:
      return false;
  }
}
