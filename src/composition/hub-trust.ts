import { LRUCache } from 'lru-cache';
import type { HubInstanceStore, HubTrust } from '../hub/ports.ts';
import { type Certificate, parseCertificate } from '../pki/certificate.ts';
import type { ProvisioningStorage } from '../provisioning/ports.ts';

/** More than all provisioning services of an installation hold at a time; those that were deleted since fall out. */
const parsedCertificates = 1024;

/**
 * A hub trusts the CA certificates that were verified at the provisioning services it is linked to, so that a device of
 * type `certificateAuthority` is judged by the same anchors on both sides.
 */
export function createHubTrust(
  read: Pick<ProvisioningStorage['read'], 'instances' | 'caCertificates'> & { readonly hubs: Pick<HubInstanceStore, 'get'> },
): HubTrust {
  const parsed = new LRUCache<string, Certificate>({ max: parsedCertificates });
  const parse = (der: Uint8Array, sha256: string): Certificate => {
    const known = parsed.get(sha256);
    if (known !== undefined) return known;
    const certificate = parseCertificate(der);
    parsed.set(sha256, certificate);
    return certificate;
  };
  return {
    async trustedCertificates(hub) {
      const hostName = (await read.hubs.get(hub))?.hostName.toLowerCase();
      const anchors: Certificate[] = [];
      const intermediates: Certificate[] = [];
      for (const instance of await read.instances.list()) {
        const linked = await read.instances.linkedHubs(instance.name);
        if (!linked.some((link) => link.hostName.toLowerCase() === hostName)) continue;
        for (const row of await read.caCertificates.list(instance.name)) {
          (row.isVerified ? anchors : intermediates).push(parse(row.der, row.sha256));
        }
      }
      return { anchors, intermediates };
    },
  };
}
