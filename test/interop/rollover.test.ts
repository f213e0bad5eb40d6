import { X509Certificate } from 'node:crypto';

import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';

import { Device, openStage, type Stage } from './harness/stage.ts';

// A device changes from its primary to its secondary certificate: registering with the new one tells the hub, and from
// then on the old one opens nothing there.

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
});
afterAll(() => stage?.close());

const thumbprint = (pem: string): string => new X509Certificate(pem).fingerprint256.replaceAll(':', '');

describe.each(['mqtt', 'amqp', 'https'] as const)('over %s', (transport) => {
  test('the hub follows from the primary to the secondary certificate, and refuses the one before', async () => {
    const id = `rolled-${transport}`;
    const [primary, secondary] = [await stage.pki.device(id, stage.root), await stage.pki.device(id, stage.root)];
    const [old, renewed] = [primary, secondary].map((leaf) => new Device(stage, { id, leaf, transport })) as [Device, Device];
    await stage.sdks.run('dps', {
      connectionString: stage.dpsConnectionString,
      method: 'createOrUpdateIndividualEnrollment',
      args: [
        {
          registrationId: id,
          attestation: {
            type: 'x509',
            x509: {
              clientCertificates: { primary: { certificate: primary.certificate }, secondary: { certificate: secondary.certificate } },
            },
          },
        },
      ],
    });
    const { assignedHub } = await old.register();
    const known = async (): Promise<unknown> => {
      const connectionString = stage.hubConnectionString(assignedHub);
      const identity = await stage.sdks.run<{ authentication: { x509Thumbprint: { primaryThumbprint: string } } }>('registry', {
        connectionString,
        method: 'get',
        args: [id],
      });
      return identity.authentication.x509Thumbprint.primaryThumbprint;
    };
    expect(await known()).toBe(thumbprint(primary.certificate));
    await old.connect(assignedHub);
    await old.call('send', { text: 'with the primary' });

    expect(await renewed.register()).toMatchObject({ status: 'assigned', assignedHub });
    expect(await known()).toBe(thumbprint(secondary.certificate));
    if (transport !== 'https') {
      await vi.waitFor(async () => {
        const { disconnects } = await old.call<{ disconnects: readonly unknown[] }>('observed');
        expect(disconnects).not.toHaveLength(0);
      }, 10_000);
    }
    await old.call('close').catch(() => {});
    expect(JSON.stringify(await old.entryFailure(assignedHub))).toMatch(/Unauthorized|401|not authorized/iu);

    await renewed.connect(assignedHub);
    await renewed.call('send', { text: 'with the secondary' });
    await renewed.call('close');
  });
});
