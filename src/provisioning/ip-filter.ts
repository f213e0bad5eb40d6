import { BlockList, isIP } from 'node:net';

import type { IpFilterRule, IpFilterTarget } from '../contracts/dps/ip-filter-rule.ts';
import { limits } from '../contracts/limits.ts';
import { ServiceError } from '../kernel/service-error.ts';

/** Which rule let a peer in or kept it out; without one it is let in (chapter 6.4). */
export type AddressVerdict =
  | { readonly accepted: true; readonly rule?: IpFilterRule }
  | { readonly accepted: false; readonly rule: IpFilterRule };

/**
 * Tries the rules in order; the first that is about this API and holds the address decides. An IPv4 address that reached
 * us as IPv6 (`::ffff:192.0.2.1`) is the IPv4 address.
 */
export function judgeAddress(
  rules: readonly IpFilterRule[],
  { target, remoteAddress }: { readonly target: Exclude<IpFilterTarget, 'all'>; readonly remoteAddress: string },
): AddressVerdict {
  const rule = rules.find((candidate) => (candidate.target === 'all' || candidate.target === target) && holds(candidate, remoteAddress));
  if (rule === undefined) return { accepted: true };
  return { accepted: rule.action === 'Accept', rule };
}

/** How a rule is named in sentences for operators. */
export function describeRule({ filterName, action, ipMask }: IpFilterRule): string {
  return `IP filter rule '${filterName}' (${action} ${ipMask})`;
}

/** Throws `DpsBadRequest` with a sentence that names the rule and what is wrong with it. */
export function checkIpFilterRules(rules: readonly IpFilterRule[]): void {
  if (rules.length > limits.ipFilterRules) throw bad(`there are ${rules.length}, and at most ${limits.ipFilterRules} are allowed.`);
  const names = new Set<string>();
  for (const { filterName, ipMask } of rules) {
    if (!/^[A-Za-z0-9\-:/\\.+%_#*?!(),=@;']{1,128}$/u.test(filterName)) {
      throw bad(`filterName takes 1 to 128 letters, digits and - : / \\ . + % _ # * ? ! ( ) , = @ ; '.`);
    }
    if (names.has(filterName.toLowerCase())) throw bad(`the name '${filterName}' is used twice.`);
    names.add(filterName.toLowerCase());
    if (parseMask(ipMask) === undefined) {
      throw bad(`ipMask of '${filterName}' is neither an address nor a network such as 192.0.2.0/24.`);
    }
  }
}

interface Mask {
  readonly network: string;
  readonly prefix: number;
  readonly family: 'ipv4' | 'ipv6';
}

function holds(rule: IpFilterRule, remoteAddress: string): boolean {
  const mask = parseMask(rule.ipMask);
  if (mask === undefined) return false;
  // "Everybody" is what its writer means by it: 0.0.0.0/0 must not leave a door open to whoever comes over IPv6.
  if (mask.prefix === 0) return true;
  const address = remoteAddress.replace(/%.*$/u, '');
  const family = isIP(address);
  if (family === 0) return false;
  const list = new BlockList();
  list.addSubnet(mask.network, mask.prefix, mask.family);
  return list.check(address, family === 4 ? 'ipv4' : 'ipv6');
}

function parseMask(text: string): Mask | undefined {
  const match = /^(?<network>[0-9A-Fa-f:.]+)(?:\/(?<prefix>\d{1,3}))?$/u.exec(text);
  const network = match?.groups?.['network'] ?? '';
  const family = isIP(network);
  if (family === 0) return undefined;
  const bits = family === 4 ? 32 : 128;
  const prefix = Number(match?.groups?.['prefix'] ?? bits);
  return prefix > bits ? undefined : { network, prefix, family: family === 4 ? 'ipv4' : 'ipv6' };
}

function bad(sentence: string): ServiceError {
  return new ServiceError('DpsBadRequest', `ipFilterRules is not valid: ${sentence}`);
}
