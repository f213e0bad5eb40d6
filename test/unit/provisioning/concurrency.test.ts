import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import type { Precondition } from '../../../src/kernel/precondition.ts';
import { ServiceError } from '../../../src/kernel/service-error.ts';
import { ecKey, make } from '../../fixtures/pki/make-certificate.ts';
import {
  absent,
  any,
  etag,
  holding,
  hostOf,
  openProvisioningWorld,
  type ProvisioningWorld,
  refusalOf,
  signedBy,
} from '../../fixtures/provisioning-world.ts';

// Two operators read one thing and change it at the same time: one wins, the other is told that it was changed.

const key = ecKey();
const root = make({ subject: 'Root', key, ca: true });
const leaf = make({ subject: 'dev-1', key: ecKey(), issuer: root });

let world: ProvisioningWorld;
beforeEach(async () => {
  world = await openProvisioningWorld();
  await world.putGroup('group', { attestation: signedBy(root) });
  await world.putIndividual('one', { attestation: holding(leaf) });
});
afterEach(() => world.close());

const outcomeOf = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work;
    return 'done';
  } catch (error) {
    if (error instanceof ServiceError) return error.error;
    throw error;
  }
};

interface Case {
  readonly name: string;
  /** The entity tag that both operators read. */
  readonly read: () => Promise<string>;
  readonly change: (precondition: Precondition) => Promise<unknown>;
}

const instanceTag = async (): Promise<string> => (await world.provisioning.instances.get('dps')).etag;
const uploadCa = (precondition: Precondition) =>
  world.provisioning.caCertificates.put('dps', 'ca', { certificate: root.pem, isVerified: true, precondition });
const caTag = async (): Promise<string> => (await uploadCa(any)).etag;
const rule = { filterName: 'a', action: 'Accept', ipMask: '10.0.0.0/8', target: 'all' } as const;

const changes: readonly Case[] = [
  {
    name: 'individual enrollment',
    read: async () => (await world.provisioning.individualEnrollments.get('dps', 'one')).etag,
    change: (precondition) => world.putIndividual('one', { attestation: holding(leaf) }, precondition),
  },
  {
    name: 'enrollment group',
    read: async () => (await world.provisioning.enrollmentGroups.get('dps', 'group')).etag,
    change: (precondition) => world.putGroup('group', { attestation: signedBy(root) }, precondition),
  },
  { name: 'CA certificate', read: caTag, change: uploadCa },
  {
    name: 'verification code',
    read: caTag,
    change: (precondition) => world.provisioning.caCertificates.generateVerificationCode('dps', 'ca', precondition),
  },
  {
    name: 'IP filter',
    read: instanceTag,
    change: (precondition) => world.provisioning.instances.update('dps', { ipFilterRules: [rule], precondition }),
  },
  {
    name: 'linked hub',
    read: instanceTag,
    change: (precondition) =>
      world.provisioning.instances.linkHub(
        'dps',
        { hostName: hostOf('east'), location: 'here', applyAllocationPolicy: false, allocationWeight: 7 },
        precondition,
      ),
  },
  {
    name: 'key of a policy',
    read: instanceTag,
    change: (precondition) => world.provisioning.policies.renewKey('dps', 'provisioningserviceowner', { key: 'primary', precondition }),
  },
  {
    name: 'rights of a policy',
    read: instanceTag,
    change: (precondition) =>
      world.provisioning.policies.update('dps', 'provisioningserviceowner', { rights: ['ServiceConfig', 'EnrollmentWrite'], precondition }),
  },
];

describe('two changes at once', () => {
  test.each(changes)('of one $name: one wins', async ({ read, change }) => {
    const tag = await read();
    const outcomes = await Promise.all(Array.from({ length: 5 }, () => outcomeOf(change(etag(tag)))));
    expect(outcomes.toSorted()).toEqual([...Array.from({ length: 4 }, () => 'DpsPreconditionFailed'), 'done']);
  });

  test.each(changes)('of one $name, without an entity tag or with *: both are done', async ({ read, change }) => {
    await read();
    expect(await Promise.all([outcomeOf(change(any)), outcomeOf(change(any))])).toEqual(['done', 'done']);
  });
});

describe('a change and a deletion at once', () => {
  test.each<
    [string, () => Promise<string>, (precondition: Precondition) => Promise<unknown>, (precondition: Precondition) => Promise<unknown>]
  >([
    [
      'individual enrollment',
      changes[0]!.read,
      changes[0]!.change,
      (precondition) => world.provisioning.individualEnrollments.delete('dps', 'one', precondition),
    ],
    [
      'enrollment group',
      changes[1]!.read,
      changes[1]!.change,
      (precondition) => world.provisioning.enrollmentGroups.delete('dps', 'group', precondition),
    ],
    ['CA certificate', caTag, uploadCa, (precondition) => world.provisioning.caCertificates.delete('dps', 'ca', { precondition })],
    [
      'linked hub',
      instanceTag,
      changes[5]!.change,
      (precondition) => world.provisioning.instances.unlinkHub('dps', hostOf('east'), precondition),
    ],
  ])('of one %s: the change wins, the deletion does not undo it', async (_name, read, change, remove) => {
    const tag = etag(await read());
    expect(await Promise.all([outcomeOf(change(tag)), outcomeOf(remove(tag))])).toEqual(['done', 'DpsPreconditionFailed']);
  });

  test('of one registration record: a device that registered again keeps its record', async () => {
    await world.provision(leaf);
    const { etag: tag = '' } = await world.provisioning.records.get('dps', 'dev-1');
    const remove = () => world.provisioning.records.delete('dps', 'dev-1', etag(tag));
    const [registered, removed] = await Promise.all([outcomeOf(world.provision(leaf)), outcomeOf(remove())]);
    // Whichever came first, nothing is lost: either the record is newer than what was to be deleted, or it was made after.
    expect([registered, ['done', 'DpsPreconditionFailed'].includes(removed)]).toEqual(['done', true]);
    expect((await world.provisioning.records.get('dps', 'dev-1')).status).toBe('assigned');
    expect((await refusalOf(remove())).error).toBe('DpsPreconditionFailed');
  });

  test('of one registration record: of two deletions one finds nothing more to delete', async () => {
    await world.provision(leaf);
    const { etag: tag = '' } = await world.provisioning.records.get('dps', 'dev-1');
    const remove = () => outcomeOf(world.provisioning.records.delete('dps', 'dev-1', etag(tag)));
    expect((await Promise.all([remove(), remove()])).toSorted()).toEqual(['DpsRecordNotFound', 'done']);
  });
});

test('two creations at once: one wins', async () => {
  const create = () => outcomeOf(world.putIndividual('new', { attestation: { type: 'symmetricKey' } }));
  expect((await Promise.all([create(), create()])).toSorted()).toEqual(['DpsEnrollmentExists', 'done']);
  const policy = () => outcomeOf(world.provisioning.policies.create('dps', 'p', { rights: ['ServiceConfig'], precondition: absent }));
  expect((await Promise.all([policy(), policy()])).toSorted()).toEqual(['ResourceExists', 'done']);
});
