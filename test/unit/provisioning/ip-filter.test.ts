import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import type { IpFilterRule } from '../../../src/contracts/dps/ip-filter-rule.ts';
import { checkIpFilterRules, judgeAddress } from '../../../src/provisioning/ip-filter.ts';
import { ecKey, make } from '../../fixtures/pki/make-certificate.ts';
import { any, openProvisioningWorld, type ProvisioningWorld, refusalOf, signedBy } from '../../fixtures/provisioning-world.ts';

const rule = (action: IpFilterRule['action'], ipMask: string, target: IpFilterRule['target'] = 'all'): IpFilterRule => ({
  filterName: `${action}-${target}-${ipMask}`.replace(/[^A-Za-z0-9-]/gu, '-'),
  action,
  ipMask,
  target,
});

const judge = (rules: readonly IpFilterRule[], remoteAddress: string, target: 'deviceApi' | 'serviceApi' = 'deviceApi'): string => {
  const { accepted, rule: decided } = judgeAddress(rules, { target, remoteAddress });
  return `${accepted ? 'accept' : 'reject'} ${decided === undefined ? 'by none' : rules.indexOf(decided)}`;
};

describe('which rule decides', () => {
  const plant = [rule('Reject', '10.1.2.3'), rule('Accept', '10.0.0.0/8'), rule('Reject', '0.0.0.0/0')];

  test.each<[string, readonly IpFilterRule[], string, string]>([
    ['without rules everybody comes in', [], '192.0.2.1', 'accept by none'],
    ['without a match, too', [rule('Reject', '10.0.0.0/8')], '192.0.2.1', 'accept by none'],
    ['the first match', plant, '10.1.2.3', 'reject 0'],
    ['the first match, not the narrowest', [rule('Accept', '10.0.0.0/8'), rule('Reject', '10.1.2.3')], '10.1.2.3', 'accept 0'],
    ['a network', plant, '10.200.0.1', 'accept 1'],
    ['everybody else', plant, '192.0.2.1', 'reject 2'],
    ['IPv4 that came as IPv6', plant, '::ffff:10.200.0.1', 'accept 1'],
    ['IPv4 that came as IPv6 and is kept out', plant, '::ffff:10.1.2.3', 'reject 0'],
    ['0.0.0.0/0 is everybody, over IPv6 as well', plant, '2001:db8::1', 'reject 2'],
    ['an address that is none, such as a closed socket’s', plant, 'unknown', 'reject 2'],
    ['IPv6 does not fall into an IPv4 network', [rule('Reject', '128.0.0.0/1')], '2001:db8::1', 'accept by none'],
    ['an IPv6 network', [rule('Reject', '2001:db8::/32')], '2001:db8:1::7', 'reject 0'],
    ['an IPv6 address with a zone', [rule('Reject', 'fe80::/10')], 'fe80::1%eth0', 'reject 0'],
    ['bits behind the prefix do not matter', [rule('Reject', '192.0.2.77/24')], '192.0.2.1', 'reject 0'],
    ['the last address of a network', [rule('Reject', '192.0.2.0/25')], '192.0.2.127', 'reject 0'],
    ['the one after it', [rule('Reject', '192.0.2.0/25')], '192.0.2.128', 'accept by none'],
  ])('%s', (_name, rules, address, verdict) => expect(judge(rules, address)).toBe(verdict));

  test('a rule for one API is nothing to the other', () => {
    const rules = [rule('Reject', '0.0.0.0/0', 'deviceApi')];
    expect([judge(rules, '192.0.2.1', 'deviceApi'), judge(rules, '192.0.2.1', 'serviceApi')]).toEqual(['reject 0', 'accept by none']);
  });

  test('a mask holds exactly the addresses whose first bits are its own', () => {
    const ipv4 = fc.integer({ min: 0, max: 0xff_ff_ff_ff });
    const text = (bits: number): string => [24, 16, 8, 0].map((shift) => (bits >>> shift) & 255).join('.');
    fc.assert(
      fc.property(ipv4, ipv4, fc.integer({ min: 1, max: 32 }), fc.boolean(), (network, address, prefix, near) => {
        const peer = near ? (network ^ (address >>> 20)) >>> 0 : address;
        const isInside = network >>> (32 - prefix) === peer >>> (32 - prefix);
        const expected = isInside ? 'reject 0' : 'accept by none';
        expect(judge([rule('Reject', `${text(network)}/${prefix}`)], text(peer))).toBe(expected);
        expect(judge([rule('Reject', `${text(network)}/${prefix}`)], `::ffff:${text(peer)}`)).toBe(expected);
      }),
    );
  });
});

test.each(['', '10.0.0.0/33', '10.0.0/8', '::/129', 'localhost', '10.0.0.0/-1', '10.0.0.0/8/8', '10.0.0.0/', 'fe80::1%eth0'])(
  'refused/mask %j',
  (ipMask) => expect(() => checkIpFilterRules([rule('Accept', ipMask)])).toThrow(/ipMask of 'Accept-all-.*' is neither/u),
);

test('refused/names that are empty, long, strange or twice there, and too many rules', () => {
  const named = (filterName: string): IpFilterRule => ({ ...rule('Accept', '10.0.0.1'), filterName });
  for (const name of ['', 'x'.repeat(129), 'a b', 'a\nb', 'ä']) expect(() => checkIpFilterRules([named(name)])).toThrow(/filterName/u);
  expect(() => checkIpFilterRules([named('a'), named('A')])).toThrow(/twice/u);
  const many = Array.from({ length: 101 }, (_, index) => named(`rule-${index}`));
  expect(() => checkIpFilterRules(many)).toThrow(/at most 100/u);
  expect(() => checkIpFilterRules(many.slice(1))).not.toThrow();
});

describe('of an instance', () => {
  const root = make({ subject: 'Root', key: ecKey(), ca: true });
  const leaf = make({ subject: 'dev-1', key: ecKey(), issuer: root });
  let world: ProvisioningWorld;
  beforeEach(async () => {
    world = await openProvisioningWorld();
    await world.putGroup('group', { attestation: signedBy(root) });
  });
  afterEach(() => world.close());

  test('a device that is kept out learns nothing of it, and the decision names the rule', async () => {
    await world.provisioning.instances.update('dps', { ipFilterRules: [rule('Reject', '192.0.2.0/24')], precondition: any });
    const refused = await refusalOf(world.provisioning.registrations.register(world.request(leaf)));
    expect(refused).toMatchObject({ error: 'DpsUnauthorized', message: 'Unauthorized' });
    const decision = await world.store.read.decisions.get(refused.trackingId ?? '');
    expect(decision).toMatchObject({
      verdict: 'refuse',
      trace: {
        steps: [
          {
            subject: 'address',
            outcome: 'decided',
            reason: 'ip-rejected',
            sentence: expect.stringContaining("'Reject-all-192-0-2-0-24' (Reject 192.0.2.0/24)"),
          },
        ],
      },
    });
    expect(await world.store.read.registrations.get('dps', 'dev-1')).toBeUndefined();
    // The next request is judged by the rules as they are then.
    await world.provisioning.instances.update('dps', { ipFilterRules: [], precondition: any });
    expect((await world.provision(leaf)).status).toBe('assigned');
  });

  test('polls and lookups are kept out as well', async () => {
    const request = world.request(leaf);
    const { operationId } = (await world.provisioning.registrations.register(request)).body;
    await world.provisioning.instances.update('dps', { ipFilterRules: [rule('Reject', '0.0.0.0/0', 'deviceApi')], precondition: any });
    expect((await refusalOf(world.provisioning.registrations.operationStatus({ ...request, operationId }))).error).toBe('DpsUnauthorized');
    expect((await refusalOf(world.provisioning.registrations.lookup(request))).error).toBe('DpsUnauthorized');
  });

  test('an operator is kept out before the token is looked at', async () => {
    await world.provisioning.instances.update('dps', { ipFilterRules: [rule('Reject', '192.0.2.9', 'serviceApi')], precondition: any });
    const ask = (remoteAddress: string) =>
      world.provisioning.authorize({
        instance: 'dps',
        authorization: undefined,
        host: 'dps.example.org',
        path: '/enrollments/x',
        remoteAddress,
        right: 'EnrollmentRead',
      });
    expect((await refusalOf(ask('192.0.2.9'))).detail).toContain('Reject-serviceApi-192-0-2-9');
    expect((await refusalOf(ask('192.0.2.8'))).detail).toBe('Shared access signature: missing.');
  });
});
