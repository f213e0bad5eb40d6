import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Receipt } from '../../src/contracts/fleet/receipt.ts';
import type { Explanation } from '../../src/contracts/fleet/explanation.ts';
import { transportNames } from '../../src/contracts/transport.ts';
import { CertGen, type Issued } from './harness/cert-gen.ts';
import { muster, removeFolder, temporaryFolder } from './harness/service.ts';
import { Device, groupOf, openStage, type Stage } from './harness/stage.ts';

// `muster deprovision` as the genuine SDKs see it, over every transport, and with certificates of the real openssl.

let stage: Stage;
let middle: Issued;
let neighbour: Device;
/** Each has a device key of its own. */
let others: CertGen;
const folder = temporaryFolder();

beforeAll(async () => {
  stage = await openStage();
  others = new CertGen(`${folder}/pki`);
  middle = await stage.pki.intermediate('Another Intermediate', stage.root);
  const create = (group: object) =>
    stage.sdks.run('dps', { connectionString: stage.dpsConnectionString, method: 'createOrUpdateEnrollmentGroup', args: [group] });
  await create(groupOf('all', stage.root));
  await create(groupOf('middle', middle));
  neighbour = new Device(stage, { id: 'neighbour', leaf: await others.device('neighbour', stage.root), transport: 'mqtt' });
  await neighbour.connect((await neighbour.register()).assignedHub);
});
afterAll(async () => {
  await stage?.close();
  removeFolder(folder);
});

async function run<T>(...args: readonly string[]): Promise<T> {
  const { code, stdout, stderr } = await muster(stage.service.data, [...args, '-o', 'json']);
  expect({ code, stderr }, args.join(' ')).toMatchObject({ code: 0 });
  return JSON.parse(stdout) as T;
}

describe.each(transportNames)('over %s', (transport) => {
  test('a connected device is cut, is told disabled, and is refused by its hub; its neighbour goes on', async () => {
    const id = `target-${transport}`;
    const device = new Device(stage, { id, leaf: await stage.pki.device(id, stage.root), transport });
    const { assignedHub } = await device.register();
    await device.connect(assignedHub);
    await device.call('send', { text: 'still here' });

    // The device files of this profile share a key, so the ids are what tells them apart.
    const receipt = await run<Receipt>('deprovision', id, '--reason', 'stolen', '--by', 'id');
    expect(receipt.steps.map(({ what }) => what)).toEqual(['block-written', 'identity-removed', 'record-closed']);
    expect(receipt.timeToRevoke?.sessions).toBe(transport === 'https' ? 0 : 1);
    expect(receipt.proof?.every(({ verdict }) => verdict === 'refused')).toBe(true);

    const failure = await device.registrationFailure();
    expect(failure.result?.registrationState?.status ?? failure.result?.status).toBe('disabled');
    expect((await device.entryFailure(assignedHub)).name).not.toBe('');
    expect(await neighbour.call('observed')).toMatchObject({ disconnects: [] });
    const again = await run<Receipt>('deprovision', id, '--reason', 'stolen', '--by', 'id');
    expect([again.id, again.alreadyDone]).toEqual([receipt.id, true]);

    await run<Receipt>('reinstate', id);
    await device.connect(assignedHub);
    await device.call('send', { text: 'back again' });
  });
});

describe('a certificate that is issued again by openssl', () => {
  test.each([
    ['leaf', { sameKey: 'assigned', newKey: 'assigned', elsewhere: 'assigned' }],
    ['serial', { sameKey: 'assigned', newKey: 'assigned', elsewhere: 'assigned' }],
    ['key', { sameKey: 'disabled', newKey: 'assigned', elsewhere: 'disabled' }],
    ['subject', { sameKey: 'disabled', newKey: 'disabled', elsewhere: 'disabled' }],
    ['id', { sameKey: 'disabled', newKey: 'disabled', elsewhere: 'disabled' }],
  ] as const)('is refused or let in as a block by %s says', async (by, expected) => {
    const id = `again-${by}`;
    const leaf = await stage.pki.device(id, stage.root);
    const renewed = {
      sameKey: await stage.pki.device(id, stage.root),
      newKey: await others.device(id, stage.root),
      elsewhere: await stage.pki.device(id, middle),
    };
    await new Device(stage, { id, leaf, transport: 'https' }).register();
    const { block } = await run<Receipt>('deprovision', leaf.certificatePath, '--reason', 'stolen', '--by', by);
    expect(await statusOf(id, leaf)).toBe('disabled');
    for (const [name, issued] of Object.entries(renewed)) {
      expect([name, await statusOf(id, issued)]).toEqual([name, expected[name as keyof typeof expected]]);
    }
    // The shared key must not shut out whoever comes next.
    await muster(stage.service.data, ['block', 'delete', block?.id ?? '', '--readmit']);
  });

  async function statusOf(id: string, leaf: Issued): Promise<string> {
    const device = new Device(stage, { id, leaf, transport: 'https' });
    try {
      return (await device.register()).status;
    } catch (error) {
      const { result } = (error as { readonly sdk: { readonly result?: { readonly status?: string } } }).sdk;
      return result?.status ?? 'refused';
    }
  }
});

describe('explain', () => {
  test('the tracking id of a refusal resolves to its reasons, and to what the wire said', async () => {
    const stranger = await others.root('Stranger');
    const device = new Device(stage, { id: 'lost', leaf: await others.device('lost', stranger), transport: 'mqtt' });
    const failure = JSON.stringify(await device.registrationFailure());
    const trackingId = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/u.exec(failure)?.[0];
    const { kind, kept } = await run<Explanation>('explain', trackingId ?? '');
    expect(kind).toBe('tracking id');
    expect(kept).toMatchObject({ side: 'provisioning', id: 'lost', verdict: 'refused', transport: 'mqtt' });
    expect(kept?.trace.at(-1)).toMatchObject({ subject: 'path', reason: 'issuer-not-found' });
    expect(kept?.says).toContain('401002');
    expect(kept?.remedies).not.toEqual([]);
  });

  test('a certificate without its issuer: the break and the missing issuer are named', async () => {
    const stranger = await others.root('Missing Root');
    const { decisions } = await run<Explanation>('explain', (await others.device('lost', stranger)).certificatePath);
    expect(decisions).toMatchObject([
      {
        verdict: 'refused',
        chain: {
          trusted: false,
          links: [{ subject: 'CN=lost', problem: { reason: 'issuer-not-found' } }],
          missingIssuer: { name: 'CN=Missing Root' },
        },
      },
    ]);
  });

  test('for people it keeps to 80 columns', async () => {
    for (const args of [
      ['explain', 'neighbour'],
      ['deprovision', 'neighbour', '--reason', 'x', '--dry-run'],
    ]) {
      const { stdout, code } = await muster(stage.service.data, args);
      expect(code).toBe(0);
      expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
    }
    expect((await muster(stage.service.data, ['deprovision', 'nobody-at-all', '--reason', 'x'])).code).toBe(3);
    expect((await muster(stage.service.data, ['deprovision', 'neighbour'])).code).toBe(2);
  });
});
